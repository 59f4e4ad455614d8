//! SQL with group commit, migrations, the audit chain, the outbox and sealed columns.
//!
//! Each service owns its data behind one [`Db`]. All changes go through [`Db::write`]: the waiting
//! writes share one commit, and each is acknowledged only once that commit is on the disk. Reads
//! go to connections of their own and stop when their [`tenon_core::Context`] ends.
//!
//! # The SQL that runs everywhere
//!
//! The engine is SQLite today; nothing here names it, so that the same statements run on
//! PostgreSQL. Write them for both: parameters are `$1`, `$2`, ...; time is `BIGINT` microseconds
//! ([`jiff::Timestamp`] binds and reads as that); identifiers are 16-byte `BYTEA` ([`uuid::Uuid`]);
//! conflicts are met with `ON CONFLICT`, because a transaction is dead after its first failed
//! statement; sums are cast (`CAST(sum(x) AS BIGINT)`). Migrations use the types `BIGINT`, `TEXT`,
//! `BYTEA`, `BOOLEAN` and `DOUBLE PRECISION`, which [`Migration`] turns into what the engine calls
//! them.
//!
//! ```
//! # use tenon_core::{Context, Result};
//! use tenon_store::{Db, Migration, Options, args};
//!
//! const MIGRATIONS: &[Migration] = &[Migration {
//!     version: 1,
//!     name: "visit",
//!     sql: "CREATE TABLE visit (id BIGINT PRIMARY KEY, name TEXT NOT NULL);",
//! }];
//!
//! # async fn demo(folder: &std::path::Path) -> Result<()> {
//! let db = Db::open(Options::new(folder.join("visit.db")), MIGRATIONS).await?;
//! let cx = Context::background();
//! let name = String::from("baseline");
//! db.write(&cx, async move |tx| {
//!     tx.execute("INSERT INTO visit (id, name) VALUES ($1, $2)", args![1, name]).await
//! })
//! .await?;
//! let found: Option<String> =
//!     db.optional(&cx, "SELECT name FROM visit WHERE id = $1", args![1]).await?;
//! assert_eq!(found.as_deref(), Some("baseline"));
//! db.close().await
//! # }
//! # let folder = tempfile::tempdir().unwrap();
//! # tokio::runtime::Runtime::new().unwrap().block_on(demo(folder.path())).unwrap();
//! ```

pub mod audit;
mod backup;
pub mod batch;
mod db;
mod engine;
mod entries;
mod maintenance;
mod migrate;
mod options;
pub mod outbox;
mod queue;
mod reader;
mod row;
pub mod seal;
mod shared;
mod stats;
mod step;
mod tx;
mod value;
mod watch;
mod writer;

pub use backup::{BackupReport, backup_file, check_file};
pub use batch::{BatchRow, RowOutcome};
pub use db::Db;
pub use entries::{ALL, DUPLICATE, OPEN_FAILED, ROWS_EXCEEDED, STORE_FAILED, STORE_FULL};
pub use migrate::Migration;
pub use options::Options;
pub use row::{FromRow, FromValue, Row};
pub use stats::Stats;
pub use tx::{ROWS_MAX, Rx, Tx};
pub use value::{ToValue, Value};
