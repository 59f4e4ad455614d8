// Scaffolded by tenon once; yours to edit.
//! `rpc echo`

use tenon::{Context, Result};
use ward_contract::rpc;

use crate::ServiceContext;

/// Gives back what it was given.
///
/// # Errors
/// None.
pub async fn echo(
    _cx: &Context,
    _svc: &ServiceContext,
    req: rpc::EchoReq,
) -> Result<rpc::EchoResp> {
    Ok(rpc::EchoResp { text: req.text })
}
