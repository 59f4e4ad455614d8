//! Calls in the same process: nothing is encoded, and deadline, cancellation and panics mean what
//! they mean over the network.

use std::future::Future;

use tenon_core::{Context, Messages, Result};
use tenon_telemetry::RpcMethod;

use crate::{
    calling::{self, Call},
    observe::Calling,
    outcome,
};

/// Runs a call of a service in this process. The call ends with its context: `DEADLINE_EXCEEDED`
/// (4) or `CANCELLED` (1); a panic in it is `INTERNAL` (13). It is counted in `metrics` as a
/// client's call.
///
/// The call shares the caller's context, token and span included: work that it hands to another
/// task ends when that context does, not when only this future is dropped.
///
/// # Errors
/// What the service answers, or the three above.
pub async fn call<T, F>(
    cx: &Context,
    metrics: Option<&RpcMethod>,
    work: impl FnOnce() -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let calling = metrics.map(Calling::start);
    // The closure is called inside, so that a panic before the first await is caught as well.
    let result = outcome::contain(cx, async { work().await })
        .await
        .map_err(|error| outcome::seen_by_caller(cx, error));
    if let Some(calling) = calling {
        calling.finish(&result);
    }
    result
}

/// [`call`] for a method that takes a stream. A failure among `requests` is the caller's own: it
/// ends the work, and is what the call answers.
///
/// # Errors
/// As [`call`], or the failure of what the caller sends.
pub async fn call_streaming<Req, T, F>(
    cx: &Context,
    metrics: Option<&RpcMethod>,
    requests: Messages<Req>,
    work: impl FnOnce(Messages<Req>) -> F,
) -> Result<T>
where
    Req: Send + 'static,
    F: Future<Output = Result<T>>,
{
    let (requests, breach) = calling::in_process(requests);
    call(cx, metrics, || breach.or(async { work(requests).await })).await
}

/// [`call`] for a method that answers with a stream. The work has a context of its own, which
/// ends when the stream is dropped, as it would over the network.
///
/// # Errors
/// As [`call`]; once the stream has begun, they are its last item.
pub async fn stream<T, F>(
    cx: &Context,
    metrics: Option<&RpcMethod>,
    work: impl FnOnce(Context) -> F,
) -> Result<Messages<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<Messages<T>>>,
{
    let (cx, guard) = cx.with_cancel();
    let call = Call {
        cx,
        guard,
        breach: None,
        calling: metrics.map(Calling::start),
        told: None,
    };
    let begun = outcome::contain(&call.cx, async { work(call.cx.clone()).await }).await;
    begin(begun, call)
}

/// [`stream`] for a method that takes a stream as well.
///
/// # Errors
/// As [`stream`], or the failure of what the caller sends.
pub async fn stream_streaming<Req, T, F>(
    cx: &Context,
    metrics: Option<&RpcMethod>,
    requests: Messages<Req>,
    work: impl FnOnce(Context, Messages<Req>) -> F,
) -> Result<Messages<T>>
where
    Req: Send + 'static,
    T: Send + 'static,
    F: Future<Output = Result<Messages<T>>>,
{
    let (cx, guard) = cx.with_cancel();
    let (requests, breach) = calling::in_process(requests);
    let call = Call {
        cx,
        guard,
        breach: Some(breach.clone()),
        calling: metrics.map(Calling::start),
        told: None,
    };
    let work = breach.or(async { work(call.cx.clone(), requests).await });
    let begun = outcome::contain(&call.cx, work).await;
    begin(begun, call)
}

fn begin<T: Send + 'static>(begun: Result<Messages<T>>, call: Call) -> Result<Messages<T>> {
    match begun {
        Ok(items) => Ok(calling::watched(items, call)),
        Err(error) => {
            let error = outcome::seen_by_caller(&call.cx, error);
            call.end(&Err(error.clone()));
            Err(error)
        }
    }
}
