// Scaffolded by tenon once; yours to edit.
//! `rpc ListBooks`

use library_contract::rpc;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// Looks for books.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn list_books(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rpc::ListBooksReq,
) -> Result<rpc::ListBooksResp> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
