//! Sessions and the digests of their refresh tokens.

use tenon::{
    Result, Timestamp,
    store::{FromRow, Row, Rx, Tx, args},
};

use crate::session::Session;

/// How many ended sessions each login clears away, with their tokens.
const CLEARED: u32 = 16;

/// A refresh token as it is stored, with its session.
pub(crate) struct Stored {
    pub(crate) session: String,
    pub(crate) account: String,
    pub(crate) expires_at: Timestamp,
    pub(crate) used_at: Option<Timestamp>,
    pub(crate) session_ends_at: Timestamp,
    pub(crate) session_ended: bool,
}

impl FromRow for Stored {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            session: row.get(0)?,
            account: row.get(1)?,
            expires_at: row.get(2)?,
            used_at: row.get(3)?,
            session_ends_at: row.get(4)?,
            session_ended: row.get::<Option<Timestamp>>(5)?.is_some(),
        })
    }
}

/// Opens a session.
pub(crate) async fn open(tx: &mut Tx, session: &Session, now: Timestamp) -> Result<()> {
    const SQL: &str = "INSERT INTO session (id, account_id, started_at, ends_at)
        VALUES ($1, $2, $3, $4)";
    let Session {
        id,
        account,
        ends_at,
        ..
    } = session;
    tx.execute(SQL, args![id, account, now, ends_at]).await?;
    clear(tx, now).await
}

/// Stores the digest of a token of a session.
pub(crate) async fn add_token(
    tx: &mut Tx,
    session: &str,
    digest: [u8; 32],
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<()> {
    const SQL: &str = "INSERT INTO refresh_token (digest, session_id, issued_at, expires_at)
        VALUES ($1, $2, $3, $4)";
    tx.execute(SQL, args![digest, session, now, expires_at])
        .await?;
    Ok(())
}

/// The token with a digest.
pub(crate) async fn token(rx: &mut Rx, digest: [u8; 32]) -> Result<Option<Stored>> {
    const SQL: &str = "SELECT s.id, s.account_id, t.expires_at, t.used_at, s.ends_at, s.ended_at
        FROM refresh_token t JOIN session s ON s.id = t.session_id WHERE t.digest = $1";
    rx.optional(SQL, args![digest]).await
}

/// Marks a token as used.
pub(crate) async fn use_token(tx: &mut Tx, digest: [u8; 32], now: Timestamp) -> Result<()> {
    const SQL: &str = "UPDATE refresh_token SET used_at = $2 WHERE digest = $1";
    tx.execute(SQL, args![digest, now]).await?;
    Ok(())
}

/// Whether a session of an account is open.
pub(crate) async fn is_open(
    rx: &mut Rx,
    session: &str,
    account: &str,
    now: Timestamp,
) -> Result<bool> {
    const SQL: &str = "SELECT 1 FROM session
        WHERE id = $1 AND account_id = $2 AND ended_at IS NULL AND ends_at > $3";
    let found: Option<i64> = rx.optional(SQL, args![session, account, now]).await?;
    Ok(found.is_some())
}

/// Ends a session. False when it had ended.
pub(crate) async fn end(tx: &mut Tx, session: &str, reason: &str, now: Timestamp) -> Result<bool> {
    const SQL: &str = "UPDATE session SET ended_at = $2, end_reason = $3
        WHERE id = $1 AND ended_at IS NULL";
    Ok(tx.execute(SQL, args![session, now, reason]).await? > 0)
}

/// Ends all sessions of an account but one. Returns how many there were.
pub(crate) async fn end_all(
    tx: &mut Tx,
    account: &str,
    but: Option<&str>,
    reason: &str,
    now: Timestamp,
) -> Result<u64> {
    const SQL: &str = "UPDATE session SET ended_at = $3, end_reason = $4
        WHERE account_id = $1 AND id <> $2 AND ended_at IS NULL AND ends_at > $3";
    let but = but.unwrap_or_default();
    tx.execute(SQL, args![account, but, now, reason]).await
}

/// Removes some sessions whose latest end has passed: none of their tokens is accepted anyway.
async fn clear(tx: &mut Tx, now: Timestamp) -> Result<()> {
    const OLD: &str = "SELECT id FROM session WHERE ends_at <= $1 ORDER BY ends_at LIMIT $2";
    const TOKENS: &str = "DELETE FROM refresh_token WHERE session_id = $1";
    const SESSION: &str = "DELETE FROM session WHERE id = $1";
    let old: Vec<String> = tx.all(OLD, args![now, CLEARED]).await?;
    for id in old {
        tx.execute(TOKENS, args![id]).await?;
        tx.execute(SESSION, args![id]).await?;
    }
    Ok(())
}
