// Scaffolded by tenon once; yours to edit.
//! The middleware `Audit`.

use tenon::{
    Context, Result,
    rest::{Next, Request, Response},
};

/// Runs around every route that names `Audit`, after the token and the permission were
/// checked.
///
/// # Errors
/// What the operation answers.
pub async fn audit(cx: Context, req: Request, next: Next) -> Result<Response> {
    next.run(cx, req).await
}
