// Scaffolded by tenon once; yours to edit.
//! `GET /text`

use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `GET /text`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn text(_cx: &Context, _svc: &ServiceContext) -> Result<String> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
