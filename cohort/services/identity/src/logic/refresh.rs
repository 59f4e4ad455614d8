//! `POST /api/v1/identity/refresh`

use identity_contract::rest;
use tenon::{
    Context, Result, Timestamp,
    store::{Tx, audit::append},
};

use super::login::session_of;
use crate::{
    ServiceContext,
    account::Status,
    audit,
    errors::REFRESH_INVALID,
    secrets::RefreshToken,
    session::{REFRESH_GRACE, Session, later, refresh_expiry},
    store::{self, session::Stored},
};

/// Exchanges a refresh token for new tokens. A token that was used before ends its session; see
/// [`crate::session`] for the one exception.
///
/// `POST /api/v1/identity/refresh`
///
/// # Errors
/// `REFRESH_INVALID`, whatever the reason.
pub async fn refresh(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::RefreshReq,
) -> Result<rest::TokenResp> {
    let token = RefreshToken::parse(req.refresh_token.expose()).ok_or_else(|| refused("form"))?;
    let next = svc.secrets.successor(&token);
    let rotation = Rotation {
        used: token.digest(),
        next: next.digest(),
        now: svc.now(),
    };
    let outcome = svc
        .db
        .write(cx, async move |tx: &mut Tx| rotation.run(tx).await);
    let session = match outcome.await? {
        Outcome::Goes(session) => session,
        Outcome::Ends(reason) => return Err(refused(reason)),
    };
    let access = session.access_token(&svc.signer, rotation.now)?;
    Ok(rest::TokenResp {
        access_token: access.text.into(),
        refresh_token: next.expose().to_string().into(),
        expires_in: access.expires_in,
    })
}

fn refused(reason: &'static str) -> tenon::Error {
    tracing::warn!(target: "security", reason, "refresh token refused");
    REFRESH_INVALID.error()
}

enum Outcome {
    Goes(Session),
    /// Why not, for the log of security.
    Ends(&'static str),
}

/// One use of a refresh token.
#[derive(Clone, Copy)]
struct Rotation {
    used: [u8; 32],
    next: [u8; 32],
    now: Timestamp,
}

impl Rotation {
    async fn run(self, tx: &mut Tx) -> Result<Outcome> {
        let Some(token) = store::session::token(tx, self.used).await? else {
            return Ok(Outcome::Ends("unknown"));
        };
        if token.session_ended || token.session_ends_at <= self.now {
            return Ok(Outcome::Ends("session ended"));
        }
        let account = store::account::by_id(tx, &token.account).await?;
        let Some(account) = account.filter(|account| account.status == Status::Active) else {
            return Ok(Outcome::Ends("account not active"));
        };
        let patient = account.subject_id.is_some();
        match token.used_at {
            Some(used_at) if !(patient && self.is_retry(tx, used_at).await?) => {
                self.end(tx, &token).await?;
                return Ok(Outcome::Ends("used before"));
            }
            Some(_) => {}
            None if token.expires_at <= self.now => return Ok(Outcome::Ends("expired")),
            None => {
                let expires = refresh_expiry(patient, self.now, token.session_ends_at);
                store::session::use_token(tx, self.used, self.now).await?;
                store::session::add_token(tx, &token.session, self.next, self.now, expires).await?;
            }
        }
        let session = session_of(&account, &token.session, token.session_ends_at);
        Ok(Outcome::Goes(session))
    }

    /// Whether a used token comes from a phone that lost the answer: soon, and before anybody used
    /// its successor.
    async fn is_retry(self, tx: &mut Tx, used_at: Timestamp) -> Result<bool> {
        let soon = self.now <= later(used_at, REFRESH_GRACE);
        let next = store::session::token(tx, self.next).await?;
        Ok(soon && next.is_some_and(|next| next.used_at.is_none()))
    }

    async fn end(self, tx: &mut Tx, token: &Stored) -> Result<()> {
        store::session::end(tx, &token.session, "reuse", self.now).await?;
        let mut record = audit::anonymous("session.reuse", "session", &token.session, self.now);
        record
            .attributes
            .insert("account".to_owned(), token.account.clone());
        append(tx, &record).await?;
        Ok(())
    }
}
