//! Which route a sample belongs to: a number in a thread-local, set around each poll of the
//! request's future and read by the signal handler.
//!
//! The cost is two writes to a thread-local a poll, and an entry in the table of requests in
//! flight a request.

use std::{
    cell::Cell,
    future::Future,
    pin::Pin,
    sync::{PoisonError, RwLock},
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use crate::in_flight::Entry;

/// Routes come from contracts, which are finite; what goes beyond was made from input by mistake
/// and is shown without a label.
const LABELS_MAX: usize = 16_384;

/// The names, by number. Number 0 is "no label".
static NAMES: RwLock<Vec<&'static str>> = RwLock::new(Vec::new());

thread_local! {
    // `const` and without a destructor: reading it is one instruction, which the signal handler
    // may run at any moment of a thread's life.
    static CURRENT: Cell<u32> = const { Cell::new(0) };
}

/// The label of a route, resolved once at start-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Label(u32);

impl Label {
    /// The label of this name: a route as its contract writes it, never as a caller sent it. The
    /// same name gives the same label. At most 16,384 names are kept; others give no label.
    pub fn new(name: &str) -> Self {
        let mut names = NAMES.write().unwrap_or_else(PoisonError::into_inner);
        let place = names.iter().position(|known| *known == name);
        let place = place.or_else(|| {
            (names.len() < LABELS_MAX).then(|| {
                names.push(String::from(name).leak());
                names.len() - 1
            })
        });
        Self(place.map_or(0, |place| u32::try_from(place + 1).unwrap_or(0)))
    }

    /// Its name; none for "no label".
    pub fn name(self) -> Option<&'static str> {
        let names = NAMES.read().unwrap_or_else(PoisonError::into_inner);
        names.get((self.0 as usize).checked_sub(1)?).copied()
    }

    #[cfg(test)]
    pub(crate) const fn number(self) -> u32 {
        self.0
    }

    pub(crate) const fn of_number(number: u32) -> Self {
        Self(number)
    }
}

/// The label of what this thread is doing. May be called in a signal handler.
pub(crate) fn current() -> u32 {
    CURRENT.try_with(Cell::get).unwrap_or(0)
}

pin_project! {
    /// A future of [`labelled`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Labelled<F> {
        #[pin]
        future: F,
        label: Label,
        entry: Entry,
    }
}

/// Marks what `future` does as done for this route, in profiles and in the list of requests in
/// flight. Work that it spawns elsewhere is not marked unless it is wrapped as well.
pub fn labelled<F: Future>(label: Label, future: F) -> Labelled<F> {
    Labelled {
        future,
        label,
        entry: Entry::open(label),
    }
}

impl<F: Future> Future for Labelled<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        // Put back on the way out even of a panic, or the thread's next work would be blamed.
        let _before = Before(CURRENT.replace(this.label.0));
        this.future.poll(cx)
    }
}

/// What the label was before.
struct Before(u32);

impl Drop for Before {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

pin_project! {
    /// A future of [`handler`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Handler<F> {
        #[pin]
        future: F,
    }
}

/// Marks the place where a door calls the code of the service: a profile shows stacks from here on
/// and leaves the runtime's plumbing below it out.
pub fn handler<F: Future>(future: F) -> Handler<F> {
    Handler { future }
}

impl<F: Future> Future for Handler<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        run_handler(self.project().future, cx)
    }
}

/// A frame that is always there, for `trim` to find by its name: never inlined, and not left by a
/// tail call, because something is done with what comes back.
#[inline(never)]
fn run_handler<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
    let outcome = future.poll(cx);
    std::hint::black_box(&outcome);
    outcome
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};

    use super::*;
    use crate::in_flight;

    fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        future.poll(&mut cx)
    }

    #[test]
    fn a_name_has_one_label() {
        let label = Label::new("GET /label/a");
        assert_eq!(label, Label::new("GET /label/a"));
        assert_ne!(label, Label::new("GET /label/b"));
        assert_eq!(label.name(), Some("GET /label/a"));
        assert_eq!(Label::default().name(), None);
    }

    #[test]
    fn the_label_is_there_during_a_poll_and_gone_after_it_even_by_panic() {
        let label = Label::new("GET /label/poll");
        let mut seen = 0;
        let inner = labelled(label, async { current() });
        let mut outer = Box::pin(labelled(Label::new("outer"), async {
            seen = inner.await;
            current()
        }));
        let Poll::Ready(after_inner) = poll_once(outer.as_mut()) else {
            panic!("nothing in it waits")
        };
        assert_eq!(Label::of_number(after_inner).name(), Some("outer"));
        drop(outer);
        assert_eq!(seen, label.number());
        let mut broken = Box::pin(labelled(
            label,
            poll_fn(|_| -> Poll<()> { panic!("on purpose") }),
        ));
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = poll_once(broken.as_mut());
        }));
        assert!(caught.is_err());
        assert_eq!(current(), 0);
    }

    #[test]
    fn a_request_is_listed_while_it_is_in_flight() {
        let label = Label::new("GET /label/flight");
        let listed = || {
            let now = in_flight::list();
            now.requests
                .iter()
                .filter(|request| request.label == label)
                .count()
        };
        let mut waiting = Box::pin(labelled(label, pending::<()>()));
        assert!(poll_once(waiting.as_mut()).is_pending());
        assert_eq!(listed(), 1);
        drop(waiting);
        assert_eq!(listed(), 0);
    }
}
