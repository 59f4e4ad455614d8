//! Counters of a [`crate::Db`].

use std::sync::atomic::{AtomicU64, Ordering};

/// What a [`crate::Db`] did since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Transactions committed to the disk.
    pub commits: u64,
    /// Writes and batch rows acknowledged as kept.
    pub kept: u64,
    /// Writes and batch rows that ended in an error, whatever its cause.
    pub refused: u64,
    /// Transactions run again because an interrupted write had taken them down.
    pub replays: u64,
    /// Writes and reads stopped because their caller went away or their time ran out.
    pub interrupted: u64,
    /// Checkpoints made while running.
    pub checkpoints: u64,
    /// Writes that wait now.
    pub waiting: u64,
}

/// The counters themselves.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) commits: Counter,
    pub(crate) kept: Counter,
    pub(crate) refused: Counter,
    pub(crate) replays: Counter,
    pub(crate) interrupted: Counter,
    pub(crate) checkpoints: Counter,
}

impl Counters {
    /// A write ended. Counted before its caller knows, so that no caller sees less.
    pub(crate) fn ended(&self, kept: bool) {
        let counter = if kept { &self.kept } else { &self.refused };
        counter.add(1);
    }

    pub(crate) fn read(&self, waiting: usize) -> Stats {
        Stats {
            commits: self.commits.get(),
            kept: self.kept.get(),
            refused: self.refused.get(),
            replays: self.replays.get(),
            interrupted: self.interrupted.get(),
            checkpoints: self.checkpoints.get(),
            waiting: u64::try_from(waiting).unwrap_or(u64::MAX),
        }
    }
}

/// A number that only grows.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
