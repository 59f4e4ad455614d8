//! The metrics, the access log line and the span of one call.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tenon_core::{Code, Error, Principal, Result, TraceContext};
use tenon_telemetry::RpcMethod;

use crate::{
    Method,
    observe::{Calling, Step},
};

/// A call on record. Dropped before it finished, its caller went away: status 1.
pub(super) struct Record {
    method: &'static Method,
    trace: TraceContext,
    caller: Option<Arc<Principal>>,
    calling: Option<Calling>,
    /// The messages that came in, of a call that streams them.
    received: Option<Arc<AtomicU64>>,
    /// The messages that went out, of a call that streams them.
    sent: Option<u64>,
}

impl Record {
    pub(super) fn start(
        method: &'static Method,
        metrics: &RpcMethod,
        trace: &TraceContext,
        service: &Arc<str>,
    ) -> Self {
        let step = Step::answer(method, trace, service);
        Self {
            method,
            trace: *trace,
            caller: None,
            calling: Some(Calling::start(metrics).with_step(step)),
            received: None,
            sent: None,
        }
    }

    pub(super) fn caller(&mut self, principal: &Arc<Principal>) {
        self.caller = Some(principal.clone());
    }

    /// Where the messages are counted that the caller streams.
    pub(super) fn receiving(&mut self) -> Arc<AtomicU64> {
        self.received.get_or_insert_default().clone()
    }

    /// The call answers with a stream.
    pub(super) fn sending(&mut self) {
        self.sent = Some(0);
    }

    /// One more message of the answer was given to the connection.
    pub(super) fn sent(&mut self) {
        if let Some(sent) = &mut self.sent {
            *sent += 1;
        }
    }

    pub(super) fn finish<T>(mut self, result: &Result<T>) {
        let Some(calling) = self.calling.take() else {
            return;
        };
        let elapsed = calling.finish(result);
        let error = result.as_ref().err();
        self.log(error.map(Error::status), elapsed);
        if let Some(error) = error {
            self.explain(error);
        }
    }

    fn log(&self, code: Option<Code>, elapsed: Duration) {
        let received = self.received.as_ref();
        tracing::info!(
            target: "access",
            method = self.method.path(),
            status = code.map_or(0, |code| code as u8),
            duration_ms = elapsed.as_secs_f64() * 1000.0,
            trace_id = %self.trace.trace_id(),
            caller = self.caller.as_ref().map(|principal| principal.subject()),
            received = received.map(|count| count.load(Ordering::Relaxed)),
            sent = self.sent,
        );
    }

    /// The cause of a fault goes to the log, under the trace id that the caller can quote.
    fn explain(&self, error: &Error) {
        let fault = matches!(
            error.status(),
            Code::Internal | Code::Unknown | Code::DataLoss
        );
        if fault {
            tracing::error!(
                method = self.method.path(),
                trace_id = %self.trace.trace_id(),
                code = error.code(),
                cause = error.cause_chain(),
                "a call failed"
            );
        }
    }
}

/// A call of a method that is not served. Its path is the caller's text and could hold anything,
/// so it is neither logged nor a label.
pub(super) fn unknown(trace: &TraceContext, metrics: &RpcMethod, error: &Error) {
    Calling::start(metrics).finish::<()>(&Err(error.clone()));
    tracing::info!(
        target: "access",
        method = "unknown",
        status = error.status() as u8,
        trace_id = %trace.trace_id(),
    );
}

/// A request that is no gRPC call and is answered as plain HTTP.
pub(super) fn not_grpc(trace: &TraceContext, status: http::StatusCode) {
    tracing::info!(
        target: "access",
        method = "unknown",
        http_status = status.as_u16(),
        trace_id = %trace.trace_id(),
    );
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(calling) = self.calling.take() {
            let elapsed = calling.abandon();
            self.log(Some(Code::Cancelled), elapsed);
        }
    }
}
