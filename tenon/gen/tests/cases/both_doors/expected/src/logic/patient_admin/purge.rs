// Scaffolded by tenon once; yours to edit.
//! `rpc Purge`

use both_doors_contract::rpc;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `rpc Purge`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn purge(_cx: &Context, _svc: &ServiceContext, _req: rpc::common::Page) -> Result<()> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
