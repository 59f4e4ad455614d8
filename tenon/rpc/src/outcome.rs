//! What a call's end means to its caller: rules that local and remote calls share.

use std::future::Future;

use tenon_core::{Code, Context, Error, Result, catalogue, panics, trace::within};

/// Runs `work` until it ends, its context ends, or it panics: `INTERNAL` then. The panic's text
/// is not kept, for it may hold what identifies a person; its place is the cause.
pub(crate) async fn contain<T>(cx: &Context, work: impl Future<Output = Result<T>>) -> Result<T> {
    match within(cx.trace(), panics::contain(cx.run(work))).await {
        Ok(Ok(Err(error))) => Err(own(cx, error)),
        Ok(Ok(value)) => value,
        Ok(Err(ended)) => Err(ended),
        Err(panicked) => Err(Error::internal("end the call", panicked)),
    }
}

/// The error of a called service, seen by its caller. A cancellation that the caller did not ask
/// for is the service's failure.
pub(crate) fn seen_by_caller(cx: &Context, error: Error) -> Error {
    let error = own(cx, error);
    if error.status() == Code::Cancelled && !cx.is_cancelled() {
        return catalogue::UNAVAILABLE.error().cause(error);
    }
    error
}

/// Work whose context ended often fails with what its end brought about, such as a broken
/// statement; its caller learns the reason.
pub(crate) fn own(cx: &Context, error: Error) -> Error {
    let symptom = matches!(
        error.status(),
        Code::Cancelled | Code::Unknown | Code::Internal | Code::Unavailable
    );
    match cx.check() {
        Err(ended) if symptom && ended.status() != error.status() => ended.cause(error),
        _ => error,
    }
}
