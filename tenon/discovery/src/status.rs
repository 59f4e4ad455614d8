//! How the source of a list does: what an operator asks first when calls fail.

use std::sync::Arc;

use tokio::sync::watch;

/// How a source does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Of which kind it is: `static`, `dns`, `etcd` or `kubernetes`.
    pub source: &'static str,
    /// It answers now. False while it is away; the list of before stays.
    pub connected: bool,
    /// It has answered at least once.
    pub answered: bool,
    /// How many instances are known.
    pub instances: usize,
    /// How often the whole list was read again after the first time: after a compaction, a lost
    /// connection, an expired watch. Not counted for DNS, which knows nothing else.
    pub resyncs: u64,
    /// What went wrong last, while it is away.
    pub problem: Option<Arc<str>>,
}

impl Status {
    pub(crate) fn new(source: &'static str) -> Self {
        Self {
            source,
            connected: false,
            answered: false,
            instances: 0,
            resyncs: 0,
            problem: None,
        }
    }

    /// A list that needs no source.
    pub(crate) fn fixed(instances: usize) -> Self {
        Self {
            connected: true,
            answered: true,
            instances,
            ..Self::new("static")
        }
    }
}

/// How a source does, and as that changes.
#[derive(Debug, Clone)]
pub struct StatusWatch {
    status: watch::Receiver<Status>,
}

impl StatusWatch {
    pub(crate) fn new(mut status: watch::Receiver<Status>) -> Self {
        // Whoever watches wants to be told how it stands at first, too.
        status.mark_changed();
        Self { status }
    }

    /// The status as it is now, whether it was told or not.
    pub fn now(&self) -> Status {
        self.status.borrow().clone()
    }

    /// The status as soon as it differs from the one that was told last. `None` once the source
    /// is no longer followed.
    pub async fn changed(&mut self) -> Option<Status> {
        self.status.changed().await.ok()?;
        Some(self.status.borrow_and_update().clone())
    }
}
