//! Panics that are survived: caught around one piece of work and told by their place. The payload
//! is never kept, for it may hold what identifies a person.
//!
//! A panic hook runs before anybody catches, and knows nothing of the request; who catches knows
//! the request and not the place. [`note`] hands the place from the one to the other, so that one
//! log line has both.

use std::{
    cell::Cell,
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

thread_local! {
    /// How many [`catch`] stand around the code that runs on this thread.
    static CATCHING: Cell<u32> = const { Cell::new(0) };
    /// Where the last panic below one of them happened.
    static PLACE: Cell<Option<String>> = const { Cell::new(None) };
}

/// Runs `work`; a panic in any of its steps ends it.
///
/// # Errors
/// `work` panicked.
pub fn contain<F: Future>(work: F) -> Contained<F> {
    Contained { work }
}

pin_project! {
    /// A future of [`contain`]. Not an `async fn`, which would hold `work` twice: as its argument
    /// and where it is polled. Around the work of a request each byte is copied for each request.
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct Contained<F> {
        #[pin]
        work: F,
    }
}

impl<F: Future> Future for Contained<F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let work = self.project().work;
        match catch(|| work.poll(cx)) {
            Ok(step) => step.map(Ok),
            Err(panicked) => Poll::Ready(Err(panicked)),
        }
    }
}

/// Runs `work` and catches its panic. What it changed stays as it was at that moment: share with
/// it only what can be left half-done.
///
/// # Errors
/// `work` panicked.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    CATCHING.set(CATCHING.get() + 1);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    CATCHING.set(CATCHING.get() - 1);
    outcome.map_err(|_payload| Panicked {
        place: PLACE.take(),
    })
}

/// For the panic hook of the process: keeps the place for who catches the panic. Answers whether
/// anybody does; if not, the hook's own line is all that will be written.
pub fn note(panic: &PanicHookInfo<'_>) -> bool {
    let caught = CATCHING.try_with(|depth| depth.get() > 0).unwrap_or(false);
    if caught {
        let place = panic.location().map(ToString::to_string);
        // A thread that is ending has no place to keep it, and nobody who asks.
        let _ = PLACE.try_with(|kept| kept.set(place));
    }
    caught
}

/// A panic that was caught.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panicked {
    place: Option<String>,
}

impl Panicked {
    /// File, line and column; `None` where the process has no hook that calls [`note`].
    pub fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "a panic at {place}"),
            None => f.write_str("a panic"),
        }
    }
}

impl std::error::Error for Panicked {}

#[cfg(test)]
mod tests {
    use std::panic;

    use super::*;

    /// One test for all, because the hook belongs to the whole process.
    #[test]
    fn the_place_reaches_who_catches_and_the_payload_does_not() {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(|info| {
            note(info);
        }));
        let outer = catch(|| {
            let inner = catch(|| -> u8 { panic!("13800000000") }).unwrap_err();
            assert!(inner.place().unwrap().contains("panics.rs:"), "{inner}");
            assert!(!inner.to_string().contains("138"), "{inner}");
            "goes on"
        });
        assert_eq!(outer, Ok("goes on"));
        assert_eq!(CATCHING.get(), 0);
        panic::set_hook(usual);
        // Nobody notes now, and nothing is left of the panic before.
        let unseen = catch(|| -> u8 { panic!("again") }).unwrap_err();
        assert_eq!(unseen.place(), None);
    }

    #[tokio::test]
    async fn a_panic_after_a_wait_is_caught_too() {
        let outcome = contain(async {
            tokio::task::yield_now().await;
            panic!("late");
        });
        let outcome: Result<(), Panicked> = outcome.await;
        assert!(outcome.is_err());
        assert_eq!(contain(async { 7 }).await, Ok(7));
    }
}
