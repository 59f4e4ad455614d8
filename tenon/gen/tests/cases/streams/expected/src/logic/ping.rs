// Scaffolded by tenon once; yours to edit.
//! `GET /api/v1/ping`

use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `GET /api/v1/ping`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn ping(_cx: &Context, _svc: &ServiceContext) -> Result<()> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
