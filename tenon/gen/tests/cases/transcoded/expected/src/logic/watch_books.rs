// Scaffolded by tenon once; yours to edit.
//! `rpc WatchBooks`

use library_contract::rpc;
use tenon::{Context, Messages, Result, catalogue};

use crate::ServiceContext;

/// Tells of changes as they happen.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn watch_books(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rpc::ListBooksReq,
) -> Result<Messages<rpc::Book>> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
