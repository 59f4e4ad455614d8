//! `GET /api/v1/identity/me`

use identity_contract::rest;
use tenon::{Context, Result};

use crate::{ServiceContext, view};

/// The caller's own account.
///
/// `GET /api/v1/identity/me`
///
/// # Errors
/// `SESSION_ENDED`.
pub async fn me(cx: &Context, svc: &ServiceContext) -> Result<rest::Account> {
    let live = svc.live_caller(cx).await?;
    Ok(view::own(&live.account, svc.now()))
}
