//! `POST /api/v1/identity/login`

use identity_contract::rest;
use secrecy::SecretString;
use serde_json::json;
use tenon::{
    Context, Result, Timestamp,
    store::{
        Tx,
        audit::{Record, append},
    },
};
use uuid::Uuid;

use crate::{
    ServiceContext,
    account::{Account, Status, fold},
    audit,
    errors::LOGIN_FAILED,
    proof::{Proof, prove, still_holds},
    secrets::RefreshToken,
    session::{Session, refresh_expiry, session_end},
    store,
};

/// Exchanges a user name and password for tokens.
///
/// `POST /api/v1/identity/login`
///
/// # Errors
/// `LOGIN_FAILED`, `LOGIN_DELAYED`; `OVERLOADED` when too many passwords wait to be compared.
pub async fn login(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::LoginReq,
) -> Result<rest::TokenResp> {
    let username = fold(&req.username);
    let password = SecretString::from(req.password.into_exposed());
    let proof = prove(cx, svc, &username, password, "session.login_failed").await?;
    let (id, now) = (Uuid::now_v7().to_string(), svc.now());
    let refresh = RefreshToken::generate()?;
    let digest = refresh.digest();
    let opened = svc.db.write(cx, async move |tx: &mut Tx| {
        open(tx, &proof, &username, &id, digest, now).await
    });
    // Nothing is open when the account changed since its password was compared.
    let session = opened.await?.ok_or_else(|| LOGIN_FAILED.error())?;
    let access = session.access_token(&svc.signer, now)?;
    Ok(rest::TokenResp {
        access_token: access.text.into(),
        refresh_token: refresh.expose().to_string().into(),
        expires_in: access.expires_in,
    })
}

async fn open(
    tx: &mut Tx,
    proof: &Proof,
    username: &str,
    id: &str,
    digest: [u8; 32],
    now: Timestamp,
) -> Result<Option<Session>> {
    let current = store::account::by_username(tx, username).await?;
    if !still_holds(&proof.credential, current.as_ref()) {
        return Ok(None);
    }
    let Some(current) = current else {
        return Ok(None);
    };
    if let Some(hash) = &proof.rehashed {
        store::account::set_password(tx, &current.account.id, hash, current.set_at).await?;
    }
    store::attempt::forget(tx, proof.name).await?;
    let patient = current.account.subject_id.is_some();
    let session = session_of(&current.account, id, session_end(patient, now));
    let expires = refresh_expiry(patient, now, session.ends_at);
    store::session::open(tx, &session, now).await?;
    store::session::add_token(tx, id, digest, now, expires).await?;
    let record = by_owner("session.login", &current.account, id, now);
    append(tx, &record).await?;
    if current.account.status == Status::Invited {
        activate(tx, &current.account, id, now).await?;
    }
    Ok(Some(session))
}

/// The first use of an account makes it active.
async fn activate(tx: &mut Tx, account: &Account, session: &str, now: Timestamp) -> Result<()> {
    store::account::set_status(tx, &account.id, Status::Active).await?;
    let record = Record {
        old: Some(json!({ "status": Status::Invited.as_str() })),
        new: Some(json!({ "status": Status::Active.as_str() })),
        ..by_owner("account.status", account, session, now)
    };
    append(tx, &record).await?;
    Ok(())
}

/// A session of an account that ends at `ends_at`.
pub(crate) fn session_of(account: &Account, id: &str, ends_at: Timestamp) -> Session {
    Session {
        id: id.to_owned(),
        account: account.id.clone(),
        username: account.username.clone(),
        subject: account.subject_id.clone(),
        grants: account.grants.clone(),
        ends_at,
    }
}

/// What the owner of an account did by its password.
fn by_owner(action: &str, account: &Account, session: &str, now: Timestamp) -> Record {
    let mut record = audit::anonymous(action, "account", &account.id, now);
    record.actor.clone_from(&account.id);
    record.actor_role = account
        .grants
        .first()
        .map_or_else(String::new, |grant| grant.role.to_string());
    record.session = Some(session.to_owned());
    let username = account.username.clone();
    record.attributes.insert("username".to_owned(), username);
    record
}
