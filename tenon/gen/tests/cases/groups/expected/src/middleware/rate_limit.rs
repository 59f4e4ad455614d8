// Scaffolded by tenon once; yours to edit.
//! The middleware `RateLimit`.

use tenon::{
    Context, Result,
    rest::{Next, Request, Response},
};

/// Runs around every route that names `RateLimit`, after the token and the permission were
/// checked.
///
/// # Errors
/// What the operation answers.
pub async fn rate_limit(cx: Context, req: Request, next: Next) -> Result<Response> {
    next.run(cx, req).await
}
