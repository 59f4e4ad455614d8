//! What stands behind a route once its types are gone: an operation, or middleware around one.

use std::{future::Future, pin::Pin};

use tenon_core::{Context, Result};

use crate::{Request, Response};

/// A response on its way. It owns what it needs, so that it can be dropped when its caller leaves.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Response>> + Send>>;

/// Answers requests. One dynamic call instead of a generic onion keeps the code of a service with
/// hundreds of operations small, for some tens of nanoseconds a request.
pub(crate) trait Endpoint: Send + Sync {
    fn call(&self, cx: Context, request: Request) -> Answer;
}
