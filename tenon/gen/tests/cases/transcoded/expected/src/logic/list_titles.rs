// Scaffolded by tenon once; yours to edit.
//! `rpc ListTitles`

use library_contract::rpc;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// Titles alone.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn list_titles(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rpc::ListBooksReq,
) -> Result<rpc::ListBooksResp> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
