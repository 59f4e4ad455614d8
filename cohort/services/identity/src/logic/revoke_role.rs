//! `POST /api/v1/identity/account/:id/revoke`

use cohort_access::Role;
use identity_contract::rest;
use tenon::{
    Context, Error, Result,
    store::{
        Tx,
        audit::{Record, append},
    },
};

use super::grant_role::{current, record_of};
use crate::{
    ServiceContext,
    account::read_grant,
    errors::LAST_ADMINISTRATOR,
    store::account::{has_other_administrator, remove_grant},
    view,
};

/// Takes a role from an account; one that it does not have is left as it is.
///
/// `POST /api/v1/identity/account/:id/revoke`
///
/// # Errors
/// `ACCOUNT_NOT_FOUND`; `TRIAL_NOT_FOUND` and `PERMISSION_DENIED` beyond the caller's own scope;
/// `LAST_ADMINISTRATOR`.
pub async fn revoke_role(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::RevokeReq,
) -> Result<rest::Account> {
    let live = svc.live_caller(cx).await?;
    let (trial, site) = (req.trial_id.as_deref(), req.site_id.as_deref());
    let grant = read_grant("", &req.role, trial, site).map_err(Error::invalid)?;
    let id = view::find(cx, svc, &live.caller, &req.id).await?.id;
    view::require_grant(&live.caller, &grant)?;
    let now = svc.now();
    let record = record_of(&live, "grant.remove", &id, &grant, now);
    let record = Record {
        old: record.new.clone(),
        new: None,
        ..record
    };
    let revoked = svc.db.write(cx, async move |tx: &mut Tx| {
        if remove_grant(tx, &id, &grant).await? {
            let administrator = grant.role == Role::Admin && grant.study.is_none();
            if administrator && !has_other_administrator(tx, &id).await? {
                return Err(LAST_ADMINISTRATOR.error());
            }
            append(tx, &record).await?;
        }
        current(tx, &id).await
    });
    Ok(view::seen_by(&live.caller, &revoked.await?, now))
}
