// Scaffolded by tenon once; yours to edit.
//! `DELETE /path/:id`

use every_type_contract::rest;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `DELETE /path/:id`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn path_only(_cx: &Context, _svc: &ServiceContext, _req: rest::PathOnly) -> Result<()> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
