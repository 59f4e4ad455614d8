// Scaffolded by tenon once; yours to edit.
//! `POST /v1/self`

use obstacles_contract::rest;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `POST /v1/self`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn self_(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rest::Option,
) -> Result<rest::Option> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
