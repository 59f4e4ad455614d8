// Scaffolded by tenon once; yours to edit.
//! `POST /v1/async`

use obstacles_contract::rest;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `POST /v1/async`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn r#async(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rest::Bind,
) -> Result<rest::LowerCase2> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
