//! One connection to SQLite: opening it, running statements on it, telling its failures apart.
//!
//! Nothing outside this crate sees it, and little inside it knows that it is SQLite.

use std::{collections::HashMap, fmt, path::Path, sync::Arc, time::Duration};

use rusqlite::{Connection, ErrorCode, InterruptHandle, OpenFlags, Statement, config::DbConfig};
use tenon_core::{Error, Result, catalogue};

use crate::{
    FromRow, Row, Value,
    entries::{DUPLICATE, ROWS_EXCEEDED, STORE_FAILED, STORE_FULL, open_failed},
    watch::Watch,
};

/// Steps of a statement between two looks at its caller: 1 to 2 % of a scan's time.
const STEPS: i32 = 1000;
/// How long a lock of another process is waited for.
const BUSY: Duration = Duration::from_secs(5);
/// The size of a page in bytes. 8 KiB costs a batch a third less than 4 KiB, and a lone commit
/// less than 16 KiB.
pub(crate) const PAGE_BYTES: u64 = 8192;

/// A connection with its statements prepared.
pub(crate) struct Engine {
    conn: Connection,
    plans: HashMap<(usize, usize), Plan>,
    watch: Arc<Watch>,
    interrupt: Arc<InterruptHandle>,
    fault: Option<Fault>,
}

/// A failure that concerns more than its statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The statement was stopped; where it changed data, the transaction is gone.
    Interrupted,
    /// No space is left.
    Full,
    /// The disk failed, or the data on it is damaged.
    Disk,
}

/// How the arguments of a statement go to its parameters. The engine numbers `$2, $1` by their
/// first appearance, so they are mapped by name, once for each text.
enum Plan {
    InOrder(usize),
    Mapped(Vec<usize>),
}

impl Engine {
    /// The connection that writes. Creates the file when it is missing.
    pub(crate) fn open_writer(path: &Path, max_bytes: Option<u64>) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self::open(path, flags, |conn| {
            // The size of a page is fixed once the log mode is set.
            conn.pragma_update(None, "page_size", PAGE_BYTES.cast_signed())?;
            conn.pragma_update(None, "journal_mode", "WAL")?;
            conn.pragma_update(None, "synchronous", "FULL")?;
            conn.pragma_update(None, "secure_delete", "ON")?;
            conn.pragma_update(None, "foreign_keys", "ON")?;
            // Without it REPLACE removes rows past the triggers that refuse a removal.
            conn.pragma_update(None, "recursive_triggers", "ON")?;
            conn.pragma_update(None, "cache_size", -32_000)?;
            if let Some(bytes) = max_bytes {
                let pages = i64::try_from(bytes / PAGE_BYTES).unwrap_or(i64::MAX);
                conn.pragma_update(None, "max_page_count", pages.max(1))?;
            }
            Ok(())
        })
    }

    /// A connection that only reads; it may be opened beside another process that writes.
    pub(crate) fn open_reader(path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self::open(path, flags, |conn| {
            conn.pragma_update(None, "query_only", "ON")?;
            conn.pragma_update(None, "cache_size", -4_000)
        })
    }

    fn open(
        path: &Path,
        flags: OpenFlags,
        configure: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<Self> {
        let watch = Arc::new(Watch::default());
        let seen = watch.clone();
        let opened = || -> rusqlite::Result<Connection> {
            let mut conn = Connection::open_with_flags(path, flags)?;
            conn.busy_timeout(BUSY)?;
            conn.pragma_update(None, "temp_store", "MEMORY")?;
            conn.pragma_update(None, "trusted_schema", "OFF")?;
            configure(&conn)?;
            // Closing must not copy a log whose sync failed; `Db::close` checkpoints by itself.
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            conn.set_prepared_statement_cache_capacity(512);
            conn.progress_handler(STEPS, Some(move || seen.must_stop()))?;
            Ok(conn)
        };
        let conn = opened().map_err(|cause| open_failed(path, cause))?;
        let interrupt = Arc::new(conn.get_interrupt_handle());
        Ok(Self {
            conn,
            plans: HashMap::new(),
            watch,
            interrupt,
            fault: None,
        })
    }

    /// Runs a statement that gives no rows; the number of rows that it changed.
    pub(crate) fn execute(&mut self, sql: &'static str, args: &[Value<'_>]) -> Result<u64> {
        let outcome = self.bound(sql, args, |statement| {
            let changed = statement.raw_execute()?;
            Ok(Ok(u64::try_from(changed).unwrap_or(u64::MAX)))
        });
        self.told(sql, outcome)
    }

    /// Runs a query whose result may have `limit` rows at most.
    pub(crate) fn query<T: FromRow>(
        &mut self,
        sql: &'static str,
        args: &[Value<'_>],
        limit: usize,
    ) -> Result<Vec<T>> {
        let outcome = self.bound(sql, args, |statement| {
            let mut found = Vec::new();
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next()? {
                if found.len() == limit {
                    return Ok(Err(ROWS_EXCEEDED.error().param("limit", limit)));
                }
                match T::from_row(&Row::new(row, sql)) {
                    Ok(value) => found.push(value),
                    Err(error) => return Ok(Err(error)),
                }
            }
            Ok(Ok(found))
        });
        self.told(sql, outcome)
    }

    /// Runs a statement whose text was made here, its parameters in order.
    pub(crate) fn composed<T>(
        &mut self,
        sql: &str,
        args: &[Value<'_>],
        read: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let run = || {
            let mut statement = self.conn.prepare_cached(sql)?;
            for (slot, value) in args.iter().enumerate() {
                bind(&mut statement, slot + 1, *value)?;
            }
            let mut found = Vec::new();
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next()? {
                found.push(read(row)?);
            }
            Ok(found)
        };
        let outcome = run().map(Ok);
        self.told("a multi-row statement", outcome)
    }

    /// Runs a statement that begins or ends a transaction or a savepoint.
    pub(crate) fn control(&mut self, sql: &'static str) -> Result<()> {
        let run = || self.conn.prepare_cached(sql)?.raw_execute();
        let outcome = run().map(Ok);
        self.told(sql, outcome).map(drop)
    }

    /// Whether no transaction is open: inside one, it was lost.
    pub(crate) fn is_idle(&self) -> bool {
        self.conn.is_autocommit()
    }

    /// The last failure that concerns more than its statement; forgotten by this call.
    pub(crate) fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    pub(crate) fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    pub(crate) fn interrupt_handle(&self) -> Arc<InterruptHandle> {
        self.interrupt.clone()
    }

    /// The connection itself, for migrations, checkpoints and backups.
    pub(crate) fn connection(&mut self) -> &mut Connection {
        &mut self.conn
    }

    /// Prepares, maps and binds, then lets `work` run the statement.
    fn bound<T>(
        &mut self,
        sql: &'static str,
        args: &[Value<'_>],
        work: impl FnOnce(&mut Statement<'_>) -> rusqlite::Result<Result<T>>,
    ) -> rusqlite::Result<Result<T>> {
        let key = (sql.as_ptr().addr(), sql.len());
        // Some of what is refused takes effect when it is prepared.
        if !self.plans.contains_key(&key)
            && let Some(problem) = own_statement(sql)
        {
            return Ok(Err(misused(sql, problem)));
        }
        let mut statement = self.conn.prepare_cached(sql)?;
        let plan = match self.plans.get(&key) {
            Some(plan) => plan,
            None => match plan(&statement) {
                Ok(plan) => self.plans.entry(key).or_insert(plan),
                Err(problem) => return Ok(Err(misused(sql, problem))),
            },
        };
        let expected = match plan {
            Plan::InOrder(count) => *count,
            Plan::Mapped(order) => order.len(),
        };
        if args.len() != expected {
            let problem = format!("it has {expected} parameters, {} were given", args.len());
            return Ok(Err(misused(sql, problem)));
        }
        match plan {
            Plan::InOrder(_) => {
                for (slot, value) in args.iter().enumerate() {
                    bind(&mut statement, slot + 1, *value)?;
                }
            }
            Plan::Mapped(order) => {
                for (slot, argument) in order.iter().enumerate() {
                    bind(&mut statement, slot + 1, args[*argument])?;
                }
            }
        }
        work(&mut statement)
    }

    /// Turns the engine's failure into ours and remembers what concerns the whole batch.
    fn told<T>(&mut self, sql: &'static str, outcome: rusqlite::Result<Result<T>>) -> Result<T> {
        let failure = match outcome {
            Ok(result) => return result,
            Err(failure) => failure,
        };
        let code = failure.sqlite_error();
        let extended = code.map_or(0, |code| code.extended_code);
        let code = code.map(|code| code.code);
        let cause = StatementFailed {
            sql,
            problem: failure.to_string(),
        };
        Err(match code {
            Some(ErrorCode::OperationInterrupted) => {
                self.fault = Some(Fault::Interrupted);
                let reason = self.watch.reason();
                reason.unwrap_or_else(|| catalogue::DEADLINE_EXCEEDED.error())
            }
            Some(ErrorCode::DiskFull) => {
                self.fault = Some(Fault::Full);
                STORE_FULL.error().cause(cause)
            }
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::CannotOpen
                | ErrorCode::OutOfMemory,
            ) => {
                self.fault = Some(Fault::Disk);
                STORE_FAILED.error().cause(cause)
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                let busy = catalogue::UNAVAILABLE.error().cause(cause);
                busy.retry_after(Duration::from_secs(1))
            }
            Some(ErrorCode::ConstraintViolation) if is_duplicate(extended) => {
                DUPLICATE.error().cause(cause)
            }
            _ => Error::internal("run a statement", cause),
        })
    }
}

fn bind(statement: &mut Statement<'_>, slot: usize, value: Value<'_>) -> rusqlite::Result<()> {
    use rusqlite::types::Null;
    match value {
        Value::Null => statement.raw_bind_parameter(slot, Null),
        Value::Bool(truth) => statement.raw_bind_parameter(slot, truth),
        Value::Int(number) => statement.raw_bind_parameter(slot, number),
        Value::Real(number) => statement.raw_bind_parameter(slot, number),
        Value::Text(text) => statement.raw_bind_parameter(slot, text),
        Value::Bytes(bytes) => statement.raw_bind_parameter(slot, bytes),
    }
}

/// Why a statement may not be run by a closure, if it begins one that the store runs itself.
fn own_statement(sql: &str) -> Option<String> {
    const OWN: [&str; 11] = [
        "BEGIN",
        "COMMIT",
        "END",
        "ROLLBACK",
        "SAVEPOINT",
        "RELEASE",
        "PRAGMA",
        "ATTACH",
        "DETACH",
        "VACUUM",
        "REINDEX",
    ];
    let mut words = sql.split(|c: char| !c.is_alphanumeric());
    let first = words.find(|word| !word.is_empty())?.to_ascii_uppercase();
    OWN.contains(&first.as_str())
        .then(|| format!("`{first}` is the store's own; use write and read"))
}

/// Reads the parameters of a statement, and refuses those that only one engine understands.
fn plan(statement: &Statement<'_>) -> Result<Plan, String> {
    let count = statement.parameter_count();
    let mut order = Vec::with_capacity(count);
    for slot in 1..=count {
        let name = statement.parameter_name(slot).unwrap_or("?");
        let number = name
            .strip_prefix('$')
            .and_then(|text| text.parse::<usize>().ok());
        match number {
            Some(number) if (1..=count).contains(&number) => order.push(number - 1),
            _ => return Err(format!("parameter `{name}` is none of $1 to ${count}")),
        }
    }
    if order.iter().copied().eq(0..count) {
        return Ok(Plan::InOrder(count));
    }
    Ok(Plan::Mapped(order))
}

fn misused(sql: &'static str, problem: String) -> Error {
    Error::internal("run a statement", StatementFailed { sql, problem })
}

/// UNIQUE, PRIMARY KEY and rowid constraints.
fn is_duplicate(extended: i32) -> bool {
    matches!(extended, 2067 | 1555 | 2579)
}

/// A statement that the engine refused. Statements and the engine's texts hold names of tables
/// and columns, never values.
#[derive(Debug)]
struct StatementFailed {
    sql: &'static str,
    problem: String,
}

impl fmt::Display for StatementFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.sql, self.problem)
    }
}

impl std::error::Error for StatementFailed {}
