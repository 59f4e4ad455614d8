//! `rpc GetKeys`

use identity_contract::rpc;
use tenon::{Context, Result};

use crate::ServiceContext;

/// The public keys of the access tokens.
///
/// # Errors
/// None.
pub async fn get_keys(
    _cx: &Context,
    svc: &ServiceContext,
    _req: rpc::GetKeysReq,
) -> Result<rpc::GetKeysResp> {
    let jwks = svc.signer.jwks().to_string();
    Ok(rpc::GetKeysResp { jwks })
}
