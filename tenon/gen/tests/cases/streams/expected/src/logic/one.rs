// Scaffolded by tenon once; yours to edit.
//! `rpc one`

use streams_contract::rpc;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// One item for each that the text asks for.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn one(_cx: &Context, _svc: &ServiceContext, _req: rpc::Item) -> Result<rpc::Item> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
