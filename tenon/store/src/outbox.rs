//! Events for other services: written in the transaction of the change that they tell of,
//! delivered until they are acknowledged.
//!
//! Delivery is at least once and in the order of the commits. The receiving side calls [`seen`]
//! in the transaction that handles an event, and so handles it once.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tenon_core::{Context, OrInternal, Result, catalogue};
use uuid::Uuid;

use crate::{Db, FromRow, Row, Tx, args, entries::STORE_FAILED};

/// The first pause after a failed delivery; it doubles up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest pause between two tries.
const LONGEST: Duration = Duration::from_secs(30);
/// The pause after a round that found few events. Each round costs a commit, which the writes of
/// the service would share; without a pause a quiet service would commit twice for each event.
const GATHER: Duration = Duration::from_millis(50);
/// How many events are acknowledged together. After a crash as many may come again.
const TOGETHER: u32 = 64;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// By which the receiver knows it again; UUIDv7.
    pub id: Uuid,
    /// What happened, `subject.enrolled`.
    pub topic: String,
    /// What it happened to.
    pub key: String,
    /// The facts. They lie unsealed until they are delivered: no personal data.
    pub payload: serde_json::Value,
}

impl Event {
    /// An event with a new id.
    pub fn new(
        topic: impl Into<String>,
        key: impl Into<String>,
        payload: serde_json::Value,
    ) -> Self {
        Self {
            id: Uuid::now_v7(),
            topic: topic.into(),
            key: key.into(),
            payload,
        }
    }
}

/// Puts an event into the outbox: it is delivered if, and only if, the transaction is kept.
///
/// # Errors
/// `DUPLICATE` when its id waits already; else as [`Tx::execute`].
pub async fn put(tx: &mut Tx, event: &Event) -> Result<()> {
    const SQL: &str = "INSERT INTO outbox_event (id, topic, key, payload) VALUES ($1, $2, $3, $4)";
    let payload = event.payload.to_string();
    tx.execute(SQL, args![event.id, event.topic, event.key, payload])
        .await?;
    tx.announces = true;
    Ok(())
}

/// Whether an event was handled before; from now on it was, if the transaction is kept.
///
/// # Errors
/// As [`Tx::execute`].
pub async fn seen(tx: &mut Tx, event: Uuid) -> Result<bool> {
    const SQL: &str =
        "INSERT INTO inbox_event (id, time) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
    let now = jiff::Timestamp::now();
    Ok(tx.execute(SQL, args![event, now]).await? == 0)
}

/// Hands the events to `handler` one after the other, each until it returns `Ok`, and waits for
/// more. Ends with `Ok` when the context ends. A service runs it once, as a task of its own.
///
/// A failed event is tried again after a pause that grows from 0.1 to 30 s; the later ones wait
/// for it, so that their order holds.
///
/// # Errors
/// `STORE_FAILED` when the disk failed.
pub async fn deliver<F>(db: &Db, cx: &Context, handler: F) -> Result<()>
where
    F: AsyncFn(&Event) -> Result<()>,
{
    let mut pause = SHORTEST;
    loop {
        if cx.check().is_err() {
            return Ok(());
        }
        match round(db, cx, &handler).await {
            Ok(0) => {
                pause = SHORTEST;
                if cx.run(db.shared().announced.notified()).await.is_err() {
                    return Ok(());
                }
            }
            Ok(taken) => {
                pause = SHORTEST;
                if taken < TOGETHER as usize && cx.run(tokio::time::sleep(GATHER)).await.is_err() {
                    return Ok(());
                }
            }
            Err(error) if error.is(&STORE_FAILED) => return Err(error),
            Err(_) if cx.check().is_err() => return Ok(()),
            Err(error) => {
                tracing::warn!(
                    code = error.code(),
                    cause = error.cause_chain(),
                    "an event could not be delivered; it is tried again"
                );
                let wait = error.retry_delay().unwrap_or_else(|| jitter(pause));
                if cx.run(tokio::time::sleep(wait)).await.is_err() {
                    return Ok(());
                }
                pause = (pause * 2).min(LONGEST);
            }
        }
    }
}

/// How many events wait.
///
/// # Errors
/// As [`Db::one`].
pub async fn waiting(db: &Db, cx: &Context) -> Result<i64> {
    db.one(cx, "SELECT count(*) FROM outbox_event", args![])
        .await
}

/// Delivers the oldest events and acknowledges those that were taken, though a later one failed.
async fn round<F>(db: &Db, cx: &Context, handler: &F) -> Result<usize>
where
    F: AsyncFn(&Event) -> Result<()>,
{
    const SQL: &str = "SELECT position, id, topic, key, payload FROM outbox_event
        ORDER BY position LIMIT $1";
    let pending: Vec<Pending> = db.all(cx, SQL, args![TOGETHER]).await?;
    let mut last = None;
    let mut failed = None;
    for Pending { position, event } in &pending {
        match cx.run(handler(event)).await {
            Ok(Ok(())) => last = Some(*position),
            Ok(Err(error)) | Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    if let Some(last) = last {
        acknowledge(db, last).await?;
    }
    failed.map_or(Ok(pending.len()), Err)
}

/// Forgets the delivered events, also when the context ended meanwhile: they would come again.
async fn acknowledge(db: &Db, last: i64) -> Result<()> {
    let cx = Context::background();
    let forget = async move |tx: &mut Tx| {
        const SQL: &str = "DELETE FROM outbox_event WHERE position <= $1";
        tx.execute(SQL, args![last]).await
    };
    match db.write(&cx, forget).await {
        Err(error) if error.is(&catalogue::UNAVAILABLE) => Ok(()),
        outcome => outcome.map(drop),
    }
}

/// Between half of the pause and all of it, so that services do not try in step.
fn jitter(pause: Duration) -> Duration {
    let part = u32::from(Uuid::new_v4().as_bytes()[0]);
    pause / 2 + pause / 512 * part
}

struct Pending {
    position: i64,
    event: Event,
}

impl FromRow for Pending {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        let payload: String = row.get(4)?;
        Ok(Self {
            position: row.get(0)?,
            event: Event {
                id: row.get(1)?,
                topic: row.get(2)?,
                key: row.get(3)?,
                payload: serde_json::from_str(&payload).or_internal("read an event")?,
            },
        })
    }
}
