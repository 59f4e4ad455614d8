// Scaffolded by tenon once; yours to edit.
//! `rpc sync`

use streams_contract::rpc;
use tenon::{Context, Messages, Result, catalogue};

use crate::ServiceContext;

/// Each item as it came.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn sync(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: Messages<rpc::Item>,
) -> Result<Messages<rpc::Item>> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
