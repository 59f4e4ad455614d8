//! Accounts as the contracts show them, and which of them a caller may see.

use cohort_access::{Caller, Grant, Permission, Scope};
use identity_contract::{rest, rpc};
use tenon::{Context, Result, Timestamp, auth::access::denied, store::Rx};

use crate::{
    ServiceContext,
    account::Account,
    errors::{ACCOUNT_NOT_FOUND, TRIAL_NOT_FOUND},
    store::account::by_id,
};

/// The account with an id, for a caller who may see it.
///
/// # Errors
/// `PERMISSION_DENIED` for callers who may see no accounts; `ACCOUNT_NOT_FOUND` when there is
/// none, or it is another study's.
pub(crate) async fn find(
    cx: &Context,
    svc: &ServiceContext,
    caller: &Caller,
    id: &str,
) -> Result<Account> {
    if caller.listing(Permission::AccountRead).is_empty() {
        return Err(denied(Permission::AccountRead.as_str()));
    }
    let id = id.to_owned();
    let found = svc
        .db
        .read(cx, async move |rx: &mut Rx| by_id(rx, &id).await);
    let visible = |account: &Account| {
        let sees = |scope| caller.allows(Permission::AccountRead, scope);
        sees(Scope::default()) || account.grants.iter().any(|grant| sees(scope_of(grant)))
    };
    let account = found.await?.filter(visible);
    account.ok_or_else(|| ACCOUNT_NOT_FOUND.error())
}

/// Demands a permission over the whole account: everywhere where it has grants.
///
/// # Errors
/// `PERMISSION_DENIED`, also where the account has grants that the caller may not know of.
pub(crate) fn require_all(
    caller: &Caller,
    permission: Permission,
    account: &Account,
) -> Result<()> {
    let allows = |scope| caller.allows(permission, scope);
    let all =
        !account.grants.is_empty() && account.grants.iter().all(|grant| allows(scope_of(grant)));
    if all || allows(Scope::default()) {
        Ok(())
    } else {
        Err(denied(permission.as_str()))
    }
}

/// Demands that the caller may give and take a grant: nobody grants beyond its own scope.
///
/// # Errors
/// `TRIAL_NOT_FOUND` outside the caller's scope, else `PERMISSION_DENIED`.
pub(crate) fn require_grant(caller: &Caller, grant: &Grant) -> Result<()> {
    caller.require(Permission::GrantWrite, scope_of(grant), &TRIAL_NOT_FOUND)
}

/// Where a grant holds.
pub(crate) fn scope_of(grant: &Grant) -> Scope<'_> {
    Scope {
        study: grant.study.as_deref(),
        site: grant.site.as_deref(),
        subject: None,
    }
}

/// An account for its owner, with all grants.
pub(crate) fn own(account: &Account, now: Timestamp) -> rest::Account {
    rest::Account {
        id: account.id.clone(),
        username: account.username.clone(),
        status: account.shown_status(now).to_owned(),
        grants: account.grants.iter().map(grant).collect(),
        subject_id: account.subject_id.clone(),
        created_at: account.created_at,
    }
}

/// An account for somebody else: without the grants in studies that are not the caller's.
pub(crate) fn seen_by(caller: &Caller, account: &Account, now: Timestamp) -> rest::Account {
    let grants = account.grants.iter();
    let seen = grants.filter(|grant| caller.allows(Permission::AccountRead, scope_of(grant)));
    rest::Account {
        grants: seen.map(grant).collect(),
        ..own(account, now)
    }
}

/// An account for another service.
pub(crate) fn message(shown: rest::Account) -> rpc::GetAccountResp {
    let grant = |grant: rest::Grant| rpc::Grant {
        role: grant.role,
        trial_id: grant.trial_id.unwrap_or_default(),
        site_id: grant.site_id.unwrap_or_default(),
    };
    rpc::GetAccountResp {
        id: shown.id,
        status: shown.status,
        grants: shown.grants.into_iter().map(grant).collect(),
        subject_id: shown.subject_id.unwrap_or_default(),
    }
}

fn grant(grant: &Grant) -> rest::Grant {
    rest::Grant {
        role: grant.role.to_string(),
        trial_id: grant.study.clone(),
        site_id: grant.site.clone(),
    }
}
