// Scaffolded by tenon once; yours to edit.
//! `GET /ping`

use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `GET /ping`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn ping(_cx: &Context, _svc: &ServiceContext) -> Result<()> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
