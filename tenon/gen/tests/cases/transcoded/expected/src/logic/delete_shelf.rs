// Scaffolded by tenon once; yours to edit.
//! `rpc DeleteShelf`

use library_contract::rpc;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// Throws a shelf away.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn delete_shelf(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rpc::DeleteShelfReq,
) -> Result<()> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
