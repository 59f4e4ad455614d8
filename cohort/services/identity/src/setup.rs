//! What the operator does on the machine itself, beside the doors: the first administrator, a new
//! password for somebody who is locked out, and the accounts of a demonstration.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use cohort_access::{Grant, Role};
use secrecy::SecretString;
use serde_json::json;
use tenon::{
    Clock, Context, Error, OrInternal, Result, Timestamp,
    auth::password::Passwords,
    secret_file,
    store::{
        Db, Rx, Tx,
        audit::{Record, append},
    },
};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{
    ServiceContext, account,
    account::{Account, Status, keeps_duties_apart},
    audit,
    creation::{self, Draft},
    errors::{ACCOUNT_NOT_FOUND, DUTIES_CONFLICT, STATUS_CONFLICT, USERNAME_TAKEN},
    password,
    store::{
        account::{NewAccount, add_grant, by_username, has_administrator, set_password},
        attempt, session,
    },
};

/// The user name of the first administrator.
pub const ADMINISTRATOR: &str = "admin";

/// The largest file of a password that is read: the longest password is far below it.
const PASSWORD_FILE_MAX_BYTES: u64 = 4096;

/// A user name with a new password, to be shown to the operator once. It prints without the
/// password.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: SecretString,
}

/// An account that is certain to exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ensured {
    /// Its id.
    pub id: String,
    /// Whether it was created now, with the password that was given.
    pub created: bool,
}

/// Creates the first administrator, with the password in the file `given`, else with a random one.
/// Nothing is done, and the file is not read, where anybody has ever been made administrator of
/// the installation, whatever became of that account.
///
/// # Errors
/// `USERNAME_TAKEN` when somebody else is called [`ADMINISTRATOR`]; `INTERNAL` when the file of
/// the given password cannot be read, others may read it, or the password is too weak.
pub async fn ensure_administrator(
    cx: &Context,
    svc: &ServiceContext,
    given: Option<&Path>,
) -> Result<Option<Credentials>> {
    let known = svc
        .db
        .read(cx, async |rx: &mut Rx| has_administrator(rx).await);
    if known.await? {
        return Ok(None);
    }
    let password = match given {
        Some(file) => read_password(file).or_internal("read the first administrator's password")?,
        None => password::random()?,
    };
    let mut draft = Draft::new(ADMINISTRATOR, password);
    draft.grants.push(Grant {
        role: Role::Admin,
        study: None,
        site: None,
    });
    let violations = draft.check();
    if !violations.is_empty() {
        let expected: Vec<_> = violations.iter().map(|one| one.expected.as_str()).collect();
        let problem = format!("expected {}", expected.join(" and "));
        return Err(Error::internal("use the given password", problem));
    }
    let credentials = Credentials {
        username: draft.username.clone(),
        password: draft.password.clone(),
    };
    let (id, now) = (Uuid::now_v7().to_string(), svc.now());
    let hash = svc.passwords.hash(cx, draft.password.clone()).await?;
    let created = svc.db.write(cx, async move |tx: &mut Tx| {
        // Two processes may start on one folder at the same time.
        if has_administrator(tx).await? {
            return Ok(false);
        }
        create(tx, &id, &draft, &hash, now).await?;
        Ok(true)
    });
    Ok(created.await?.then_some(credentials))
}

/// The first line of a file that nobody else may read.
fn read_password(file: &Path) -> io::Result<SecretString> {
    let named = |problem: &str| io::Error::other(format!("{}: {problem}", file.display()));
    let opened = File::open(file).map_err(|cause| named(&cause.to_string()))?;
    if !secret_file::is_kept(&opened.metadata()?) {
        return Err(named("others may read it; set its mode to 0400"));
    }
    let mut text = Zeroizing::new(String::new());
    opened
        .take(PASSWORD_FILE_MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(|cause| named(&cause.to_string()))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.into()),
        _ => Err(named("its first line is empty; expected the password")),
    }
}

/// Creates an active account, or gives one that exists the grants that it lacks. The password of
/// one that exists stays as it is.
///
/// # Errors
/// `REQUEST_INVALID` when the account is not allowed to be like this; `USERNAME_TAKEN` when the
/// one that exists is closed or stands for another subject; `SUBJECT_TAKEN`; `ROLE_CONFLICT`.
pub async fn ensure_account(cx: &Context, svc: &ServiceContext, draft: Draft) -> Result<Ensured> {
    let violations = draft.check();
    if !violations.is_empty() {
        return Err(Error::invalid(violations));
    }
    let now = svc.now();
    let (id, name) = (Uuid::now_v7().to_string(), draft.username.clone());
    let known = svc
        .db
        .read(cx, async move |rx: &mut Rx| by_username(rx, &name).await);
    let hash = match known.await? {
        Some(_) => String::new(),
        None => svc.passwords.hash(cx, draft.password.clone()).await?,
    };
    svc.db
        .write(cx, async move |tx: &mut Tx| {
            match by_username(tx, &draft.username).await? {
                Some(known) => complete(tx, known.account, &draft, now).await,
                None => {
                    create(tx, &id, &draft, &hash, now).await?;
                    Ok(Ensured {
                        id: id.clone(),
                        created: true,
                    })
                }
            }
        })
        .await
}

/// Gives an account a new random password, ends its sessions and forgets its failed logins. For
/// the operator of the machine; the service may be running on the same data or not.
///
/// # Errors
/// `ACCOUNT_NOT_FOUND`; `STATUS_CONFLICT` when the account is suspended or closed.
pub async fn reset_account(
    cx: &Context,
    db: &Db,
    clock: &dyn Clock,
    username: &str,
) -> Result<Credentials> {
    let username = account::fold(username);
    let now = clock.now();
    let password = password::random()?;
    let hash = Passwords::with_limits(1, 1)
        .hash(cx, password.clone())
        .await?;
    let name = username.clone();
    db.write(cx, async move |tx: &mut Tx| {
        let known = by_username(tx, &name).await?;
        let account = known.ok_or_else(|| ACCOUNT_NOT_FOUND.error())?.account;
        if !account.status.may_log_in() {
            let conflict = STATUS_CONFLICT.error();
            return Err(conflict.param("status", account.status.as_str()));
        }
        set_password(tx, &account.id, &hash, now).await?;
        attempt::forget_account(tx, &account.id).await?;
        session::end_all(tx, &account.id, None, "password", now).await?;
        let record = audit::system("password.reset", "account", &account.id, now);
        append(tx, &record).await?;
        Ok(())
    })
    .await?;
    Ok(Credentials { username, password })
}

async fn create(tx: &mut Tx, id: &str, draft: &Draft, hash: &str, now: Timestamp) -> Result<()> {
    let grants = account::distinct(draft.grants.clone());
    let new = NewAccount {
        id,
        username: &draft.username,
        status: Status::Active,
        hash,
        subject: draft.subject_id.as_deref(),
        grants: &grants,
    };
    let record = audit::system("account.create", "account", id, now);
    creation::store(tx, &new, &record, now).await
}

/// Adds the grants that an account lacks.
async fn complete(tx: &mut Tx, account: Account, draft: &Draft, now: Timestamp) -> Result<Ensured> {
    if account.status == Status::Closed || account.subject_id != draft.subject_id {
        return Err(USERNAME_TAKEN.error());
    }
    // Only for what is new: an account of an earlier release may hold both.
    let lacks = |grant: &&Grant| !account.grants.contains(grant);
    let apart = |new: &Grant| {
        let mut all = account.grants.iter().chain(&draft.grants);
        all.all(|other| keeps_duties_apart(new, other))
    };
    if !draft.grants.iter().filter(lacks).all(apart) {
        return Err(DUTIES_CONFLICT.error());
    }
    for grant in &draft.grants {
        if add_grant(tx, &account.id, grant, now).await? {
            let record = Record {
                stream: audit::stream_of(grant).to_owned(),
                new: Some(json!(audit::grant_value(grant))),
                ..audit::system("grant.add", "account", &account.id, now)
            };
            append(tx, &record).await?;
        }
    }
    Ok(Ensured {
        id: account.id,
        created: false,
    })
}
