//! `POST /api/v1/identity/account`

use cohort_access::{Act, Permission, Scope};
use identity_contract::rest;
use secrecy::SecretString;
use tenon::{
    Context, Error, Result,
    store::{Rx, Tx, audit::SERVICE},
};
use uuid::Uuid;

use crate::{
    Draft, ServiceContext,
    account::{Status, distinct, read_grant},
    creation,
    store::account::{NewAccount, by_id},
    view,
};

/// Creates an account. It is invited until its first login, which must come before the password
/// that it is given here expires.
///
/// `POST /api/v1/identity/account`
///
/// # Errors
/// `REQUEST_INVALID` with everything that is wrong; `TRIAL_NOT_FOUND` and `PERMISSION_DENIED`
/// beyond the caller's own scope; `USERNAME_TAKEN`, `SUBJECT_TAKEN`.
pub async fn create_account(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::CreateAccountReq,
) -> Result<rest::Account> {
    let live = svc.live_caller(cx).await?;
    let draft = read(req)?;
    if draft.grants.is_empty() {
        // An account of no study is the installation's.
        let everywhere = Scope::default();
        let hidden = &crate::errors::TRIAL_NOT_FOUND;
        live.caller
            .require(Permission::AccountWrite, everywhere, hidden)?;
    }
    for grant in &draft.grants {
        view::require_grant(&live.caller, grant)?;
    }
    let hash = svc.passwords.hash(cx, draft.password.clone()).await?;
    let (id, now) = (Uuid::now_v7().to_string(), svc.now());
    let record = live.caller.record(Act {
        stream: SERVICE,
        action: "account.create",
        entity_id: &id,
        permission: Permission::AccountWrite,
        scope: draft.grants.first().map(view::scope_of).unwrap_or_default(),
        time: now,
    });
    let stored = id.clone();
    svc.db
        .write(cx, async move |tx: &mut Tx| {
            let new = NewAccount {
                id: &stored,
                username: &draft.username,
                status: Status::Invited,
                hash: &hash,
                subject: draft.subject_id.as_deref(),
                grants: &draft.grants,
            };
            creation::store(tx, &new, &record, now).await
        })
        .await?;
    let account = svc
        .db
        .read(cx, async move |rx: &mut Rx| by_id(rx, &id).await)
        .await?
        .ok_or_else(|| Error::internal("read the new account", "it is not there"))?;
    Ok(view::seen_by(&live.caller, &account, now))
}

/// The account that is asked for, or everything that is wrong with it.
fn read(req: rest::CreateAccountReq) -> Result<Draft> {
    let mut draft = Draft::new(
        &req.username,
        SecretString::from(req.password.into_exposed()),
    );
    draft.subject_id = req.subject_id;
    let (mut grants, mut violations) = (Vec::new(), Vec::new());
    for (index, grant) in req.grants.unwrap_or_default().iter().enumerate() {
        let (trial, site) = (grant.trial_id.as_deref(), grant.site_id.as_deref());
        match read_grant(&format!("grants[{index}]."), &grant.role, trial, site) {
            Ok(grant) => grants.push(grant),
            Err(found) => violations.extend(found),
        }
    }
    let readable = violations.is_empty();
    draft.grants = distinct(grants);
    // What a grant that cannot be read would have been is not guessed at.
    let also = draft.check().into_iter();
    violations.extend(also.filter(|found| readable || !found.path.starts_with("grants")));
    if violations.is_empty() {
        Ok(draft)
    } else {
        Err(Error::invalid(violations))
    }
}
