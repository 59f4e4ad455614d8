// Scaffolded by tenon once; yours to edit.
//! `rpc HasShelf`

use library_contract::rpc;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// Looks whether a shelf is there.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn has_shelf(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rpc::DeleteShelfReq,
) -> Result<()> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
