//! What is kept of a call for the picture of its trace: one record when it ends, handed to
//! whoever exports them.
//!
//! Nothing is done while the call runs, and nothing at all where nobody exports or the trace is
//! not sampled. Names and attributes come from closed sets: route templates, methods, codes.
//!
//! Sampling is parent-based with a ratio at the root, as OpenTelemetry specifies it
//! (<https://opentelemetry.io/docs/specs/otel/trace/sdk/#sampling>): who starts a trace decides
//! by its id, and all others follow its flag.

use std::{
    borrow::Cow,
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use crate::TraceContext;

/// A trace is sampled when the lower 63 bits of its id are below this.
static THRESHOLD: AtomicU64 = AtomicU64::new(ALL);
const ALL: u64 = 1 << 63;

static SINK: OnceLock<Box<dyn Sink>> = OnceLock::new();

/// Who takes the spans of this process.
pub trait Sink: Send + Sync {
    /// Takes a span. Must not wait: a span that cannot be kept is dropped, and counted.
    fn take(&self, span: Span);
}

/// One step on the way of a request, after its end.
#[derive(Debug, Clone)]
pub struct Span {
    /// Its trace, its own id, and that of the span above it.
    pub trace: TraceContext,
    /// What kind of step it is.
    pub kind: Kind,
    /// The service that did it; `None` is the one that the process is named after.
    pub service: Option<String>,
    /// A route template or a method, never a path.
    pub name: Cow<'static, str>,
    /// When it ended.
    pub ended: SystemTime,
    /// How long it took.
    pub elapsed: Duration,
    /// The catalogue code of a failure that was the service's own.
    pub failure: Option<String>,
    /// What more is known, by the names of OpenTelemetry's semantic conventions.
    pub attributes: Vec<(&'static str, Attribute)>,
}

/// The kind of a [`Span`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The service answers.
    Server,
    /// The service calls.
    Client,
    /// Neither: a step inside.
    Internal,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// A text of a closed set.
    Text(Cow<'static, str>),
    /// A number.
    Number(i64),
}

impl From<&'static str> for Attribute {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Attribute {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<u16> for Attribute {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

/// Whether a span of this trace would be taken.
pub fn is_wanted(trace: &TraceContext) -> bool {
    trace.sampled() && SINK.get().is_some()
}

/// Hands over a span, which is made only if somebody wants it.
pub fn record(trace: &TraceContext, make: impl FnOnce() -> Span) {
    if trace.sampled()
        && let Some(sink) = SINK.get()
    {
        sink.take(make());
    }
}

/// Sends the spans of this process to `sink` from now on.
///
/// # Errors
/// The process has a sink already.
pub fn set_sink(sink: Box<dyn Sink>) -> Result<(), SinkError> {
    SINK.set(sink).map_err(|_| SinkError)
}

/// Which part of the traces that begin here is recorded, from 0 to 1.
pub fn set_sample_ratio(ratio: f64) {
    // The product is exact enough: a ratio is given to a few digits.
    let threshold = (ratio.clamp(0.0, 1.0) * ALL as f64) as u64;
    THRESHOLD.store(threshold, Ordering::Relaxed);
}

/// Whether a trace that begins here is recorded.
pub(crate) fn samples(trace_id: u128) -> bool {
    (trace_id as u64) >> 1 < THRESHOLD.load(Ordering::Relaxed)
}

/// The process has a sink for spans already.
#[derive(Debug)]
pub struct SinkError;

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the process exports its spans already; set them up once, at the start")
    }
}

impl std::error::Error for SinkError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test for all, because the ratio belongs to the whole process.
    #[test]
    fn a_ratio_samples_its_part_of_the_traces() {
        let part = |ratio| {
            set_sample_ratio(ratio);
            let sampled = |_: &u32| TraceContext::new().sampled();
            (0..20_000).filter(sampled).count() as f64 / 20_000.0
        };
        assert!(part(0.0) == 0.0 && part(1.0) == 1.0);
        // The standard deviation of 20,000 draws is 0.003: seven of them are never seen.
        let quarter = part(0.25);
        assert!((0.229..0.271).contains(&quarter), "{quarter}");
        set_sample_ratio(1.0);
    }
}
