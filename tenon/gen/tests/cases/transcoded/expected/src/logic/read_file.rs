// Scaffolded by tenon once; yours to edit.
//! `rpc ReadFile`

use library_contract::rpc;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// The pages themselves.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn read_file(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rpc::ReadFileReq,
) -> Result<rpc::google::api::HttpBody> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
