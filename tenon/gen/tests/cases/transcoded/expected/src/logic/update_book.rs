// Scaffolded by tenon once; yours to edit.
//! `rpc UpdateBook`

use library_contract::rpc;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// Changes a book.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn update_book(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rpc::UpdateBookReq,
) -> Result<rpc::Book> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
