//! What is counted and logged of a call.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
    time::{Duration, Instant},
};

use tenon_core::{Code, Error};
use tenon_telemetry::{InFlight, Metrics, RpcMethod, Side};

use crate::Method;

/// The metric handles of the methods that are called, each resolved once.
pub(crate) struct Meter {
    metrics: Metrics,
    side: Side,
    handles: RwLock<HashMap<&'static str, RpcMethod>>,
}

impl Meter {
    pub(crate) fn new(metrics: Metrics, side: Side) -> Self {
        let handles = RwLock::default();
        Self {
            metrics,
            side,
            handles,
        }
    }

    pub(crate) fn of(&self, method: &'static Method) -> RpcMethod {
        let known = self.handles.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = known.get(method.path()) {
            return handle.clone();
        }
        drop(known);
        let handle = self
            .metrics
            .rpc_method(self.side, method.service(), method.name());
        self.handles
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(method.path())
            .or_insert(handle)
            .clone()
    }
}

/// A call that is being counted. Dropped before it finished, it counts as cancelled.
pub(crate) struct Calling {
    handle: RpcMethod,
    started: Instant,
    finished: bool,
    _in_flight: InFlight,
}

impl Calling {
    pub(crate) fn start(handle: &RpcMethod) -> Self {
        Self {
            handle: handle.clone(),
            started: Instant::now(),
            finished: false,
            _in_flight: handle.start(),
        }
    }

    pub(crate) fn finish<T>(mut self, result: &Result<T, Error>) -> Duration {
        let code = result.as_ref().err().map(Error::status);
        self.record(code)
    }

    /// Counts the call as cancelled.
    pub(crate) fn abandon(mut self) -> Duration {
        self.record(Some(Code::Cancelled))
    }

    fn record(&mut self, code: Option<Code>) -> Duration {
        self.finished = true;
        let elapsed = self.started.elapsed();
        self.handle.record(code, elapsed);
        elapsed
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        if !self.finished {
            self.record(Some(Code::Cancelled));
        }
    }
}
