//! How many durable writes a second the store takes: one row of 1.1 KB and its audit record each,
//! by 1, 64 and 512 callers, with group commit and without, and the same rows through `batch`.
//!
//! `cargo run --release -p tenon-store --example throughput [FOLDER]`

use std::{
    path::PathBuf,
    sync::Arc,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tenon_core::{Context, Error, Result};
use tenon_store::{BatchRow, Db, Migration, Options, ToValue, Value, args, audit};
use uuid::Uuid;

const SCHEMA: &[Migration] = &[Migration {
    version: 1,
    name: "response",
    sql: "CREATE TABLE response (id BYTEA PRIMARY KEY, body TEXT NOT NULL);",
}];
const TIME: Duration = Duration::from_secs(4);

fn main() -> Result<()> {
    let folder = std::env::args_os()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = folder.join(format!("tenon-throughput-{}", std::process::id()));
    let failed = |cause| Error::internal("prepare the measurement", cause);
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let runtime = tokio::runtime::Runtime::new().map_err(failed)?;
    let outcome = runtime.block_on(measure(&folder));
    std::fs::remove_dir_all(&folder).map_err(failed)?;
    outcome
}

#[expect(clippy::print_stdout, reason = "its output is what it is for")]
async fn measure(folder: &std::path::Path) -> Result<()> {
    println!("callers  batchMax 1  batchMax 512  ratio  batch rows");
    for callers in [1, 64, 512] {
        let mut rates = Vec::new();
        for (batch_max, rows) in [(1, false), (512, false), (512, true)] {
            let mut options = Options::new(folder.join(format!("{callers}-{batch_max}-{rows}.db")));
            options.batch_max = batch_max;
            let db = Db::open(options, SCHEMA).await?;
            rates.push(rate(&db, callers, rows).await?);
            db.close().await?;
        }
        let [single, grouped, rows] = rates[..] else {
            continue;
        };
        let ratio = grouped / single;
        println!("{callers:>7}  {single:>10.0}  {grouped:>12.0}  {ratio:>5.1}  {rows:>10.0}");
    }
    Ok(())
}

/// Acknowledged writes a second. What was acknowledged is then counted in the database.
async fn rate(db: &Db, callers: usize, rows: bool) -> Result<f64> {
    let acknowledged = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..callers {
        let (db, acknowledged) = (db.clone(), acknowledged.clone());
        tasks.spawn(async move {
            let cx = Context::background().with_timeout(Duration::from_secs(30));
            while began.elapsed() < TIME {
                submit(&db, &cx, rows).await?;
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, Error>(())
        });
    }
    for outcome in tasks.join_all().await {
        outcome?;
    }
    let elapsed = began.elapsed().as_secs_f64();
    let count: i64 = db
        .one(
            &Context::background(),
            "SELECT count(*) FROM response",
            args![],
        )
        .await?;
    let acknowledged = acknowledged.load(Ordering::Relaxed);
    if u64::try_from(count).ok() != Some(acknowledged) {
        let problem = format!("{acknowledged} acknowledged, {count} stored");
        return Err(Error::internal("measure", problem));
    }
    Ok(f64::from(u32::try_from(acknowledged).unwrap_or(u32::MAX)) / elapsed)
}

async fn submit(db: &Db, cx: &Context, rows: bool) -> Result<()> {
    let response = Response {
        id: Uuid::now_v7(),
        body: "x".repeat(1_100),
    };
    if rows {
        return db.batch(cx, response).await.map(drop);
    }
    let record = response.audit_record();
    db.write(cx, async move |tx| {
        let sql = "INSERT INTO response (id, body) VALUES ($1, $2)";
        tx.execute(sql, args![response.id, response.body]).await?;
        audit::append(tx, &record).await.map(drop)
    })
    .await
}

struct Response {
    id: Uuid,
    body: String,
}

impl Response {
    fn audit_record(&self) -> audit::Record {
        static STUDY: AtomicI64 = AtomicI64::new(0);
        audit::Record {
            stream: format!("study-{}", STUDY.fetch_add(1, Ordering::Relaxed) % 4),
            action: "response.submit".to_owned(),
            entity: "response".to_owned(),
            entity_id: self.id.to_string(),
            actor: "U1".to_owned(),
            actor_role: "patient".to_owned(),
            on_behalf_of: None,
            session: None,
            reason: None,
            old: None,
            new: None,
            attributes: std::collections::BTreeMap::new(),
            source: "api".to_owned(),
            time: jiff::Timestamp::now(),
        }
    }
}

impl BatchRow for Response {
    const TABLE: &'static str = "response";
    const KEY: &'static str = "id";
    const COLUMNS: &'static [&'static str] = &["id", "body"];

    fn values(&self) -> Vec<Value<'_>> {
        vec![self.id.to_value(), self.body.to_value()]
    }

    fn record(&self) -> Option<audit::Record> {
        Some(self.audit_record())
    }
}
