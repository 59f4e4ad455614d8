//! `POST /api/v1/identity/logout`

use cohort_access::Caller;
use identity_contract::rest;
use tenon::{
    Context, Result, Timestamp,
    store::{Tx, audit::append},
};

use crate::{ServiceContext, audit, secrets::RefreshToken, store};

/// Ends the session of the caller: its refresh tokens are dead at once, and this service takes
/// its access tokens no more; others take them until they expire. May be repeated.
///
/// `POST /api/v1/identity/logout`
///
/// # Errors
/// None of its own.
pub async fn logout(cx: &Context, svc: &ServiceContext, req: rest::LogoutReq) -> Result<()> {
    let caller = Caller::of(cx)?;
    let token = req
        .refresh_token
        .map(|text| RefreshToken::parse(text.expose()));
    let digest = token.map(|token| token.map(|token| token.digest()));
    let now = svc.now();
    let ended = svc.db.write(cx, async move |tx: &mut Tx| {
        let session = match digest {
            None => caller.session().map(str::to_owned),
            Some(None) => None,
            Some(Some(digest)) => session_of(tx, digest, &caller).await?,
        };
        match session {
            Some(session) => end(tx, &caller, &session, now).await,
            // It is not known, or somebody else's, which is not told.
            None => Ok(()),
        }
    });
    ended.await
}

/// The session of a refresh token, when it is one of the caller's account.
async fn session_of(tx: &mut Tx, digest: [u8; 32], caller: &Caller) -> Result<Option<String>> {
    let token = store::session::token(tx, digest).await?;
    let own = token.filter(|token| token.account == caller.account());
    Ok(own.map(|token| token.session))
}

async fn end(tx: &mut Tx, caller: &Caller, session: &str, now: Timestamp) -> Result<()> {
    if !store::session::end(tx, session, "logout", now).await? {
        return Ok(());
    }
    let mut record = audit::anonymous("session.logout", "session", session, now);
    caller.account().clone_into(&mut record.actor);
    record.actor_role = caller
        .grants()
        .first()
        .map_or_else(String::new, |grant| grant.role.to_string());
    record.session = caller.session().map(str::to_owned);
    record
        .attributes
        .insert("username".to_owned(), caller.username().to_owned());
    append(tx, &record).await?;
    Ok(())
}
