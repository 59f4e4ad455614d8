//! What is counted and logged of a call, and its span where the trace is recorded.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant, SystemTime},
};

use tenon_core::{
    Code, Context, Error, TraceContext,
    span::{self, Attribute, Kind, Span},
};
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
    step: Option<Step>,
    _in_flight: InFlight,
}

/// What the span of a call is made of.
pub(crate) struct Step {
    kind: Kind,
    method: &'static Method,
    trace: TraceContext,
    service: Option<Arc<str>>,
}

impl Step {
    /// The span of an answer, if somebody wants it.
    pub(crate) fn answer(
        method: &'static Method,
        trace: &TraceContext,
        service: &Arc<str>,
    ) -> Option<Self> {
        span::is_wanted(trace).then(|| Self {
            kind: Kind::Server,
            method,
            trace: *trace,
            service: Some(service.clone()),
        })
    }

    /// The span of a call below the span of `cx`, if somebody wants it, and the context of what
    /// belongs to it.
    pub(crate) fn call(
        kind: Kind,
        method: &'static Method,
        cx: &Context,
    ) -> Option<(Self, Context)> {
        span::is_wanted(cx.trace()).then(|| {
            let trace = cx.trace().child();
            let step = Self {
                kind,
                method,
                trace,
                service: None,
            };
            (step, cx.with_trace(trace))
        })
    }

    /// The call ended. Named by OpenTelemetry's conventions for gRPC: to who calls, every status
    /// but OK is an error, to who answers those are that are its own fault.
    pub(crate) fn end(self, code: Option<Code>, elapsed: Duration) {
        let fault = matches!(
            code,
            Some(
                Code::Unknown
                    | Code::DeadlineExceeded
                    | Code::Unimplemented
                    | Code::Internal
                    | Code::Unavailable
                    | Code::DataLoss
            )
        );
        let failed = match self.kind {
            Kind::Server => fault,
            Kind::Client | Kind::Internal => code.is_some(),
        };
        let number = code.map_or(0, |code| code as u8);
        span::record(&self.trace, || Span {
            trace: self.trace,
            kind: self.kind,
            service: self.service.map(|service| service.to_string()),
            name: self.method.path().trim_start_matches('/').into(),
            ended: SystemTime::now(),
            elapsed,
            failure: failed.then(|| number.to_string()),
            attributes: vec![
                ("rpc.system", "grpc".into()),
                ("rpc.service", self.method.service().into()),
                ("rpc.method", self.method.name().into()),
                ("rpc.grpc.status_code", Attribute::Number(number.into())),
            ],
        });
    }
}

impl Calling {
    pub(crate) fn start(handle: &RpcMethod) -> Self {
        Self {
            handle: handle.clone(),
            started: Instant::now(),
            finished: false,
            step: None,
            _in_flight: handle.start(),
        }
    }

    /// A call to another service, which is one span; the context carries it there.
    pub(crate) fn client(
        handle: &RpcMethod,
        method: &'static Method,
        cx: &Context,
    ) -> (Self, Context) {
        let mut calling = Self::start(handle);
        let (step, cx) = match Step::call(Kind::Client, method, cx) {
            Some((step, cx)) => (Some(step), cx),
            None => (None, cx.clone()),
        };
        calling.step = step;
        (calling, cx)
    }

    /// The same, with its span.
    pub(crate) fn with_step(mut self, step: Option<Step>) -> Self {
        self.step = step;
        self
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
        if let Some(step) = self.step.take() {
            step.end(code, elapsed);
        }
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
