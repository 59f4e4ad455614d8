// Scaffolded by tenon once; yours to edit.
//! `GET /api/v1/ticks`

use tenon::{Context, Result, catalogue, rest::Events};

use crate::ServiceContext;

/// `GET /api/v1/ticks`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn ticks(_cx: &Context, _svc: &ServiceContext) -> Result<Events<i64>> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
