//! A layer that demands a token on all routes, for services whose contract does not say so
//! itself: what `server.Use` of a token middleware is in Go.

use std::sync::Arc;

use tenon_auth::Verifier;
use tenon_core::Context;
use tenon_rest::{Middleware, Next, Request};

/// Lets a request pass only with a valid token, and puts its caller into the context.
///
/// Routes whose contract says `jwt` or `permission` need no such layer: their door does the same.
pub fn require_token(verifier: Arc<Verifier>) -> Middleware {
    Middleware::from_fn(move |cx: Context, request: Request, next: Next| {
        let verifier = verifier.clone();
        async move {
            let principal = verifier.verify(tenon_rest::authorization(request.headers()))?;
            next.run(cx.with_principal(principal), request).await
        }
    })
}
