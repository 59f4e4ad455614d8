// Scaffolded by tenon once; yours to edit.
//! `rpc move`

use obstacles_contract::rpc;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `rpc move`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn r#move(_cx: &Context, _svc: &ServiceContext, _req: rpc::Vec) -> Result<rpc::Future> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
