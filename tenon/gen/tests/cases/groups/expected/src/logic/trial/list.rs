// Scaffolded by tenon once; yours to edit.
//! `GET /api/v1/trial`

use groups_contract::rest;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// 列出试验
///
/// `GET /api/v1/trial`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn list(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rest::ListReq,
) -> Result<rest::ListResp> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
