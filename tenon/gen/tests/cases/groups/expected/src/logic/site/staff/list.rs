// Scaffolded by tenon once; yours to edit.
//! `GET /api/v1/site/:siteId/staff`

use groups_contract::rest;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `GET /api/v1/site/:siteId/staff`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn list(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rest::SiteReq,
) -> Result<rest::ListResp> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
