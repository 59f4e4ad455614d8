//! `POST /api/v1/identity/account/:id/status`

use cohort_access::{Act, Permission, Role};
use identity_contract::rest;
use serde_json::json;
use tenon::{
    Context, Error, Result, Timestamp, Violation,
    store::{
        Tx,
        audit::{Record, SERVICE, append},
    },
};

use super::grant_role::current;
use crate::{
    ServiceContext,
    account::{Account, Status},
    errors::{LAST_ADMINISTRATOR, STATUS_CONFLICT},
    store::{
        account::{has_other_administrator, set_status},
        attempt, session,
    },
    view,
};

/// The longest reason, in characters.
const REASON_MAX: usize = 500;

/// Suspends, closes, activates or unlocks an account. Suspending and closing end its sessions.
///
/// `POST /api/v1/identity/account/:id/status`
///
/// # Errors
/// `REQUEST_INVALID`; `ACCOUNT_NOT_FOUND`; `PERMISSION_DENIED` when the account has grants beyond
/// the caller's own scope; `STATUS_CONFLICT` for a closed one; `LAST_ADMINISTRATOR`.
pub async fn set_account_status(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::SetAccountStatusReq,
) -> Result<rest::Account> {
    let live = svc.live_caller(cx).await?;
    let (to, reason) = read(&req)?;
    let account = view::find(cx, svc, &live.caller, &req.id).await?;
    view::require_all(&live.caller, Permission::AccountWrite, &account)?;
    let now = svc.now();
    let record = Record {
        reason: Some(reason),
        ..live.caller.record(Act {
            stream: SERVICE,
            action: "account.status",
            entity_id: &account.id,
            permission: Permission::AccountWrite,
            scope: account
                .grants
                .first()
                .map(view::scope_of)
                .unwrap_or_default(),
            time: now,
        })
    };
    let id = account.id;
    let moved = svc.db.write(cx, async move |tx: &mut Tx| {
        let account = current(tx, &id).await?;
        apply(tx, &account, to, &record, now).await?;
        current(tx, &id).await
    });
    Ok(view::seen_by(&live.caller, &moved.await?, now))
}

fn read(req: &rest::SetAccountStatusReq) -> Result<(Status, String)> {
    let mut violations = Vec::new();
    let reason = req.reason.trim();
    if !(1..=REASON_MAX).contains(&reason.chars().count()) {
        let expected = format!("1 to {REASON_MAX} characters");
        violations.push(Violation::body("reason", "length", expected));
    }
    let to = Status::parse(&req.status).filter(|status| *status != Status::Invited);
    match to {
        Some(to) if violations.is_empty() => Ok((to, reason.to_owned())),
        Some(_) => Err(Error::invalid(violations)),
        None => {
            let expected = "one of active, suspended, closed";
            violations.push(Violation::body("status", "options", expected));
            Err(Error::invalid(violations))
        }
    }
}

async fn apply(
    tx: &mut Tx,
    account: &Account,
    to: Status,
    record: &Record,
    now: Timestamp,
) -> Result<()> {
    let from = account.status;
    if !from.may_become(to) {
        return Err(STATUS_CONFLICT.error().param("status", from.as_str()));
    }
    let administrator = account
        .grants
        .iter()
        .any(|grant| grant.role == Role::Admin && grant.study.is_none());
    if administrator && to != Status::Active && !has_other_administrator(tx, &account.id).await? {
        return Err(LAST_ADMINISTRATOR.error());
    }
    if to == Status::Active {
        unlock(tx, account, record).await?;
    } else {
        let reason = to.as_str();
        session::end_all(tx, &account.id, None, reason, now).await?;
    }
    if from == to {
        return Ok(());
    }
    set_status(tx, &account.id, to).await?;
    let record = Record {
        old: Some(json!({ "status": from.as_str() })),
        new: Some(json!({ "status": to.as_str() })),
        ..record.clone()
    };
    append(tx, &record).await?;
    Ok(())
}

/// Forgets failed logins, and records it where they had locked the account.
async fn unlock(tx: &mut Tx, account: &Account, record: &Record) -> Result<()> {
    let locked = account.shown_status(record.time) == "locked";
    attempt::forget_account(tx, &account.id).await?;
    if locked {
        let record = Record {
            action: "account.unlock".to_owned(),
            ..record.clone()
        };
        append(tx, &record).await?;
    }
    Ok(())
}
