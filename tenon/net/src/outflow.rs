//! How well a peer takes what is sent to it, and how often it asks for what it then refuses.
//!
//! A peer that reads a byte now and then keeps every write moving and a response alive for hours
//! (slow read, CVE-2011-1473 and its kin); in HTTP/2 a window of zero does it without a stalled
//! socket (CVE-2016-1546). And a peer that resets what it has just asked for makes a server work
//! at the price of a frame (rapid reset, CVE-2023-44487).

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

/// The slowest reader that is put up with, once the timeout of the connection has passed: below
/// every line that a person would wait at.
const BYTES_PER_SECOND_MIN: u64 = 512;
/// How many calls a peer may have reset and not made good by one that it took. A process that
/// stops cancels what it has in flight, at most 256 calls a connection, and a caller with short
/// deadlines some more.
const RESETS_MAX: f64 = 1000.0;
/// How fast resets are forgotten.
const RESETS_FORGOTTEN_PER_SECOND: f64 = 20.0;

/// What is written and not yet taken. Times are milliseconds after the connection was accepted.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// When a write was first left waiting since all was taken, plus one; zero without a backlog.
    since: AtomicU64,
    /// How much of it the peer has taken since.
    taken: AtomicU64,
    /// When the peer last stopped taking anything at all, plus one.
    stalled_since: AtomicU64,
}

impl Backlog {
    /// The peer takes nothing at the moment.
    pub(crate) fn waits(&self, now: u64) {
        if self.stalled_since.load(Relaxed) == 0 {
            self.stalled_since.store(now + 1, Relaxed);
        }
        if self.since.load(Relaxed) == 0 {
            self.taken.store(0, Relaxed);
            self.since.store(now + 1, Relaxed);
        }
    }

    /// The peer took something.
    pub(crate) fn went(&self, bytes: usize) {
        if self.stalled_since.load(Relaxed) != 0 {
            self.stalled_since.store(0, Relaxed);
        }
        if self.since.load(Relaxed) != 0 {
            self.taken.fetch_add(bytes as u64, Relaxed);
        }
    }

    /// Nothing is left to be taken.
    pub(crate) fn cleared(&self) {
        if self.since.load(Relaxed) != 0 {
            self.since.store(0, Relaxed);
        }
    }

    pub(crate) fn exists(&self) -> bool {
        self.since.load(Relaxed) != 0
    }

    /// Until when the peer may go on like this: a stall may last for `patience`, and beyond that
    /// a whole backlog must have gone at the slowest rate.
    pub(crate) fn due(&self, patience: Duration) -> Option<Duration> {
        let since = self.since.load(Relaxed).checked_sub(1)?;
        let earned = self.taken.load(Relaxed).saturating_mul(1000) / BYTES_PER_SECOND_MIN;
        let slow = Duration::from_millis(since.saturating_add(earned)) + patience;
        let stalled = self.stalled_since.load(Relaxed).checked_sub(1);
        let stalled = stalled.map(|since| Duration::from_millis(since) + patience);
        Some(stalled.map_or(slow, |stalled| stalled.min(slow)))
    }
}

/// Responses of an HTTP/2 connection whose next piece waits for the peer's window.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    waiting: AtomicUsize,
    moved: AtomicU64,
}

impl Windows {
    /// A piece waits to be asked for.
    pub(crate) fn wait(&self, now: u64) {
        self.waiting.fetch_add(1, Relaxed);
        self.moved.store(now, Relaxed);
    }

    /// It was asked for, or its response is gone.
    pub(crate) fn open(&self, now: u64) {
        self.waiting.fetch_sub(1, Relaxed);
        self.moved.store(now, Relaxed);
    }

    /// Until when the peer may leave all of them unread.
    pub(crate) fn due(&self, patience: Duration) -> Option<Duration> {
        let waiting = self.waiting.load(Relaxed) > 0;
        waiting.then(|| Duration::from_millis(self.moved.load(Relaxed)) + patience)
    }
}

/// The calls that a peer made and then reset: a bucket that leaks.
#[derive(Debug)]
pub(crate) struct Resets(Mutex<Level>);

#[derive(Debug)]
struct Level {
    resets: f64,
    at: Instant,
}

impl Resets {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Level {
            resets: 0.0,
            at: Instant::now(),
        }))
    }

    /// A call ended without its peer having taken the answer.
    pub(crate) fn reset(&self) {
        self.change(1.0);
    }

    /// A call was answered.
    pub(crate) fn answered(&self) {
        self.change(-1.0);
    }

    /// Whether the peer asks for answers only to refuse them.
    pub(crate) fn are_too_many(&self) -> bool {
        self.change(0.0) > RESETS_MAX
    }

    fn change(&self, by: f64) -> f64 {
        let mut level = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if by <= 0.0 && level.resets == 0.0 {
            return 0.0;
        }
        let now = Instant::now();
        let forgotten = (now - level.at).as_secs_f64() * RESETS_FORGOTTEN_PER_SECOND;
        level.resets = (level.resets - forgotten + by).max(0.0);
        level.at = now;
        level.resets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);
    const MINUTE: u64 = 60_000;

    #[test]
    fn a_slow_reader_earns_its_time() {
        let backlog = Backlog::default();
        assert_eq!(backlog.due(PATIENCE), None);
        backlog.waits(1000);
        assert_eq!(backlog.due(PATIENCE), Some(Duration::from_secs(61)));
        // Taking ends the stall, and each half kibibyte is worth a second.
        backlog.went(10 * 512);
        assert_eq!(backlog.due(PATIENCE), Some(Duration::from_secs(71)));
        backlog.waits(5000);
        assert_eq!(backlog.due(PATIENCE), Some(Duration::from_secs(65)));
        backlog.went(1);
        backlog.cleared();
        assert_eq!(backlog.due(PATIENCE), None);
    }

    #[test]
    fn a_reader_of_a_byte_a_second_is_due_although_it_never_stalls() {
        let backlog = Backlog::default();
        let mut now = 0;
        while backlog
            .due(PATIENCE)
            .is_none_or(|due| due > Duration::from_millis(now))
        {
            backlog.waits(now);
            now += 1000;
            backlog.went(1);
        }
        assert!((MINUTE..MINUTE + 2000).contains(&now), "{now}");
    }

    #[test]
    fn closed_windows_are_due_and_open_ones_are_not() {
        let windows = Windows::default();
        windows.wait(0);
        windows.wait(500);
        assert_eq!(windows.due(PATIENCE), Some(Duration::from_millis(60_500)));
        windows.open(2000);
        assert_eq!(windows.due(PATIENCE), Some(Duration::from_secs(62)));
        windows.open(3000);
        assert_eq!(windows.due(PATIENCE), None);
    }

    #[tokio::test(start_paused = true)]
    async fn resets_count_until_they_are_made_good_or_forgotten() {
        let resets = Resets::new();
        for _ in 0..1000 {
            resets.reset();
        }
        assert!(!resets.are_too_many());
        resets.reset();
        assert!(resets.are_too_many());
        resets.answered();
        assert!(!resets.are_too_many());
        for _ in 0..1000 {
            resets.reset();
        }
        assert!(resets.are_too_many());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(!resets.are_too_many());
    }
}
