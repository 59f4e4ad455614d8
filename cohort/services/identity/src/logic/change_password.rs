//! `POST /api/v1/identity/password`

use identity_contract::rest;
use secrecy::{ExposeSecret, SecretString};
use tenon::{
    Context, Error, Result, Violation,
    store::{Tx, audit::append},
};

use crate::{
    ServiceContext, audit,
    errors::{LOGIN_FAILED, SESSION_ENDED},
    password,
    proof::{prove, still_holds},
    store,
};

/// Changes the caller's own password and ends its other sessions.
///
/// `POST /api/v1/identity/password`
///
/// # Errors
/// `REQUEST_INVALID` when the current password is wrong or the new one is not accepted;
/// `LOGIN_DELAYED` after many wrong ones; `SESSION_ENDED`.
pub async fn change_password(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::ChangePasswordReq,
) -> Result<()> {
    let live = svc.live_caller(cx).await?;
    let current = SecretString::from(req.current_password.into_exposed());
    let new = SecretString::from(req.new_password.into_exposed());
    let patient = live.account.subject_id.is_some();
    let username = live.account.username.clone();
    let mut violations = password::check("newPassword", new.expose_secret(), &username, patient);
    if new.expose_secret() == current.expose_secret() {
        let expected = "another password than the current one";
        violations.push(Violation::body("newPassword", "reused", expected));
    }
    if !violations.is_empty() {
        return Err(Error::invalid(violations));
    }
    let proven = prove(cx, svc, &username, current, "password.change_failed").await;
    let proof = proven.map_err(|error| match error.is(&LOGIN_FAILED) {
        // The caller is logged in: a 401 would tell its program that it is not.
        true => Error::invalid(vec![Violation::body(
            "currentPassword",
            "wrong",
            "the password that is in use now",
        )]),
        false => error,
    })?;
    let hash = svc.passwords.hash(cx, new).await?;
    let now = svc.now();
    let changed = svc.db.write(cx, async move |tx: &mut Tx| {
        let current = store::account::by_username(tx, &username).await?;
        if !still_holds(&proof.credential, current.as_ref()) {
            return Err(SESSION_ENDED.error());
        }
        let id = &proof.credential.account.id;
        store::account::set_password(tx, id, &hash, now).await?;
        store::attempt::forget(tx, proof.name).await?;
        store::session::end_all(tx, id, live.caller.session(), "password", now).await?;
        let mut record = audit::anonymous("password.change", "account", id, now);
        record.actor.clone_from(id);
        record.session = live.caller.session().map(str::to_owned);
        record
            .attributes
            .insert("username".to_owned(), username.clone());
        append(tx, &record).await?;
        Ok(())
    });
    changed.await
}
