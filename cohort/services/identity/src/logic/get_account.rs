//! `rpc GetAccount`

use identity_contract::rpc;
use tenon::{Context, Result};

use crate::{ServiceContext, view};

/// An account with its grants, as they are now: the caller's own, or one that it may see.
///
/// # Errors
/// `SESSION_ENDED`, `PERMISSION_DENIED`, `ACCOUNT_NOT_FOUND`.
pub async fn get_account(
    cx: &Context,
    svc: &ServiceContext,
    req: rpc::GetAccountReq,
) -> Result<rpc::GetAccountResp> {
    let live = svc.live_caller(cx).await?;
    if req.id == live.account.id {
        return Ok(view::message(view::own(&live.account, svc.now())));
    }
    let account = view::find(cx, svc, &live.caller, &req.id).await?;
    let shown = view::seen_by(&live.caller, &account, svc.now());
    Ok(view::message(shown))
}
