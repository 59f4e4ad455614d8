//! The hot path: rows of one type that arrive together share one statement.
//!
//! A closure costs the writer a savepoint and a statement for each row. Rows that are only data
//! need neither: those that wait go into multi-row statements, in the same transaction and the
//! same commit as the closures beside them.

use std::{any::TypeId, collections::HashSet, marker::PhantomData};

use tenon_core::{Context, Error, Result};
use tokio::sync::oneshot;

use crate::{
    Tx, Value, audit,
    engine::Fault,
    entries::STORE_FAILED,
    shared::poll_once,
    stats::Counters,
    value::OwnedValue,
    writer::{Job, Lost, Slot, Writer},
};

/// A row that [`crate::Db::batch`] inserts.
///
/// ```
/// # use tenon_store::{BatchRow, ToValue, Value};
/// # use uuid::Uuid;
/// struct Answer {
///     id: Uuid,
///     body: String,
/// }
///
/// impl BatchRow for Answer {
///     const TABLE: &'static str = "answer";
///     const KEY: &'static str = "id";
///     const COLUMNS: &'static [&'static str] = &["id", "body"];
///
///     fn values(&self) -> Vec<Value<'_>> {
///         vec![self.id.to_value(), self.body.to_value()]
///     }
/// }
/// ```
pub trait BatchRow: Send + 'static {
    /// The table.
    const TABLE: &'static str;
    /// The column with a unique constraint that tells rows apart; one of the columns, its values
    /// integers, text or bytes.
    const KEY: &'static str;
    /// The columns, 1 to 64.
    const COLUMNS: &'static [&'static str];

    /// One value for each column, in their order.
    fn values(&self) -> Vec<Value<'_>>;

    /// What goes to the audit trail, in the same transaction, if the row is inserted.
    fn record(&self) -> Option<audit::Record> {
        None
    }
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowOutcome {
    /// It is stored.
    Inserted,
    /// A row with its key was there before, or came earlier in the same statement; that one is
    /// unchanged.
    Duplicate,
}

/// A row on its way through the queue, its type forgotten.
pub(crate) trait RowWork: Send {
    fn cx(&self) -> &Context;
    fn shape(&self) -> &'static Shape;
    fn kind(&self) -> TypeId;
    fn values(&self) -> Vec<Value<'_>>;
    fn record(&self) -> Option<audit::Record>;
    /// What became of the row, told after the commit.
    fn decide(&mut self, outcome: Result<RowOutcome>);
    fn finish(self: Box<Self>, verdict: Result<()>, counters: &Counters);
}

/// Where rows of one type go.
pub(crate) struct Shape {
    table: &'static str,
    key: &'static str,
    columns: &'static [&'static str],
}

pub(crate) struct Waiting<R> {
    pub(crate) cx: Context,
    pub(crate) row: R,
    pub(crate) outcome: Option<Result<RowOutcome>>,
    pub(crate) reply: oneshot::Sender<Result<RowOutcome>>,
}

struct ShapeOf<R>(PhantomData<R>);

impl<R: BatchRow> ShapeOf<R> {
    const SHAPE: &'static Shape = &Shape {
        table: R::TABLE,
        key: R::KEY,
        columns: R::COLUMNS,
    };
}

impl<R: BatchRow> RowWork for Waiting<R> {
    fn cx(&self) -> &Context {
        &self.cx
    }

    fn shape(&self) -> &'static Shape {
        ShapeOf::<R>::SHAPE
    }

    fn kind(&self) -> TypeId {
        TypeId::of::<R>()
    }

    fn values(&self) -> Vec<Value<'_>> {
        self.row.values()
    }

    fn record(&self) -> Option<audit::Record> {
        self.row.record()
    }

    fn decide(&mut self, outcome: Result<RowOutcome>) {
        self.outcome = Some(outcome);
    }

    fn finish(self: Box<Self>, verdict: Result<()>, counters: &Counters) {
        let missing = || Err(Error::internal("insert a row", "it was never run"));
        let result = verdict.and(self.outcome.unwrap_or_else(missing));
        counters.ended(result.is_ok());
        let _ = self.reply.send(result);
    }
}

/// The most rows of one statement. Statements are made for powers of two, so that few are.
const ROWS: usize = 64;

/// Inserts the rows of a batch, type by type.
pub(crate) fn run(writer: &mut Writer, slots: &mut [Slot], rows: &[usize]) -> Result<(), Lost> {
    let mut kinds: Vec<(TypeId, Vec<usize>)> = Vec::new();
    for index in rows {
        let Some(Job::Row(row)) = &slots[*index].job else {
            continue;
        };
        match kinds.iter_mut().find(|(kind, _)| *kind == row.kind()) {
            Some((_, members)) => members.push(*index),
            None => kinds.push((row.kind(), vec![*index])),
        }
    }
    for (_, members) in kinds {
        let mut rest = members.as_slice();
        while !rest.is_empty() {
            let size = (rest.len().min(ROWS) + 1).next_power_of_two() / 2;
            let (chunk, later) = rest.split_at(size);
            insert(writer, slots, chunk)?;
            rest = later;
        }
    }
    Ok(())
}

/// Inserts some rows of one type together; if one of them does not fit, each by itself.
fn insert(writer: &mut Writer, slots: &mut [Slot], chunk: &[usize]) -> Result<(), Lost> {
    writer.control("SAVEPOINT rows")?;
    let error = match together(writer, slots, chunk) {
        Ok(()) => return writer.control("RELEASE rows"),
        Err(error) => error,
    };
    let engine = writer.engine()?;
    match engine.take_fault() {
        Some(Fault::Full) => return Err(Lost::All(error)),
        Some(Fault::Disk | Fault::Interrupted) => return Err(Lost::Disk(error)),
        None => {}
    }
    writer.control("ROLLBACK TO rows")?;
    writer.control("RELEASE rows")?;
    match chunk {
        [only] => decide(slots, *only, Err(error)),
        _ => {
            for index in chunk {
                insert(writer, slots, &[*index])?;
            }
        }
    }
    Ok(())
}

/// One statement for all of them, and the audit records of those that it inserted.
fn together(writer: &mut Writer, slots: &mut [Slot], chunk: &[usize]) -> Result<()> {
    let mut values = Vec::new();
    let mut keys = Vec::with_capacity(chunk.len());
    let mut shape = None;
    for index in chunk {
        let Some(Job::Row(row)) = &slots[*index].job else {
            continue;
        };
        let own = row.values();
        let columns = row.shape().columns;
        let place = columns.iter().position(|column| *column == row.shape().key);
        let key = place.and_then(|place| own.get(place));
        let (Some(key), true) = (key, own.len() == columns.len()) else {
            let problem = format!("{}: values do not fit the columns", row.shape().table);
            return Err(Error::internal("insert rows", problem));
        };
        keys.push(Key::of(*key));
        values.extend(own);
        shape = Some(row.shape());
    }
    let Some(shape) = shape else {
        return Ok(());
    };
    let sql = shape.insert(chunk.len());
    let Some(engine) = writer.engine.as_deref_mut() else {
        return Err(STORE_FAILED.error());
    };
    let returned = engine.composed(&sql, &values, Key::read)?;
    let mut inserted: HashSet<Key> = returned.into_iter().collect();
    for (index, key) in chunk.iter().zip(keys) {
        // The first of two equal keys is the one that was inserted.
        let outcome = match inserted.remove(&key) {
            true => RowOutcome::Inserted,
            false => RowOutcome::Duplicate,
        };
        if outcome == RowOutcome::Inserted {
            append_record(writer, slots, *index)?;
        }
        decide(slots, *index, Ok(outcome));
    }
    Ok(())
}

fn append_record(writer: &mut Writer, slots: &[Slot], index: usize) -> Result<()> {
    let Some(Job::Row(row)) = &slots[index].job else {
        return Ok(());
    };
    let Some(record) = row.record() else {
        return Ok(());
    };
    let Some(engine) = writer.engine.take() else {
        return Err(STORE_FAILED.error());
    };
    let mut tx = Tx::new(engine, row.cx().clone());
    let outcome = poll_once(audit::append(&mut tx, &record));
    writer.engine = Some(tx.into_engine());
    outcome
        .unwrap_or_else(|| Err(crate::shared::awaited()))
        .map(drop)
}

fn decide(slots: &mut [Slot], index: usize, outcome: Result<RowOutcome>) {
    if let Some(Job::Row(row)) = &mut slots[index].job {
        row.decide(outcome);
    }
}

impl Shape {
    fn insert(&self, rows: usize) -> String {
        use std::fmt::Write;
        let Self {
            table,
            key,
            columns,
        } = self;
        let mut sql = format!("INSERT INTO {table} ({}) VALUES ", columns.join(", "));
        for row in 0..rows {
            sql.push_str(if row == 0 { "(" } else { ", (" });
            for column in 0..columns.len() {
                let number = row * columns.len() + column + 1;
                let comma = if column == 0 { "" } else { ", " };
                let _ = write!(sql, "{comma}${number}");
            }
            sql.push(')');
        }
        let _ = write!(sql, " ON CONFLICT ({key}) DO NOTHING RETURNING {key}");
        sql
    }
}

/// The value of a row's key, to recognise it in what the statement returns in no promised order.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
    Other,
}

impl Key {
    fn of(value: Value<'_>) -> Self {
        match OwnedValue::from(value) {
            OwnedValue::Int(number) => Self::Int(number),
            OwnedValue::Text(text) => Self::Text(text),
            OwnedValue::Bytes(bytes) => Self::Bytes(bytes),
            OwnedValue::Null | OwnedValue::Bool(_) | OwnedValue::Real(_) => Self::Other,
        }
    }

    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        use rusqlite::types::Value as Cell;
        Ok(match row.get::<_, Cell>(0)? {
            Cell::Integer(number) => Self::Int(number),
            Cell::Text(text) => Self::Text(text),
            Cell::Blob(bytes) => Self::Bytes(bytes),
            Cell::Null | Cell::Real(_) => Self::Other,
        })
    }
}
