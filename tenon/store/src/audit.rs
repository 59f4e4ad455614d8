//! The audit trail: who did what, when, to what, from which old value to which new one, and why.
//!
//! Records are appended in the transaction of the change that they tell of. Each stream (a study,
//! or `service`) is a chain: `hash = SHA-256(previous || canonical)`, where `canonical` is stored
//! as it was hashed and begins with the version of its format, and the first record's `previous`
//! is 32 zero bytes. Triggers refuse to change or delete records; [`verify_file`] finds what was
//! done around them: an edited, removed, inserted or moved record, and a tail that was cut off.
//!
//! A tail is known to be cut off by the stream's head, kept beside the records. Someone who may
//! write the file and rewrites the head as well, or the whole chain, leaves no trace in it: that
//! is found only by comparing the [`Head`] with one that was noted down elsewhere.

mod verify;

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use tenon_core::{Error, OrInternal, Result};
use uuid::Uuid;

use crate::{FromRow, Row, Rx, Tx, args};
pub use verify::{Problem, Report, verify_file};

/// The first line of a record's canonical bytes.
const FORMAT: &str = "tenon-audit/1\n";

/// The stream of what belongs to no study.
pub const SERVICE: &str = "service";

/// What is recorded. Everything in it stays readable for as long as the trail: personal values
/// go in sealed ([`crate::seal::Sealed::to_json`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The chain that it belongs to: the id of a study, or [`SERVICE`].
    pub stream: String,
    /// What was done, `entity.verb`: `response.submit`.
    pub action: String,
    /// The kind of thing that it was done to.
    pub entity: String,
    /// Which one.
    pub entity_id: String,
    /// The id of the account that did it, or of the service itself.
    pub actor: String,
    /// The role in which it was done.
    pub actor_role: String,
    /// For whom it was done, if not for the actor.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub on_behalf_of: Option<String>,
    /// The session, device or address that it came from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub session: Option<String>,
    /// Why, where a reason is asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The value before; nothing when it was created.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub old: Option<serde_json::Value>,
    /// The value after; nothing when it was removed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub new: Option<serde_json::Value>,
    /// What else the product records: site, subject, item, version.
    pub attributes: BTreeMap<String, String>,
    /// Through what it came: `ui`, `import`, `api`, `system`.
    pub source: String,
    /// When, by the server's clock; kept to the microsecond.
    #[serde(serialize_with = "to_the_microsecond")]
    pub time: Timestamp,
}

/// The last record of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The chain.
    pub stream: String,
    /// The number of its records, and of the last one: they count from 1.
    pub sequence: i64,
    /// The hash of the last one.
    pub hash: [u8; 32],
}

/// A record as it stands in its chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Its place in the stream, from 1.
    pub sequence: i64,
    /// The transaction that it was written in, which other records may share.
    pub transaction: Uuid,
    /// Its hash.
    pub hash: [u8; 32],
    /// What it says.
    pub record: Record,
}

/// What is hashed and stored, after [`FORMAT`]. The order of the fields is the order in the text.
#[derive(Serialize, Deserialize)]
struct Canonical<R> {
    sequence: i64,
    transaction: Uuid,
    #[serde(flatten)]
    record: R,
}

/// Appends a record to its stream, in the transaction of the change that it tells of.
///
/// # Errors
/// `INTERNAL` when stream, action, entity, actor or source is empty; else as [`Tx::execute`].
pub async fn append(tx: &mut Tx, record: &Record) -> Result<Head> {
    const INSERT: &str = "INSERT INTO audit_record
        (stream, sequence, time, action, entity, entity_id, actor, canonical, previous, hash)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    const ADVANCE: &str = "INSERT INTO audit_head (stream, sequence, hash) VALUES ($1, $2, $3)
        ON CONFLICT (stream) DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash";
    let Record {
        stream,
        action,
        entity,
        entity_id,
        actor,
        source,
        ..
    } = record;
    if [stream, action, entity, actor, source]
        .into_iter()
        .any(String::is_empty)
    {
        let problem = "stream, action, entity, actor and source must not be empty";
        return Err(Error::internal("append an audit record", problem));
    }
    let (last, previous) = match head(tx, stream).await? {
        Some(head) => (head.sequence, head.hash),
        None => (0, [0; 32]),
    };
    let sequence = last + 1;
    let micros = record.time.as_microsecond();
    let canonical = canonical(sequence, tx.id(), record)?;
    let hash = chain(&previous, &canonical);
    let row = args![
        stream, sequence, micros, action, entity, entity_id, actor, canonical, previous, hash
    ];
    tx.execute(INSERT, row).await?;
    tx.execute(ADVANCE, args![stream, sequence, hash]).await?;
    Ok(Head {
        stream: stream.clone(),
        sequence,
        hash,
    })
}

/// The head of a stream, to be noted down where this service's operators cannot change it.
///
/// # Errors
/// As [`Rx::optional`].
pub async fn head(rx: &mut Rx, stream: &str) -> Result<Option<Head>> {
    const SQL: &str = "SELECT sequence, hash FROM audit_head WHERE stream = $1";
    let found: Option<(i64, [u8; 32])> = rx.optional(SQL, args![stream]).await?;
    Ok(found.map(|(sequence, hash)| Head {
        stream: stream.to_owned(),
        sequence,
        hash,
    }))
}

/// Records of a stream after the one numbered `after`, oldest first, at most `limit`.
///
/// # Errors
/// As [`Rx::all`]; `INTERNAL` when a record cannot be read.
pub async fn list(rx: &mut Rx, stream: &str, after: i64, limit: u32) -> Result<Vec<Stored>> {
    const SQL: &str = "SELECT hash, canonical FROM audit_record
        WHERE stream = $1 AND sequence > $2 ORDER BY sequence LIMIT $3";
    rx.all(SQL, args![stream, after, limit]).await
}

/// The records of one thing, whatever its stream, oldest first, at most `limit`.
///
/// # Errors
/// As [`list`].
pub async fn history(
    rx: &mut Rx,
    entity: &str,
    entity_id: &str,
    limit: u32,
) -> Result<Vec<Stored>> {
    const SQL: &str = "SELECT hash, canonical FROM audit_record
        WHERE entity = $1 AND entity_id = $2 ORDER BY stream, sequence LIMIT $3";
    rx.all(SQL, args![entity, entity_id, limit]).await
}

impl FromRow for Stored {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        let canonical: Vec<u8> = row.get(1)?;
        let read = parse(&canonical);
        let read = read.map_err(|problem| Error::internal("read an audit record", problem))?;
        Ok(Self {
            sequence: read.sequence,
            transaction: read.transaction,
            hash: row.get(0)?,
            record: read.record,
        })
    }
}

fn canonical(sequence: i64, transaction: Uuid, record: &Record) -> Result<Vec<u8>> {
    let canonical = Canonical {
        sequence,
        transaction,
        record,
    };
    let mut bytes = FORMAT.as_bytes().to_vec();
    serde_json::to_writer(&mut bytes, &canonical).or_internal("write an audit record")?;
    Ok(bytes)
}

/// As precise as the column beside it, with which it is compared.
fn to_the_microsecond<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    let micros = Timestamp::from_microsecond(time.as_microsecond());
    micros.map_err(serde::ser::Error::custom)?.serialize(to)
}

fn parse(canonical: &[u8]) -> Result<Canonical<Record>, String> {
    let json = canonical
        .strip_prefix(FORMAT.as_bytes())
        .ok_or("its format is unknown; a newer program may know it")?;
    serde_json::from_slice(json).map_err(|_| "it is not a record".to_owned())
}

fn chain(previous: &[u8], canonical: &[u8]) -> [u8; 32] {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(previous);
    hash.update(canonical);
    let mut out = [0; 32];
    out.copy_from_slice(hash.finish().as_ref());
    out
}
