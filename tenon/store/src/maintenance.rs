//! Checkpoints off the commit path: a thread that copies the log into the data file when the log
//! has grown or the store is idle.

use std::{
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use rusqlite::ErrorCode;

use crate::{
    engine::{Engine, PAGE_BYTES},
    shared::Shared,
};

/// A log that did not grow for this long belongs to an idle store.
const IDLE: Duration = Duration::from_secs(2);

/// The thread was called and has not answered yet.
const CALLED: u64 = u64::MAX;

/// What is known of the log.
pub(crate) struct Wal {
    /// The number of pages from which it is copied while writes go on.
    large: u64,
    pages: AtomicU64,
    /// The number of pages from which the thread is called.
    due: AtomicU64,
    /// The thread copied most of a large log; the writer copies the rest between two batches,
    /// after which the log begins anew. Without this a busy log would grow for ever.
    finish: AtomicBool,
    stopped: Mutex<bool>,
    called: Condvar,
}

impl Wal {
    /// A log that is copied once it has grown to `bytes`.
    pub(crate) fn new(bytes: u64) -> Self {
        let large = (bytes / PAGE_BYTES).max(1);
        Self {
            large,
            pages: AtomicU64::new(0),
            due: AtomicU64::new(large),
            finish: AtomicBool::new(false),
            stopped: Mutex::new(false),
            called: Condvar::new(),
        }
    }

    /// A commit left the log with this many pages.
    pub(crate) fn grown(&self, pages: u64) {
        let before = self.pages.swap(pages, Ordering::Relaxed);
        if pages < before {
            self.due.store(self.large, Ordering::Relaxed);
        }
        if pages >= self.due.load(Ordering::Relaxed) {
            self.due.store(CALLED, Ordering::Relaxed);
            self.called.notify_one();
        }
    }

    fn is_called(&self) -> bool {
        self.due.load(Ordering::Relaxed) == CALLED
    }

    /// Whether the writer is to make a checkpoint now.
    pub(crate) fn wants_finish(&self) -> bool {
        self.finish.load(Ordering::Relaxed) && self.finish.swap(false, Ordering::Relaxed)
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.called.notify_one();
    }
}

/// Runs until it is stopped.
pub(crate) fn run(shared: &Shared, mut engine: Box<Engine>) {
    let wal = &shared.wal;
    let (mut seen, mut copied) = (0, 0);
    loop {
        let stopped = wal.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let (stopped, waited) = wal
            .called
            .wait_timeout_while(stopped, IDLE, |stopped| !*stopped && !wal.is_called())
            .unwrap_or_else(PoisonError::into_inner);
        if *stopped {
            return;
        }
        drop(stopped);
        let pages = wal.pages.load(Ordering::Relaxed);
        let large = wal.is_called();
        let idle = waited.timed_out() && pages == seen && pages != copied;
        seen = pages;
        if large {
            // If a long read keeps the log from beginning anew, the next try waits for growth.
            wal.due.store(pages + wal.large / 4 + 1, Ordering::Relaxed);
        }
        if pages == 0 || !(large || idle) || shared.failed.is_cancelled() {
            continue;
        }
        checkpoint(&mut engine, shared);
        copied = pages;
        if large {
            wal.finish.store(true, Ordering::Relaxed);
        }
    }
}

/// Copies what no read still needs, without waiting for anyone.
pub(crate) fn checkpoint(engine: &mut Engine, shared: &Shared) {
    let conn = engine.connection();
    let cause = match conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
        Ok(()) => return shared.counters.checkpoints.add(1),
        Err(cause) => cause,
    };
    // The log still holds everything, but a disk that fails once is not asked again.
    if cause.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) {
        tracing::error!(%cause, "the store failed at a checkpoint and takes no more writes");
        shared.failed.cancel();
    } else {
        tracing::warn!(%cause, "a checkpoint failed; the next one tries again");
    }
}
