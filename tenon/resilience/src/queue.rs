//! The queue before the worker threads of one runtime. All doors of a process stand before the
//! same threads, so that they share it: with a controller each, the reports of one service would
//! be served while the submissions of another are refused.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    runtime::{Handle, Id},
    time::Instant,
};

use crate::{Criticality, admission::Admission, delay::Delay};

/// The queue of one runtime: whether it stands, and what of it is let in.
#[derive(Debug)]
pub(crate) struct Queue {
    delay: Delay,
    admission: Admission,
}

impl Queue {
    /// The one of the runtime that this is called on, and a new one where there is none.
    pub(crate) fn current() -> Arc<Self> {
        static ALL: Mutex<Option<HashMap<Id, Weak<Queue>>>> = Mutex::new(None);
        let Ok(runtime) = Handle::try_current() else {
            return Arc::new(Self::new());
        };
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        let all = all.get_or_insert_default();
        // Runtimes are few, but tests make many.
        all.retain(|_, queue| queue.strong_count() > 0);
        if let Some(queue) = all.get(&runtime.id()).and_then(Weak::upgrade) {
            return queue;
        }
        let queue = Arc::new(Self::new());
        all.insert(runtime.id(), Arc::downgrade(&queue));
        queue
    }

    fn new() -> Self {
        Self {
            delay: Delay::new(),
            admission: Admission::new(),
        }
    }

    /// Whether it stands, so that requests should say how long they waited.
    pub(crate) fn is_standing(&self, now: Instant) -> bool {
        self.delay.is_armed(now)
    }

    /// Whether a request is let in that waited so long until `now`.
    pub(crate) fn admits(&self, class: Criticality, wait: Duration, now: Instant) -> bool {
        let admitted = self.admission.admits(class, wait, now);
        if self.admission.is_refusing() {
            self.delay.arm(now);
        }
        admitted
    }
}
