// Scaffolded by tenon once; yours to edit.
//! `rpc Hidden`

use library_contract::rpc;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// Nothing over HTTP.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn hidden(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rpc::GetBookReq,
) -> Result<rpc::Book> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
