// Scaffolded by tenon once; yours to edit.
//! `rpc GetBook`

use library_contract::rpc;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// Finds one book.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn get_book(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rpc::GetBookReq,
) -> Result<rpc::Book> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
