//! What a closure works with: [`Tx`] inside a write, [`Rx`] inside a read.

use std::{
    ops::{Deref, DerefMut},
    time::Instant,
};

use tenon_core::{Context, Error, Result};
use uuid::Uuid;

use crate::{FromRow, Value, engine::Engine};

/// How many rows a query may give.
pub const ROWS_MAX: usize = 10_000;

/// The transaction of a write. What [`Rx`] reads, it reads too, and sees its own changes.
///
/// After its first failed statement it is dead: further statements return the same error, and
/// nothing of it is kept even if the closure returns `Ok`. Meet conflicts with `ON CONFLICT`.
pub struct Tx {
    rx: Rx,
    id: Option<Uuid>,
    /// An event was put into the outbox.
    pub(crate) announces: bool,
}

impl Tx {
    pub(crate) fn new(engine: Box<Engine>, cx: Context) -> Self {
        Self {
            rx: Rx::new(engine, cx),
            id: None,
            announces: false,
        }
    }

    /// Runs a statement that gives no rows. Returns how many rows it changed.
    ///
    /// # Errors
    /// `DUPLICATE` when a key exists, `STORE_FULL`, `STORE_FAILED`, the context's error when the
    /// statement was interrupted, else `INTERNAL`.
    pub async fn execute(&mut self, sql: &'static str, args: &[Value<'_>]) -> Result<u64> {
        self.rx.guarded(|engine| engine.execute(sql, args))
    }

    /// The id of this transaction, for the records that it leaves. Another one when the write is
    /// run again.
    pub fn id(&mut self) -> Uuid {
        *self.id.get_or_insert_with(Uuid::now_v7)
    }
}

impl Deref for Tx {
    type Target = Rx;

    fn deref(&self) -> &Rx {
        &self.rx
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Rx {
        &mut self.rx
    }
}

/// One state of the data, to read from. A function that only reads takes `&mut Rx` and works
/// inside writes as well.
pub struct Rx {
    engine: Box<Engine>,
    cx: Context,
    began: Instant,
    failed: Option<Error>,
}

impl Rx {
    pub(crate) fn new(engine: Box<Engine>, cx: Context) -> Self {
        Self {
            engine,
            cx,
            began: Instant::now(),
            failed: None,
        }
    }

    /// The context of the call.
    pub fn cx(&self) -> &Context {
        &self.cx
    }

    /// The one row of a query that always has one, such as `count(*)`.
    ///
    /// # Errors
    /// `INTERNAL` when there is no row, more than one, or one that does not read as `T`; the
    /// context's error when the query was interrupted.
    pub async fn one<T: FromRow>(&mut self, sql: &'static str, args: &[Value<'_>]) -> Result<T> {
        self.guarded(|engine| {
            exactly_one(engine.query(sql, args, 1).map(|mut rows| rows.pop()), sql)
        })
    }

    /// The row of a query that has one or none.
    ///
    /// # Errors
    /// As [`Rx::one`], but no row is `None`.
    pub async fn optional<T: FromRow>(
        &mut self,
        sql: &'static str,
        args: &[Value<'_>],
    ) -> Result<Option<T>> {
        self.guarded(|engine| engine.query(sql, args, 1).map(|mut rows| rows.pop()))
    }

    /// All rows of a query, at most [`ROWS_MAX`].
    ///
    /// # Errors
    /// `ROWS_EXCEEDED` when there are more; else as [`Rx::one`].
    pub async fn all<T: FromRow>(
        &mut self,
        sql: &'static str,
        args: &[Value<'_>],
    ) -> Result<Vec<T>> {
        self.guarded(|engine| engine.query(sql, args, ROWS_MAX))
    }

    /// The first failure of a statement, if there was one.
    pub(crate) fn failure(&self) -> Option<&Error> {
        self.failed.as_ref()
    }

    pub(crate) fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    pub(crate) fn into_engine(self) -> Box<Engine> {
        self.engine
    }

    fn guarded<T>(&mut self, work: impl FnOnce(&mut Engine) -> Result<T>) -> Result<T> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let outcome = match self.engine.watch().statement(self.began) {
            Ok(()) => work(&mut self.engine),
            Err(error) => Err(error),
        };
        if let Err(error) = &outcome {
            self.failed = Some(error.clone());
        }
        outcome
    }
}

impl Tx {
    pub(crate) fn into_engine(self) -> Box<Engine> {
        self.rx.into_engine()
    }
}

/// No row where one is certain is a fault of the query.
pub(crate) fn exactly_one<T>(found: Result<Option<T>>, sql: &'static str) -> Result<T> {
    found?.ok_or_else(|| Error::internal("read a row", format!("`{sql}` gave none")))
}
