// Scaffolded by tenon once; yours to edit.
//! `rpc Fetch`

use archive_contract::rpc;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// Gives it back.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn fetch(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rpc::FetchReq,
) -> Result<rpc::google::api::HttpBody> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
