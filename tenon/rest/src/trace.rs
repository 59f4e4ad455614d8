//! The trace of a request: read from its caller, told to its caller.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tenon_core::{Context, TraceContext, trace};

/// W3C Trace Context: the trace and span of who calls.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What other tracers keep in the trace; passed on as it came.
pub const TRACESTATE: HeaderName = HeaderName::from_static(trace::STATE);
/// The trace id alone, for people who report a problem.
pub const TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");

/// The caller's trace with a span of our own, or a new trace.
pub fn incoming(headers: &HeaderMap) -> TraceContext {
    caller(headers).map_or_else(TraceContext::new, |caller| caller.child())
}

/// The caller's trace and span, unless they are malformed or given twice (Trace Context, 3.2).
pub fn caller(headers: &HeaderMap) -> Option<TraceContext> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    match (values.next()?, values.next()) {
        (only, None) => TraceContext::parse(only.to_str().ok()?),
        _ => None,
    }
}

/// The context with what other tracers keep in the caller's trace, for the calls that follow.
pub fn with_state(cx: Context, headers: &HeaderMap) -> Context {
    if !headers.contains_key(TRACESTATE) || caller(headers).is_none() {
        return cx;
    }
    let lists = headers.get_all(TRACESTATE).iter();
    match trace::state(lists.map(HeaderValue::as_bytes)) {
        Some(state) => cx.with_trace_state(state),
        None => cx,
    }
}

/// Tells the caller under which trace its request is found. Both headers share one text.
pub fn mark(headers: &mut HeaderMap, trace: &TraceContext) {
    let text = Bytes::from(trace.to_string());
    let id = text.get(3..35).map(|digits| text.slice_ref(digits));
    if let Ok(value) = HeaderValue::from_maybe_shared(text) {
        headers.insert(TRACEPARENT, value);
    }
    if let Some(Ok(value)) = id.map(HeaderValue::from_maybe_shared) {
        headers.insert(TRACE_ID, value);
    }
}
