// Scaffolded by tenon once; yours to edit.
//! `rpc Converse`

use library_contract::rpc;
use tenon::{Context, Messages, Result, catalogue};

use crate::ServiceContext;

/// Answers while it is asked.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn converse(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: Messages<rpc::Book>,
) -> Result<Messages<rpc::Book>> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
