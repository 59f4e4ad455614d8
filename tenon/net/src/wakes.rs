//! Since when a connection waits for a worker thread.
//!
//! Once bytes are there the task of their connection is woken, and stands in the queue of the
//! runtime until a thread takes it. Nobody sees that wait from within a handler, whose clock
//! starts when it ends; and it is the wait that tells overload from a slow handler (DAGOR,
//! "Overload Control for Scaling WeChat Microservices", 2018). So the waker of each connection
//! notes when it is used.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Wake, Waker},
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

/// When the bytes of a request could be read, in the extensions of the request. What has passed
/// since, it has waited for a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readable(pub Instant);

/// The wakes of one connection. Times are nanoseconds after its HTTP began, plus one.
#[derive(Debug)]
pub(crate) struct Wakes {
    began: Instant,
    /// When the task was woken first since it last ran; zero is not yet.
    woken: AtomicU64,
    /// When it was woken to run as it does now.
    running_for: AtomicU64,
    task: AtomicWaker,
}

impl Wakes {
    /// Of a connection whose task runs, and has waited since `began`.
    pub(crate) fn new(began: Instant) -> Arc<Self> {
        Arc::new(Self {
            began,
            woken: AtomicU64::new(1),
            running_for: AtomicU64::new(1),
            task: AtomicWaker::new(),
        })
    }

    /// The task runs: `cx` is its own. Whoever may wake it gets `waker`, made of these wakes.
    pub(crate) fn run<'a>(&self, cx: &Context<'_>, waker: &'a Waker) -> Context<'a> {
        // In this order: who wakes it from now on makes it run once more.
        self.task.register(cx.waker());
        let woken = match self.woken.swap(0, Relaxed) {
            0 => self.now(),
            woken => woken,
        };
        self.running_for.store(woken, Relaxed);
        Context::from_waker(waker)
    }

    /// Since when what is read now could be read.
    pub(crate) fn readable(&self) -> Readable {
        let nanos = self.running_for.load(Relaxed).saturating_sub(1);
        Readable(self.began + Duration::from_nanos(nanos))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).map_or(u64::MAX, |nanos| nanos + 1)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.woken.load(Relaxed) == 0 {
            // Of two that wake it at once either time will do.
            self.woken.store(self.now(), Relaxed);
        }
        self.task.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_read_could_be_read_since_the_first_wake() {
        let began = Instant::now();
        let wakes = Wakes::new(began);
        let waker = Waker::from(wakes.clone());
        let ms = Duration::from_millis;
        let own = Context::from_waker(Waker::noop());
        tokio::time::advance(ms(3)).await;
        let cx = wakes.run(&own, &waker);
        assert_eq!(wakes.readable(), Readable(began), "since it began");
        tokio::time::advance(ms(10)).await;
        cx.waker().wake_by_ref();
        tokio::time::advance(ms(5)).await;
        cx.waker().wake_by_ref();
        tokio::time::advance(ms(5)).await;
        let _ = wakes.run(&own, &waker);
        assert_eq!(wakes.readable(), Readable(began + ms(13)));
        // Run without a wake, it has not waited.
        tokio::time::advance(ms(7)).await;
        let _ = wakes.run(&own, &waker);
        assert_eq!(wakes.readable(), Readable(began + ms(30)));
    }
}
