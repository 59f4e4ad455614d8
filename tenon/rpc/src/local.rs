//! Calls in the same process: nothing is encoded, and deadline, cancellation and panics mean what
//! they mean over the network.

use std::future::Future;

use tenon_core::{Context, Result};
use tenon_telemetry::RpcMethod;

use crate::{observe::Calling, outcome};

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
