//! Who a connection works for at the moment, and whether that caller still waits.
//!
//! The connection's progress handler asks [`Watch::must_stop`] every thousand steps of a
//! statement, on the thread that runs the statement.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tenon_core::{Context, Error, catalogue};

/// Looks after one connection.
#[derive(Default)]
pub(crate) struct Watch {
    current: Mutex<Option<Current>>,
}

/// What is being worked on.
struct Current {
    cx: Context,
    /// Statements younger than this are left alone whatever happened to their caller.
    patience: Duration,
    /// The caller dropped its future.
    abandoned: Option<Arc<AtomicBool>>,
    /// The work is to be given up then, to be done elsewhere.
    until: Option<Instant>,
    statement: Instant,
}

impl Watch {
    /// Work for `cx` begins.
    pub(crate) fn begin(&self, cx: &Context, patience: Duration) {
        *self.lock() = Some(Current {
            cx: cx.clone(),
            patience,
            abandoned: None,
            until: None,
            statement: Instant::now(),
        });
    }

    /// The caller of the work can also abandon it.
    pub(crate) fn heed(&self, abandoned: &Arc<AtomicBool>) {
        if let Some(current) = self.lock().as_mut() {
            current.abandoned = Some(abandoned.clone());
        }
    }

    /// The work may take no longer than `budget`.
    pub(crate) fn limit(&self, budget: Duration) {
        if let Some(current) = self.lock().as_mut() {
            current.until = Some(Instant::now() + budget);
        }
    }

    /// The next statement begins. Fails instead when its caller is gone and earlier statements
    /// used up the patience: refusing a statement costs nothing, interrupting one costs a replay.
    pub(crate) fn statement(&self, work_began: Instant) -> Result<(), Error> {
        let mut current = self.lock();
        let Some(current) = current.as_mut() else {
            return Ok(());
        };
        current.statement = Instant::now();
        if current.statement.duration_since(work_began) >= current.patience {
            return current.cx.check();
        }
        Ok(())
    }

    /// Whether the running statement is to be interrupted.
    pub(crate) fn must_stop(&self) -> bool {
        let current = self.lock();
        let Some(current) = current.as_ref() else {
            return false;
        };
        let now = Instant::now();
        if now.duration_since(current.statement) < current.patience {
            return false;
        }
        current.until.is_some_and(|until| now >= until)
            || current.is_abandoned()
            || current.cx.check().is_err()
    }

    /// Why the work was interrupted, as its caller is told; `None` when only its budget ran out.
    pub(crate) fn reason(&self) -> Option<Error> {
        let current = self.lock();
        let current = current.as_ref()?;
        if let Err(error) = current.cx.check() {
            return Some(error);
        }
        current.is_abandoned().then(|| catalogue::CANCELLED.error())
    }

    /// The work ended.
    pub(crate) fn end(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    fn is_abandoned(&self) -> bool {
        self.abandoned
            .as_ref()
            .is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}
