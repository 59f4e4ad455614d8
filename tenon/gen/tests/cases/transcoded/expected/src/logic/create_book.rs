// Scaffolded by tenon once; yours to edit.
//! `rpc CreateBook`

use library_contract::rpc;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// Puts a book on a shelf.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn create_book(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rpc::CreateBookReq,
) -> Result<rpc::Book> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
