//! A step of a request's trace for each wait on the store: with its queue, the work and the commit.
//! Named by OpenTelemetry's conventions for databases; never a statement or a value, which may
//! hold what identifies a person.

use std::{
    borrow::Cow,
    time::{Instant, SystemTime},
};

use tenon_core::{
    Context, Error, Result, TraceContext, catalogue,
    error::Code,
    span::{self, Kind, Span},
};

use crate::Options;

/// One that has begun. Dropped before its end, it says that the caller left.
pub(crate) struct Step<'a>(Option<Wanted<'a>>);

struct Wanted<'a> {
    options: &'a Options,
    operation: &'static str,
    trace: TraceContext,
    began: Instant,
}

impl<'a> Step<'a> {
    /// Costs nothing where nobody wants the span.
    pub(crate) fn begin(options: &'a Options, cx: &Context, operation: &'static str) -> Self {
        Self(span::is_wanted(cx.trace()).then(|| Wanted {
            options,
            operation,
            trace: cx.trace().child(),
            began: Instant::now(),
        }))
    }

    /// It turned out to be another's beginning.
    pub(crate) fn forget(mut self) {
        self.0 = None;
    }

    /// Its end, and the outcome again.
    pub(crate) fn end<T>(mut self, outcome: Result<T>) -> Result<T> {
        if let Some(step) = self.0.take() {
            let fault = outcome.as_ref().err().filter(|error| is_fault(error));
            step.record(fault.map(|error| error.code().to_owned()));
        }
        outcome
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        if let Some(step) = self.0.take() {
            step.record(Some(catalogue::CANCELLED.code.to_owned()));
        }
    }
}

impl Wanted<'_> {
    fn record(self, failure: Option<String>) {
        let name = self.options.path.file_stem().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        span::record(&self.trace, || Span {
            trace: self.trace,
            kind: Kind::Client,
            service: None,
            name: Cow::Owned(format!("{} {name}", self.operation)),
            ended: SystemTime::now(),
            elapsed: self.began.elapsed(),
            failure,
            attributes: vec![
                ("db.system.name", "sqlite".into()),
                ("db.namespace", name.into()),
                ("db.operation.name", self.operation.into()),
            ],
        });
    }
}

/// What the store or the time is to blame for. That a row is not there is an answer.
fn is_fault(error: &Error) -> bool {
    matches!(
        error.status(),
        Code::Unknown
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}
