//! `POST /api/v1/identity/account/:id/grant`

use cohort_access::{Act, Grant, Permission};
use identity_contract::rest;
use tenon::{
    Context, Error, Result, Timestamp,
    store::{
        Tx,
        audit::{Record, append},
    },
};

use crate::{
    ServiceContext,
    account::{Account, GRANTS_MAX, Status, fits_subject, keeps_duties_apart, read_grant},
    audit::{grant_value, stream_of},
    errors::{ACCOUNT_NOT_FOUND, DUTIES_CONFLICT, GRANTS_FULL, ROLE_CONFLICT, STATUS_CONFLICT},
    service_context::LiveCaller,
    store::account::{add_grant, by_id},
    view,
};

/// Grants a role to an account. A grant that it has already is left as it is.
///
/// `POST /api/v1/identity/account/:id/grant`
///
/// # Errors
/// `ACCOUNT_NOT_FOUND`; `TRIAL_NOT_FOUND` and `PERMISSION_DENIED` beyond the caller's own scope;
/// `ROLE_CONFLICT`, `GRANTS_FULL`; `STATUS_CONFLICT` when the account is closed.
pub async fn grant_role(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::GrantReq,
) -> Result<rest::Account> {
    let live = svc.live_caller(cx).await?;
    let (trial, site) = (req.trial_id.as_deref(), req.site_id.as_deref());
    let grant = read_grant("", &req.role, trial, site).map_err(Error::invalid)?;
    let id = view::find(cx, svc, &live.caller, &req.id).await?.id;
    view::require_grant(&live.caller, &grant)?;
    let now = svc.now();
    let record = record_of(&live, "grant.add", &id, &grant, now);
    let granted = svc.db.write(cx, async move |tx: &mut Tx| {
        let account = current(tx, &id).await?;
        check(&account, &grant)?;
        if add_grant(tx, &id, &grant, now).await? {
            append(tx, &record).await?;
        }
        current(tx, &id).await
    });
    Ok(view::seen_by(&live.caller, &granted.await?, now))
}

fn check(account: &Account, grant: &Grant) -> Result<()> {
    if account.status == Status::Closed {
        let conflict = STATUS_CONFLICT.error();
        return Err(conflict.param("status", account.status.as_str()));
    }
    if !fits_subject(std::slice::from_ref(grant), account.subject_id.as_deref()) {
        return Err(ROLE_CONFLICT.error());
    }
    let apart = |other| keeps_duties_apart(grant, other);
    if !account.grants.contains(grant) && !account.grants.iter().all(apart) {
        return Err(DUTIES_CONFLICT.error());
    }
    if account.grants.len() >= GRANTS_MAX && !account.grants.contains(grant) {
        return Err(GRANTS_FULL.error().param("limit", GRANTS_MAX));
    }
    Ok(())
}

/// The account as it is in this transaction.
pub(super) async fn current(tx: &mut Tx, id: &str) -> Result<Account> {
    let account = by_id(tx, id).await?;
    account.ok_or_else(|| ACCOUNT_NOT_FOUND.error())
}

/// The record of a grant that is given or taken, in the stream of its study.
pub(super) fn record_of(
    live: &LiveCaller,
    action: &str,
    account: &str,
    grant: &Grant,
    time: Timestamp,
) -> Record {
    let record = live.caller.record(Act {
        stream: stream_of(grant),
        action,
        entity_id: account,
        permission: Permission::GrantWrite,
        scope: view::scope_of(grant),
        time,
    });
    Record {
        entity: "account".to_owned(),
        new: Some(grant_value(grant)),
        ..record
    }
}
