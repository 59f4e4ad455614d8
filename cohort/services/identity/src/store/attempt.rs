//! Failed logins, by the keyed hash of the name that was given.

use tenon::{
    Result, Timestamp,
    store::{Rx, Tx, args, seal::BlindIndex},
};

use crate::attempts::{FORGET_AFTER, blocked_until};

/// How many forgotten names each failure clears away, so that made-up names do not pile up.
const CLEARED: u32 = 16;

/// A failure as it was counted.
pub(crate) struct Failure {
    /// The failures under the name, this one included.
    pub(crate) count: u32,
    /// Until when further attempts are refused.
    pub(crate) blocked_until: Timestamp,
}

/// Until when attempts under a name are refused, if they are.
pub(crate) async fn blocked(
    rx: &mut Rx,
    name: BlindIndex,
    now: Timestamp,
) -> Result<Option<Timestamp>> {
    const SQL: &str = "SELECT blocked_until FROM login_attempt WHERE name_key = $1";
    let until: Option<Timestamp> = rx.optional(SQL, args![name]).await?;
    Ok(until.filter(|until| now < *until))
}

/// Counts a failure under a name, which may be that of an account.
pub(crate) async fn count(
    tx: &mut Tx,
    name: BlindIndex,
    account: Option<&str>,
    now: Timestamp,
) -> Result<Failure> {
    const KNOWN: &str = "SELECT failures FROM login_attempt WHERE name_key = $1 AND last_at > $2";
    const COUNT: &str = "INSERT INTO login_attempt
        (name_key, account_id, failures, last_at, blocked_until) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (name_key) DO UPDATE SET account_id = excluded.account_id,
        failures = excluded.failures, last_at = excluded.last_at,
        blocked_until = excluded.blocked_until";
    const CLEAR: &str = "DELETE FROM login_attempt WHERE name_key IN
        (SELECT name_key FROM login_attempt WHERE last_at <= $1 ORDER BY last_at LIMIT $2)";
    let forgotten = now.checked_sub(FORGET_AFTER).unwrap_or(Timestamp::MIN);
    let before: Option<u32> = tx.optional(KNOWN, args![name, forgotten]).await?;
    let count = before.unwrap_or(0).saturating_add(1);
    let blocked_until = blocked_until(count, now);
    let values = args![name, account, count, now, blocked_until];
    tx.execute(COUNT, values).await?;
    tx.execute(CLEAR, args![forgotten, CLEARED]).await?;
    Ok(Failure {
        count,
        blocked_until,
    })
}

/// Forgets the failures under a name.
pub(crate) async fn forget(tx: &mut Tx, name: BlindIndex) -> Result<()> {
    const SQL: &str = "DELETE FROM login_attempt WHERE name_key = $1";
    tx.execute(SQL, args![name]).await?;
    Ok(())
}

/// Forgets the failures that were counted for an account. Returns whether there were any.
pub(crate) async fn forget_account(tx: &mut Tx, account: &str) -> Result<bool> {
    const SQL: &str = "DELETE FROM login_attempt WHERE account_id = $1";
    Ok(tx.execute(SQL, args![account]).await? > 0)
}
