//! Accounts and their grants.

use cohort_access::Grant;
use tenon::{
    Error, Result, Timestamp,
    store::{FromRow, Row, Rx, Tx, args},
};

use crate::account::{Account, Status};

/// What a login needs beside the account.
pub(crate) struct Credential {
    pub(crate) account: Account,
    /// Argon2id as a PHC string.
    pub(crate) hash: String,
    pub(crate) set_at: Timestamp,
}

/// An account that is not stored yet.
#[derive(Debug)]
pub(crate) struct NewAccount<'a> {
    pub(crate) id: &'a str,
    pub(crate) username: &'a str,
    pub(crate) status: Status,
    pub(crate) hash: &'a str,
    pub(crate) subject: Option<&'a str>,
    pub(crate) grants: &'a [Grant],
}

/// Stores an account with its grants. False when its name is or was another's.
pub(crate) async fn insert(tx: &mut Tx, new: &NewAccount<'_>, now: Timestamp) -> Result<bool> {
    const SQL: &str = "INSERT INTO account
        (id, username, status, password, password_set_at, subject_id, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (username) DO NOTHING";
    let NewAccount {
        id,
        username,
        hash,
        subject,
        ..
    } = new;
    let status = new.status.as_str();
    let values = args![id, username, status, hash, now, subject, now];
    if tx.execute(SQL, values).await? == 0 {
        return Ok(false);
    }
    for grant in new.grants {
        add_grant(tx, id, grant, now).await?;
    }
    Ok(true)
}

/// The account with an id.
pub(crate) async fn by_id(rx: &mut Rx, id: &str) -> Result<Option<Account>> {
    const SQL: &str = "SELECT a.id, a.username, a.status, a.subject_id, a.created_at,
        (SELECT max(l.blocked_until) FROM login_attempt l WHERE l.account_id = a.id)
        FROM account a WHERE a.id = $1";
    let found: Option<Head> = rx.optional(SQL, args![id]).await?;
    match found {
        Some(Head(account)) => with_grants(rx, account).await.map(Some),
        None => Ok(None),
    }
}

/// The account with a folded user name, and its password.
pub(crate) async fn by_username(rx: &mut Rx, username: &str) -> Result<Option<Credential>> {
    const SQL: &str = "SELECT id, password, password_set_at FROM account WHERE username = $1";
    let found: Option<(String, String, Timestamp)> = rx.optional(SQL, args![username]).await?;
    let Some((id, hash, set_at)) = found else {
        return Ok(None);
    };
    let account = by_id(rx, &id).await?;
    Ok(account.map(|account| Credential {
        account,
        hash,
        set_at,
    }))
}

/// Whether a subject has an account that is not closed.
pub(crate) async fn has_subject(rx: &mut Rx, subject: &str) -> Result<bool> {
    const SQL: &str = "SELECT 1 FROM account WHERE subject_id = $1 AND status <> 'closed'";
    let found: Option<i64> = rx.optional(SQL, args![subject]).await?;
    Ok(found.is_some())
}

/// Accounts after the id `after`, by id, at most `limit`: all, those with a grant in a study, or
/// those with one at a site of it.
pub(crate) async fn list(
    rx: &mut Rx,
    place: Option<(&str, Option<&str>)>,
    after: &str,
    limit: u32,
) -> Result<Vec<Account>> {
    const ALL: &str = "SELECT id FROM account WHERE id > $1 ORDER BY id LIMIT $2";
    const STUDY: &str = "SELECT DISTINCT account_id FROM account_grant
        WHERE study_id = $1 AND account_id > $2 ORDER BY account_id LIMIT $3";
    const SITE: &str = "SELECT DISTINCT account_id FROM account_grant
        WHERE study_id = $1 AND site_id = $2 AND account_id > $3 ORDER BY account_id LIMIT $4";
    let ids: Vec<String> = match place {
        None => rx.all(ALL, args![after, limit]).await?,
        Some((study, None)) => rx.all(STUDY, args![study, after, limit]).await?,
        Some((study, Some(site))) => rx.all(SITE, args![study, site, after, limit]).await?,
    };
    let mut accounts = Vec::with_capacity(ids.len());
    for id in ids {
        accounts.extend(by_id(rx, &id).await?);
    }
    Ok(accounts)
}

/// Stores a grant. False when the account had it.
pub(crate) async fn add_grant(
    tx: &mut Tx,
    account: &str,
    grant: &Grant,
    now: Timestamp,
) -> Result<bool> {
    const SQL: &str = "INSERT INTO account_grant (account_id, role, study_id, site_id, granted_at)
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    let (role, study, site) = key(grant);
    let values = args![account, role, study, site, now];
    Ok(tx.execute(SQL, values).await? > 0)
}

/// Removes a grant. False when the account did not have it.
pub(crate) async fn remove_grant(tx: &mut Tx, account: &str, grant: &Grant) -> Result<bool> {
    const SQL: &str = "DELETE FROM account_grant
        WHERE account_id = $1 AND role = $2 AND study_id = $3 AND site_id = $4";
    let (role, study, site) = key(grant);
    let values = args![account, role, study, site];
    Ok(tx.execute(SQL, values).await? > 0)
}

/// Stores a new state.
pub(crate) async fn set_status(tx: &mut Tx, account: &str, status: Status) -> Result<()> {
    const SQL: &str = "UPDATE account SET status = $2 WHERE id = $1";
    tx.execute(SQL, args![account, status.as_str()]).await?;
    Ok(())
}

/// Stores a new password, set at `set_at`.
pub(crate) async fn set_password(
    tx: &mut Tx,
    account: &str,
    hash: &str,
    set_at: Timestamp,
) -> Result<()> {
    const SQL: &str = "UPDATE account SET password = $2, password_set_at = $3 WHERE id = $1";
    tx.execute(SQL, args![account, hash, set_at]).await?;
    Ok(())
}

/// Whether anybody has ever been made an administrator of the installation.
pub(crate) async fn has_administrator(rx: &mut Rx) -> Result<bool> {
    const SQL: &str = "SELECT 1 FROM account_grant
        WHERE study_id = '' AND site_id = '' AND role = 'admin' LIMIT 1";
    let found: Option<i64> = rx.optional(SQL, args![]).await?;
    Ok(found.is_some())
}

/// Whether somebody else than `account` is an administrator of the installation and can log in.
pub(crate) async fn has_other_administrator(rx: &mut Rx, account: &str) -> Result<bool> {
    const SQL: &str = "SELECT 1 FROM account_grant g JOIN account a ON a.id = g.account_id
        WHERE g.study_id = '' AND g.site_id = '' AND g.role = 'admin'
        AND a.status = 'active' AND a.id <> $1 LIMIT 1";
    let found: Option<i64> = rx.optional(SQL, args![account]).await?;
    Ok(found.is_some())
}

async fn with_grants(rx: &mut Rx, mut account: Account) -> Result<Account> {
    const SQL: &str = "SELECT role, study_id, site_id FROM account_grant
        WHERE account_id = $1 ORDER BY role, study_id, site_id";
    let rows: Vec<GrantRow> = rx.all(SQL, args![account.id]).await?;
    account.grants = rows.into_iter().map(|row| row.0).collect();
    Ok(account)
}

/// Role, study and site as the key has them: empty for "all".
fn key(grant: &Grant) -> (&str, &str, &str) {
    let study = grant.study.as_deref().unwrap_or_default();
    let site = grant.site.as_deref().unwrap_or_default();
    (grant.role.as_str(), study, site)
}

/// An account without its grants.
struct Head(Account);

impl FromRow for Head {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        let status: String = row.get(2)?;
        let status = Status::parse(&status)
            .ok_or_else(|| Error::internal("read an account", "its status is not known"))?;
        Ok(Self(Account {
            id: row.get(0)?,
            username: row.get(1)?,
            status,
            subject_id: row.get(3)?,
            created_at: row.get(4)?,
            blocked_until: row.get(5)?,
            grants: Vec::new(),
        }))
    }
}

struct GrantRow(Grant);

impl FromRow for GrantRow {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        let role: String = row.get(0)?;
        let role = role
            .parse()
            .map_err(|cause| Error::internal("read a grant", cause))?;
        let id = |text: String| Some(text).filter(|text| !text.is_empty());
        Ok(Self(Grant {
            role,
            study: id(row.get(1)?),
            site: id(row.get(2)?),
        }))
    }
}
