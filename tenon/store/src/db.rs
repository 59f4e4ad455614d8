//! [`Db`]: the one handle on a service's data.

use std::{
    fs::{File, OpenOptions, Permissions},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use rusqlite::config::DbConfig;
use tenon_core::{Context, Error, OrInternal, Result};
use tokio::sync::oneshot;

use crate::{
    BackupReport, BatchRow, FromRow, Migration, Options, RowOutcome, Rx, Stats, ToValue, Tx, Value,
    audit, backup,
    batch::Waiting,
    engine::Engine,
    entries::open_failed,
    maintenance, migrate,
    reader::{self, Hold, Leash, Read},
    shared::{Shared, outside, refused},
    step::Step,
    tx::exactly_one,
    value::OwnedValue,
    writer::{Job, Write, Writer},
};

/// How many keyed reads may run on their callers' threads at once.
const INLINE: usize = 4;

/// A service's data. Cheap to clone; the last handle that goes ends the threads behind it.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    writer: JoinHandle<Option<Box<Engine>>>,
    readers: Vec<JoinHandle<()>>,
    maintenance: JoinHandle<()>,
}

impl Db {
    /// Opens the data, creating it when it is missing, and brings its schema up to date.
    ///
    /// # Errors
    /// `OPEN_FAILED` with the file and the reason: it cannot be opened or is no database, its
    /// schema is newer than `migrations`, or an applied migration was changed since.
    pub async fn open(options: impl Into<Options>, migrations: &[Migration]) -> Result<Self> {
        let options = options.into();
        let migrations = migrations.to_vec();
        let open = move || Self::open_now(options, &migrations);
        tokio::task::spawn_blocking(open)
            .await
            .or_internal("open the database")?
    }

    /// Changes the data.
    ///
    /// The closure's statements are one transaction. It is on the disk when this returns `Ok`; it
    /// left no trace when this returns an error, but for two: `STORE_FAILED`, and the context's own
    /// error (`DEADLINE_EXCEEDED`, `CANCELLED`), after which a short write may still be kept. An
    /// idempotency key in the row decides those.
    ///
    /// The store may run the closure more than once, so it has no effect but through `tx`, and
    /// awaits nothing else. While it runs no other write does: compute before it.
    ///
    /// # Errors
    /// The closure's own; `OVERLOADED` at once when too many writes wait; `STORE_FULL`;
    /// `STORE_FAILED`; `INTERNAL` when it panicked or awaited something else.
    pub async fn write<T, F>(&self, cx: &Context, closure: F) -> Result<T>
    where
        F: AsyncFn(&mut Tx) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.submit(cx, closure, false).await
    }

    /// [`Db::write`] in a transaction of its own, for changes of many rows: if it is interrupted
    /// nobody else's write is run again. Other writes wait until it ends.
    ///
    /// # Errors
    /// As [`Db::write`].
    pub async fn write_alone<T, F>(&self, cx: &Context, closure: F) -> Result<T>
    where
        F: AsyncFn(&mut Tx) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        self.submit(cx, closure, true).await
    }

    async fn submit<T, F>(&self, cx: &Context, closure: F, alone: bool) -> Result<T>
    where
        F: AsyncFn(&mut Tx) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        outside()?;
        cx.check()?;
        let step = self.step(cx, "write");
        let (reply, outcome) = oneshot::channel();
        let work = Box::new(Write {
            cx: cx.clone(),
            closure,
            result: None,
            reply,
        });
        self.shared().submit(Job::Closure { work, alone })?;
        let outcome = cx.run(outcome).await;
        step.end(outcome.and_then(|told| told.or_internal("write")?))
    }

    /// Inserts a row together with others of its type that arrive at the same time. As durable as
    /// [`Db::write`] and in the same commits, at a fraction of its cost under load.
    ///
    /// # Errors
    /// As [`Db::write`]; a row that breaks a constraint other than its key's fails alone.
    pub async fn batch<R: BatchRow>(&self, cx: &Context, row: R) -> Result<RowOutcome> {
        outside()?;
        cx.check()?;
        let step = self.step(cx, "write");
        let (reply, outcome) = oneshot::channel();
        let row = Box::new(Waiting {
            cx: cx.clone(),
            row,
            outcome: None,
            reply,
        });
        self.shared().submit(Job::Row(row))?;
        let outcome = cx.run(outcome).await;
        step.end(outcome.and_then(|told| told.or_internal("insert a row")?))
    }

    /// Reads with several statements that see one state of the data. The closure awaits nothing
    /// but `rx`. It stops when the context ends or this future is dropped.
    ///
    /// # Errors
    /// The closure's own; the context's when it ended; `OVERLOADED` when too many reads wait.
    pub async fn read<T, F>(&self, cx: &Context, closure: F) -> Result<T>
    where
        F: AsyncFn(&mut Rx) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        outside()?;
        cx.check()?;
        let step = self.step(cx, "read");
        let (reply, outcome) = oneshot::channel();
        let leash = Arc::new(Leash::default());
        let read = Box::new(Read {
            cx: cx.clone(),
            closure,
            leash: leash.clone(),
            result: None,
            reply,
        });
        self.shared().reads.push(read).map_err(refused)?;
        let _hold = Hold(leash);
        let outcome = cx.run(outcome).await;
        step.end(outcome.and_then(|told| told.or_internal("read")?))
    }

    /// The one row of a query that always has one.
    ///
    /// # Errors
    /// As [`Rx::one`], and as [`Db::read`].
    pub async fn one<T: FromRow + Send + 'static>(
        &self,
        cx: &Context,
        sql: &'static str,
        args: &[Value<'_>],
    ) -> Result<T> {
        exactly_one(self.optional(cx, sql, args).await, sql)
    }

    /// The row of a query that has one or none. A read by key takes place on the caller's thread;
    /// one that turns out to be long is moved to a reader thread after a millisecond.
    ///
    /// # Errors
    /// As [`Rx::optional`], and as [`Db::read`].
    pub async fn optional<T: FromRow + Send + 'static>(
        &self,
        cx: &Context,
        sql: &'static str,
        args: &[Value<'_>],
    ) -> Result<Option<T>> {
        outside()?;
        cx.check()?;
        let step = self.step(cx, "read");
        let quick = reader::inline(self.shared(), cx, sql, |engine| engine.query(sql, args, 1));
        if let Some(outcome) = quick {
            return step.end(outcome).map(|mut rows| rows.pop());
        }
        step.forget();
        let args = owned(args);
        let read = async move |rx: &mut Rx| rx.optional(sql, &borrowed(&args)).await;
        self.read(cx, read).await
    }

    /// All rows of a query, at most [`crate::ROWS_MAX`], read by a reader thread.
    ///
    /// # Errors
    /// As [`Rx::all`], and as [`Db::read`].
    pub async fn all<T: FromRow + Send + 'static>(
        &self,
        cx: &Context,
        sql: &'static str,
        args: &[Value<'_>],
    ) -> Result<Vec<T>> {
        let args = owned(args);
        let read = async move |rx: &mut Rx| rx.all(sql, &borrowed(&args)).await;
        self.read(cx, read).await
    }

    /// Writes a consistent copy of the data to a new file at `path`, while writes go on, and
    /// checks it.
    ///
    /// # Errors
    /// `OPEN_FAILED` when the file exists, cannot be written, or the copy is not sound; the
    /// context's error when it ended, in which case no file is left.
    pub async fn backup(&self, cx: &Context, path: impl AsRef<Path>) -> Result<BackupReport> {
        let (cx, to) = (cx.clone(), path.as_ref().to_owned());
        let from = self.shared().options.path.clone();
        let copy = move || backup::run(&cx, &from, &to);
        tokio::task::spawn_blocking(copy)
            .await
            .or_internal("copy the data")?
    }

    /// Verifies the whole audit trail beside the running work.
    ///
    /// # Errors
    /// The file cannot be read. Findings are in the report.
    pub async fn verify_audit(&self) -> Result<audit::Report> {
        let path = self.shared().options.path.clone();
        let verify = move || audit::verify_file(&path);
        tokio::task::spawn_blocking(verify)
            .await
            .or_internal("verify the audit trail")?
    }

    /// What was done since the data was opened.
    pub fn stats(&self) -> Stats {
        self.shared().counters.read(self.shared().writes.len())
    }

    /// Whether the disk failed, so that no writes are accepted until the process starts anew.
    pub fn is_failed(&self) -> bool {
        self.shared().failed.is_cancelled()
    }

    /// Resolves when the disk failed. The process is then to end: only a new start reads back
    /// what the disk holds.
    pub async fn failed(&self) {
        self.shared().failed.cancelled().await;
    }

    /// Refuses further work, ends what waits, copies the log into the data file and closes it.
    /// Further calls return at once.
    ///
    /// # Errors
    /// The last checkpoint failed; nothing is lost, the next start repeats it.
    pub async fn close(&self) -> Result<()> {
        let inner = self.inner.clone();
        let close = move || inner.close();
        tokio::task::spawn_blocking(close)
            .await
            .or_internal("close the database")?
    }

    /// The step of a trace that begins here.
    fn step(&self, cx: &Context, operation: &'static str) -> Step<'_> {
        Step::begin(&self.shared().options, cx, operation)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    fn open_now(options: Options, migrations: &[Migration]) -> Result<Self> {
        let path = options.path.clone();
        create_private(&path).map_err(|cause| {
            open_failed(
                &path,
                format!("{cause}; its folder must exist and be writable"),
            )
        })?;
        let mut engine = Engine::open_writer(&path, options.max_bytes)?;
        migrate::run(&mut engine, &path, migrations)?;
        let mut inline = Vec::new();
        for _ in 0..INLINE {
            inline.push(Engine::open_reader(&path)?);
        }
        let readers = options.readers.max(1);
        let shared = Arc::new(Shared::new(options, inline));
        let threads = start(&shared, Box::new(engine), &path, readers)?;
        let threads = Mutex::new(Some(threads));
        Ok(Self {
            inner: Arc::new(Inner { shared, threads }),
        })
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db")
            .field("path", &self.shared().options.path)
            .field("failed", &self.is_failed())
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn stop(&self) {
        self.shared.writes.close();
        self.shared.reads.close();
        self.shared.wal.stop();
    }

    fn close(&self) -> Result<()> {
        self.stop();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(threads) = threads.take() else {
            return Ok(());
        };
        let ended = |_| Error::internal("close the database", "one of its threads panicked");
        for reader in threads.readers {
            reader.join().map_err(ended)?;
        }
        threads.maintenance.join().map_err(ended)?;
        self.shared.drop_inline();
        let writer = threads.writer.join().map_err(ended)?;
        match writer {
            Some(engine) if !self.shared.failed.is_cancelled() => settle(*engine),
            _ => Ok(()),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Empties the log into the data file, so that nothing of what was deleted stays in it.
fn settle(mut engine: Engine) -> Result<()> {
    let conn = engine.connection();
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .or_internal("copy the log into the data file")?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
        .or_internal("close the database")?;
    Ok(())
}

fn start(
    shared: &Arc<Shared>,
    mut engine: Box<Engine>,
    path: &Path,
    count: usize,
) -> Result<Threads> {
    let log = shared.clone();
    engine
        .connection()
        .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
            log.wal.grown(u64::try_from(pages).unwrap_or(0));
            Ok(())
        }))
        .or_internal("watch the log")?;
    let mut readers = Vec::new();
    for _ in 0..count {
        let (shared, engine) = (shared.clone(), Box::new(Engine::open_reader(path)?));
        readers.push(spawn("store-reader", move || {
            reader::serve(&shared, engine)
        })?);
    }
    let mut checkpoints = Box::new(Engine::open_writer(path, None)?);
    // The copy into the data file is synced as well; a full disk must not stop it early.
    checkpoints
        .connection()
        .pragma_update(None, "wal_autocheckpoint", 0)
        .or_internal("open the checkpoint connection")?;
    let own = shared.clone();
    let maintenance = spawn("store-checkpoint", move || {
        maintenance::run(&own, checkpoints)
    })?;
    let writer = Writer {
        shared: shared.clone(),
        engine: Some(engine),
        announces: false,
    };
    let writer = spawn("store-writer", move || writer.run())?;
    Ok(Threads {
        writer,
        readers,
        maintenance,
    })
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .or_internal("start a thread of the store")
}

/// Creates the file for its owner only, or takes others' rights to it away. The engine gives its
/// log the same mode.
fn create_private(path: &Path) -> std::io::Result<()> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    // The folder's entry has to survive a power cut as much as the data.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn owned(args: &[Value<'_>]) -> Vec<OwnedValue> {
    args.iter().map(|value| OwnedValue::from(*value)).collect()
}

fn borrowed(args: &[OwnedValue]) -> Vec<Value<'_>> {
    args.iter().map(OwnedValue::to_value).collect()
}
