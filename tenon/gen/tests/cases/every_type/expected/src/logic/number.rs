// Scaffolded by tenon once; yours to edit.
//! `GET /number`

use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `GET /number`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn number(_cx: &Context, _svc: &ServiceContext) -> Result<i64> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
