// Scaffolded by tenon once; yours to edit.
//! `rpc a`

use obstacles_contract::rpc;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `rpc a`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn a_2(_cx: &Context, _svc: &ServiceContext, _req: rpc::Vec) -> Result<rpc::Vec> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
