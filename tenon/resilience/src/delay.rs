//! How long work waits for a worker thread of the runtime before it runs.
//!
//! Source: the overload signal of DAGOR ("Overload Control for Scaling WeChat Microservices",
//! 2018), which is the waiting time and not the time of the answer, and the standing queue of
//! CoDel (RFC 8289): a wait that is long once is a burst, one that stays long is overload.
//!
//! On an asynchronous runtime this wait is where CPU overload shows. A handler that computes
//! does not leave its thread, so that no more requests are ever "in flight" than there are
//! threads, and those that wait are in the sockets and in the queue of the runtime.
//!
//! A probe asks the timer to wake it each 10 ms while requests come, and looks how late it is.
//! It only arms: what is refused is decided in `admission` by the waits of the requests, which
//! the listener knows, or which are measured by going once to the end of the runtime's queue.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

/// How often the probe looks.
const INTERVAL: Duration = Duration::from_millis(10);
/// A probe that is so late found a queue: DAGOR's figure.
const LATE: Duration = Duration::from_millis(20);
/// Probes must be late for so long on end. Ten thousand clients that all ask at once are served
/// within it on one core, and are a burst: it is better to be late once than to refuse them.
const STANDING: Duration = Duration::from_secs(2);
/// How long waits are measured after the last sign of a queue.
const COOL_OFF: Duration = Duration::from_secs(1);
/// The probe ends when no request came for so long; the next request starts another.
const IDLE: u32 = 100;

/// Whether there is a standing queue before the worker threads.
#[derive(Debug, Clone)]
pub(crate) struct Delay {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    start: Instant,
    /// Nanoseconds from the start until when waits are measured.
    armed: AtomicU64,
    probing: AtomicBool,
    asked: AtomicBool,
}

impl Delay {
    pub(crate) fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                start: Instant::now(),
                armed: AtomicU64::new(0),
                probing: AtomicBool::new(false),
                asked: AtomicBool::new(false),
            }),
        }
    }

    /// Whether a request that comes now should measure its wait.
    pub(crate) fn is_armed(&self, now: Instant) -> bool {
        let inner = &self.inner;
        if !inner.asked.load(Relaxed) {
            inner.asked.store(true, Relaxed);
            self.probe();
        }
        inner.nanos(now) < inner.armed.load(Relaxed)
    }

    /// There is a queue, or was until now.
    pub(crate) fn arm(&self, now: Instant) {
        let until = self.inner.nanos(now + COOL_OFF);
        self.inner.armed.fetch_max(until, Relaxed);
    }

    /// Starts the probe, if none runs.
    fn probe(&self) {
        if self.inner.probing.load(Relaxed) || self.inner.probing.swap(true, Relaxed) {
            return;
        }
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(watch(Arc::downgrade(&self.inner)))),
            Err(_) => self.inner.probing.store(false, Relaxed),
        }
    }
}

impl Inner {
    fn nanos(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.start);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The probe. It ends with its door, or when nobody asks.
async fn watch(door: Weak<Inner>) {
    let ends = Ends(door);
    let mut standing = Standing::default();
    let mut idle = 0;
    while idle < IDLE {
        let due = Instant::now() + INTERVAL;
        tokio::time::sleep_until(due).await;
        let Some(inner) = ends.0.upgrade() else {
            return;
        };
        let now = Instant::now();
        if standing.is_standing(due, now) {
            let until = inner.nanos(now + COOL_OFF);
            inner.armed.fetch_max(until, Relaxed);
        }
        idle = if inner.asked.swap(false, Relaxed) {
            0
        } else {
            idle + 1
        };
    }
}

/// Lets another probe start, also where this one ended with its runtime.
struct Ends(Weak<Inner>);

impl Drop for Ends {
    fn drop(&mut self) {
        if let Some(inner) = self.0.upgrade() {
            inner.probing.store(false, Relaxed);
            // In this order: a request in between starts the next one, or the next request does.
            inner.asked.store(false, Relaxed);
        }
    }
}

/// CoDel's question: has the queue never been short for a while?
#[derive(Debug, Default)]
struct Standing {
    since: Option<Instant>,
}

impl Standing {
    fn is_standing(&mut self, due: Instant, now: Instant) -> bool {
        if now.saturating_duration_since(due) < LATE {
            self.since = None;
            return false;
        }
        match self.since {
            // The first late probe may be a burst, however late it is.
            None => {
                self.since = Some(due);
                false
            }
            Some(since) => now.saturating_duration_since(since) >= STANDING,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_long_wait_is_a_burst_and_many_are_a_queue() {
        let mut standing = Standing::default();
        let now = Instant::now();
        let ms = Duration::from_millis;
        assert!(!standing.is_standing(now, now + ms(900)), "a burst");
        assert!(!standing.is_standing(now + ms(910), now + ms(911)));
        let mut armed = None;
        for probe in 0..400 {
            let due = now + ms(1000 + 30 * probe);
            if standing.is_standing(due, due + ms(25)) {
                armed.get_or_insert(30 * probe + 25);
            }
        }
        assert_eq!(
            armed,
            Some(2005),
            "milliseconds after the queue began to stand"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_probe_lives_while_requests_come() {
        let delay = Delay::new();
        assert!(!delay.is_armed(Instant::now()));
        assert!(delay.inner.probing.load(Relaxed));
        tokio::time::sleep(INTERVAL * (IDLE + 5)).await;
        assert!(!delay.inner.probing.load(Relaxed));
        assert!(!delay.is_armed(Instant::now()));
        assert!(
            delay.inner.probing.load(Relaxed),
            "the next request starts it again"
        );
    }
}
