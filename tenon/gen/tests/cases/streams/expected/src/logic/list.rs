// Scaffolded by tenon once; yours to edit.
//! `rpc list`

use streams_contract::rpc;
use tenon::{Context, Messages, Result, catalogue};

use crate::ServiceContext;

/// As many items as the number says.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn list(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rpc::Item,
) -> Result<Messages<rpc::Item>> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
