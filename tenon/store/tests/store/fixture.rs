//! A database of items, and a write that holds the writer until it is told to let go.

use std::sync::{
    Mutex,
    mpsc::{Receiver, Sender, channel},
};

use tempfile::TempDir;
use tenon_core::{Context, Result};
use tenon_store::{Db, Migration, Options, Tx, args, migrations};
use tokio::task::JoinHandle;

/// The schema of the tests.
pub(crate) const ITEMS: &[Migration] = migrations! { 1 "item" => "migrations/0001_item.sql" };

/// A query that would run for minutes.
pub(crate) const ENDLESS: &str = "WITH RECURSIVE n(i) AS
    (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) SELECT max(i) FROM n";

/// A database in a folder of its own.
pub(crate) struct Fixture {
    pub(crate) db: Db,
    pub(crate) cx: Context,
    pub(crate) folder: TempDir,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::new(folder.path().join("item.db"));
        change(&mut options);
        let db = Db::open(options, ITEMS).await.unwrap();
        Self {
            db,
            cx: Context::background(),
            folder,
        }
    }

    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("item.db")
    }

    pub(crate) async fn insert(&self, id: i64, body: &str) -> Result<u64> {
        insert(&self.db, &self.cx, id, body).await
    }

    pub(crate) async fn count(&self) -> i64 {
        let count = "SELECT count(*) FROM item";
        self.db.one(&self.cx, count, args![]).await.unwrap()
    }

    /// Holds the writer; returns once it is held.
    pub(crate) async fn hold(&self) -> Held {
        let (release, released) = channel::<()>();
        let (begun, begins) = tokio::sync::oneshot::channel();
        let begun = Mutex::new(Some(begun));
        let released = Mutex::new(released);
        let (db, cx) = (self.db.clone(), self.cx.clone());
        let task = tokio::spawn(async move {
            db.write(&cx, async move |_: &mut Tx| wait(&begun, &released))
                .await
        });
        begins.await.unwrap();
        Held { release, task }
    }
}

fn wait(
    begun: &Mutex<Option<tokio::sync::oneshot::Sender<()>>>,
    released: &Mutex<Receiver<()>>,
) -> Result<()> {
    if let Some(begun) = begun.lock().unwrap().take() {
        begun.send(()).unwrap();
    }
    let _ = released.lock().unwrap().recv();
    Ok(())
}

/// A write that holds the writer.
pub(crate) struct Held {
    release: Sender<()>,
    task: JoinHandle<Result<()>>,
}

impl Held {
    /// Lets the writer go on.
    pub(crate) async fn release(self) {
        self.release.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }
}

/// Inserts one item.
pub(crate) async fn insert(db: &Db, cx: &Context, id: i64, body: &str) -> Result<u64> {
    let body = body.to_owned();
    db.write(cx, async move |tx| {
        let sql = "INSERT INTO item (id, body) VALUES ($1, $2)";
        tx.execute(sql, args![id, body]).await
    })
    .await
}
