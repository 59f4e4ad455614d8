// Scaffolded by tenon once; yours to edit.
//! `PUT /v1/mixed/:input`

use obstacles_contract::rest;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `PUT /v1/mixed/:input`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn mixed(_cx: &Context, _svc: &ServiceContext, _req: rest::MixedReq) -> Result<rest::Ok> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
