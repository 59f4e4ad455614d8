// Scaffolded by tenon once; yours to edit.
//! `rpc import`

use streams_contract::rpc;
use tenon::{Context, Messages, Result, catalogue};

use crate::ServiceContext;

/// How many items came.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn import(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: Messages<rpc::Item>,
) -> Result<rpc::Item> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
