// Scaffolded by tenon once; yours to edit.
//! `rpc A`

use obstacles_contract::rpc;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `rpc A`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn a(_cx: &Context, _svc: &ServiceContext, _req: rpc::Vec) -> Result<rpc::Vec> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
