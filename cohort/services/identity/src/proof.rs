//! Proving a password: the one place where a password is compared, with the delay after failures
//! and the record of each.

use std::time::Duration;

use secrecy::SecretString;
use tenon::{
    Context, Error, Result, Timestamp,
    auth::password::Verdict,
    store::{Rx, Tx, audit::append, seal::BlindIndex},
};

use crate::{
    ServiceContext,
    account::Status,
    attempts::{FREE_FAILURES, Turn},
    audit,
    errors::{LOGIN_DELAYED, LOGIN_FAILED},
    session::{INVITATION_LIFETIME, later},
    store::{
        account::{Credential, by_username},
        attempt,
    },
};

/// A password that was the right one, of an account that may log in.
pub(crate) struct Proof {
    /// The account, as it was read before.
    pub(crate) credential: Credential,
    /// The same password under today's parameters, where its hash was older.
    pub(crate) rehashed: Option<String>,
    /// Under which its failures are counted: to be forgotten with what is stored of the success.
    pub(crate) name: BlindIndex,
    /// Nobody else tries the name until this is dropped.
    _turn: Turn,
}

/// Proves the password of an account by its folded user name. `action` is what a failure is
/// recorded as.
///
/// A name that no account has, a wrong password and an account that may not log in take the same
/// time, count the same failures and get the same answer.
///
/// # Errors
/// `LOGIN_FAILED`, `LOGIN_DELAYED`; `OVERLOADED` when too many passwords wait.
pub(crate) async fn prove(
    cx: &Context,
    svc: &ServiceContext,
    username: &str,
    password: SecretString,
    action: &'static str,
) -> Result<Proof> {
    let name = svc.secrets.name_key(username);
    let turn = svc.turns.take(cx, name).await?;
    let now = svc.now();
    let username = username.to_owned();
    let (blocked, credential) = svc
        .db
        .read(cx, async move |rx: &mut Rx| {
            let blocked = attempt::blocked(rx, name, now).await?;
            Ok((blocked, by_username(rx, &username).await?))
        })
        .await?;
    if let Some(until) = blocked {
        return Err(delayed(until, now));
    }
    let hash = credential.as_ref().map(|known| known.hash.as_str());
    let verdict = svc.passwords.verify(cx, password.clone(), hash).await?;
    let failed = Failed { name, action, now };
    let Some(credential) = credential else {
        return Err(fail(cx, svc, failed, None).await);
    };
    if !(verdict.is_right() && may_log_in(&credential, now)) {
        return Err(fail(cx, svc, failed, Some(credential.account.id)).await);
    }
    let rehashed = match verdict {
        Verdict::RightButOutdated => Some(svc.passwords.hash(cx, password).await?),
        Verdict::Right | Verdict::Wrong => None,
    };
    Ok(Proof {
        credential,
        rehashed,
        name,
        _turn: turn,
    })
}

/// Whether the account as it is now is the one whose password was proven.
pub(crate) fn still_holds(proven: &Credential, current: Option<&Credential>) -> bool {
    current.is_some_and(|current| {
        current.account.id == proven.account.id
            && current.hash == proven.hash
            && current.account.status.may_log_in()
    })
}

fn may_log_in(credential: &Credential, now: Timestamp) -> bool {
    let invited = credential.account.status == Status::Invited;
    let expired = invited && later(credential.set_at, INVITATION_LIFETIME) <= now;
    credential.account.status.may_log_in() && !expired
}

fn delayed(until: Timestamp, now: Timestamp) -> Error {
    // Refused unseen: nothing is stored for it, so that a flood of them costs next to nothing.
    tracing::warn!(target: "security", "login refused: too many failures under its name");
    let delay = until.duration_since(now).unsigned_abs();
    LOGIN_DELAYED
        .error()
        .retry_after(delay.max(Duration::from_secs(1)))
}

/// A proof that failed.
#[derive(Clone, Copy)]
struct Failed {
    name: BlindIndex,
    action: &'static str,
    now: Timestamp,
}

/// Counts and records a failure. Returns the error for the caller.
async fn fail(
    cx: &Context,
    svc: &ServiceContext,
    failed: Failed,
    account: Option<String>,
) -> Error {
    // A caller that leaves as soon as it could know must not leave uncounted.
    let kept = Context::background().with_trace(*cx.trace());
    let stored = svc.db.write(&kept, async move |tx: &mut Tx| {
        record(tx, failed, account.as_deref()).await
    });
    match stored.await {
        Ok(failures) => {
            tracing::warn!(target: "security", failures, "login failed");
            LOGIN_FAILED.error()
        }
        Err(error) => error,
    }
}

/// Counts and records a failure. Returns how many there are now.
async fn record(tx: &mut Tx, failed: Failed, account: Option<&str>) -> Result<u32> {
    let Failed { name, action, now } = failed;
    let failure = attempt::count(tx, name, account, now).await?;
    let (entity, id) = match account {
        Some(id) => ("account", id.to_owned()),
        None => ("loginName", audit::name_text(name)),
    };
    let mut told = audit::anonymous(action, entity, &id, now);
    told.attributes
        .insert("failures".to_owned(), failure.count.to_string());
    append(tx, &told).await?;
    if failure.count == FREE_FAILURES {
        let mut told = audit::anonymous("account.lock", entity, &id, now);
        let until = failure.blocked_until.to_string();
        told.attributes.insert("until".to_owned(), until);
        append(tx, &told).await?;
    }
    Ok(failure.count)
}
