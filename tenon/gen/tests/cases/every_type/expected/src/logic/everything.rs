// Scaffolded by tenon once; yours to edit.
//! `POST /everything`

use every_type_contract::rest;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `POST /everything`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn everything(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rest::Everything,
) -> Result<rest::Everything> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
