//! What every operation can reach.

use std::sync::Arc;

use tenon::{
    Clock, Context, Principal, Result, Timestamp,
    auth::{Signer, password::Passwords},
    store::{Db, Rx},
};

use cohort_access::{Caller, claim};
use serde_json::{Map, json};

use crate::{
    account::{Account, Status},
    attempts::Turns,
    errors::SESSION_ENDED,
    secrets::Secrets,
    store,
};

/// The store, the keys and the clock of the service. Cheap to clone.
#[derive(Clone)]
pub struct ServiceContext {
    /// The data.
    pub db: Db,
    /// What says which time it is.
    pub clock: Arc<dyn Clock>,
    /// Where passwords are hashed.
    pub passwords: Passwords,
    /// What signs access tokens.
    pub signer: Arc<Signer>,
    /// What only this service knows.
    pub secrets: Arc<Secrets>,
    /// The queues of logins under one name.
    pub turns: Turns,
}

/// A caller as it is now: its session is open, its account is active, and its grants are those
/// of the store, not those of its token.
pub struct LiveCaller {
    /// The caller, with the grants that it has now.
    pub caller: Caller,
    /// Its account.
    pub account: Account,
}

impl ServiceContext {
    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The caller of `cx` as it is now, so that an ended session or a role that was taken away
    /// counts at once and not when the token expires.
    ///
    /// # Errors
    /// `SESSION_ENDED`; `TOKEN_MISSING` and `TOKEN_INVALID` as [`Caller::of`].
    pub async fn live_caller(&self, cx: &Context) -> Result<LiveCaller> {
        let token = Caller::of(cx)?;
        let now = self.now();
        let session = token.session().unwrap_or_default().to_owned();
        let (id, of) = (token.account().to_owned(), session.clone());
        let account = self
            .db
            .read(cx, async move |rx: &mut Rx| {
                if !store::session::is_open(rx, &of, &id, now).await? {
                    return Ok(None);
                }
                store::account::by_id(rx, &id).await
            })
            .await?
            .filter(|account| account.status == Status::Active)
            .ok_or_else(|| SESSION_ENDED.error())?;
        let caller = Caller::of(&cx.with_principal(Arc::new(principal(&account, &session))))?;
        Ok(LiveCaller { caller, account })
    }
}

/// What a token of the account would say now.
fn principal(account: &Account, session: &str) -> Principal {
    let mut claims = Map::new();
    claims.insert(claim::SESSION.to_owned(), json!(session));
    claims.insert(claim::USERNAME.to_owned(), json!(account.username));
    claims.insert(claim::GRANTS.to_owned(), json!(account.grants));
    if let Some(subject) = &account.subject_id {
        claims.insert(claim::SUBJECT_ID.to_owned(), json!(subject));
    }
    Principal::new(account.id.clone(), claims)
}
