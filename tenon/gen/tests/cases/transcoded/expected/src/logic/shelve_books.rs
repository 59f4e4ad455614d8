// Scaffolded by tenon once; yours to edit.
//! `rpc ShelveBooks`

use library_contract::rpc;
use tenon::{Context, Messages, Result, catalogue};

use crate::ServiceContext;

/// Puts many books on a shelf.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn shelve_books(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: Messages<rpc::CreateBookReq>,
) -> Result<rpc::ListBooksResp> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
