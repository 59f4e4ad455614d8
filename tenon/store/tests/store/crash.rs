//! Processes that end badly. Each test starts this binary again as the process that is to fail,
//! in the role that an environment variable gives it.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
};

use tenon_core::{Context, Result};
use tenon_store::{Db, Options, STORE_FAILED, args, audit};

use crate::fixture::ITEMS;

const ROLE: &str = "TENON_STORE_CRASH_TEST";

async fn open(path: &Path) -> Db {
    Db::open(Options::new(path), ITEMS).await.unwrap()
}

/// An item and its audit record.
async fn submit(db: &Db, id: i64) -> Result<()> {
    let record = audit_record(id);
    db.write(&Context::background(), async move |tx| {
        let body = "x".repeat(1_000);
        let sql = "INSERT INTO item (id, body) VALUES ($1, $2)";
        tx.execute(sql, args![id, body]).await?;
        audit::append(tx, &record).await.map(drop)
    })
    .await
}

fn audit_record(id: i64) -> audit::Record {
    crate::audit::record(&format!("study-{}", id % 3), &id.to_string())
}

/// Starts this test binary again for one test, in the role of the process that fails.
fn start(test: &str, path: &Path, shell: &str) -> (Child, BufReader<ChildStdout>) {
    let own = std::env::current_exe().unwrap();
    let mut child = Command::new("sh")
        .args(["-c", &format!("{shell} exec \"$0\" \"$@\"")])
        .arg(own)
        .args([test, "--exact", "--nocapture"])
        .env(ROLE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

/// The id of a whole line `ack <id>`; the last line of a killed process may be cut.
fn acknowledged(line: &str) -> Option<i64> {
    line.strip_suffix('\n')?.split("ack ").nth(1)?.parse().ok()
}

/// Every acknowledged item is there once with its one record, and nothing is there in half.
async fn judge(path: &Path, acknowledged: &BTreeSet<i64>) {
    // The trail verifies as the process left it, before anyone tidies up.
    let left = audit::verify_file(path).unwrap();
    assert!(left.is_sound(), "{:?}", left.problems);
    let db = open(path).await;
    let cx = Context::background();
    let mut found = BTreeSet::new();
    let mut after = -1;
    loop {
        let sql = "SELECT id FROM item WHERE id > $1 ORDER BY id LIMIT 5000";
        let ids: Vec<i64> = db.all(&cx, sql, args![after]).await.unwrap();
        let Some(last) = ids.last() else { break };
        after = *last;
        found.extend(ids);
    }
    let lost: Vec<_> = acknowledged.difference(&found).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let once = "SELECT count(*) FROM (SELECT entity_id FROM audit_record
        GROUP BY entity_id HAVING count(*) = 1)";
    let recorded: i64 = db.one(&cx, once, args![]).await.unwrap();
    let report = db.verify_audit().await.unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    let items = u64::try_from(found.len()).unwrap();
    assert_eq!(
        (u64::try_from(recorded).unwrap(), report.records),
        (items, items)
    );
}

#[test]
fn what_a_killed_process_acknowledged_is_there_exactly_once() {
    let run = |work: &mut dyn FnMut(&tokio::runtime::Runtime)| {
        work(&tokio::runtime::Runtime::new().unwrap());
    };
    if let Some(path) = std::env::var_os(ROLE) {
        run(&mut |runtime| runtime.block_on(submit_for_ever(Path::new(&path))));
        return;
    }
    for kill_after in [1, 150, 700] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("item.db");
        let test = "crash::what_a_killed_process_acknowledged_is_there_exactly_once";
        let (mut child, mut out) = start(test, &path, "");
        let mut acks = BTreeSet::new();
        let mut line = String::new();
        while out.read_line(&mut line).unwrap() > 0 {
            acks.extend(acknowledged(&line));
            line.clear();
            if acks.len() == kill_after {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(acks.len() >= kill_after, "{} of {kill_after}", acks.len());
        run(&mut |runtime| runtime.block_on(judge(&path, &acks)));
    }
}

/// A hundred submissions at a time, until the process is killed.
async fn submit_for_ever(path: &Path) {
    println!();
    let db = Arc::new(open(path).await);
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..100 {
        let db = db.clone();
        tasks.spawn(async move {
            for round in 0.. {
                let id = round * 100 + task;
                submit(&db, id).await.unwrap();
                println!("ack {id}");
            }
        });
    }
    tasks.join_all().await;
}

#[test]
fn a_failing_disk_stops_the_writes_for_good_and_loses_nothing() {
    let run = |work: &mut dyn FnMut(&tokio::runtime::Runtime)| {
        work(&tokio::runtime::Runtime::new().unwrap());
    };
    if let Some(path) = std::env::var_os(ROLE) {
        run(&mut |runtime| runtime.block_on(submit_until_failure(Path::new(&path))));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("item.db");
    let test = "crash::a_failing_disk_stops_the_writes_for_good_and_loses_nothing";
    // No file of the process may grow past 2 MiB: the log's write fails with EFBIG, which is
    // an I/O error and no full disk.
    let (mut child, mut out) = start(test, &path, "trap '' XFSZ; ulimit -f 4096;");
    let mut acks = BTreeSet::new();
    let mut line = String::new();
    while out.read_line(&mut line).unwrap() > 0 {
        acks.extend(acknowledged(&line));
        line.clear();
    }
    assert!(child.wait().unwrap().success(), "what it asserts holds");
    assert!(acks.len() > 10, "{}", acks.len());
    run(&mut |runtime| runtime.block_on(judge(&path, &acks)));
}

async fn submit_until_failure(path: &Path) {
    println!();
    let db = open(path).await;
    let error = async {
        for id in 0..5_000 {
            if let Err(error) = submit(&db, id).await {
                return Some(error);
            }
            println!("ack {id}");
        }
        None
    };
    let error = error.await.unwrap();
    assert!(error.is(&STORE_FAILED), "{error:?}");
    assert!(db.is_failed());
    db.failed().await;
    let refused = submit(&db, 9_999).await.unwrap_err();
    assert!(refused.is(&STORE_FAILED));
    let count = "SELECT count(*) FROM item";
    let count: i64 = db
        .one(&Context::background(), count, args![])
        .await
        .unwrap();
    assert!(count > 10, "reads go on");
    db.close().await.unwrap();
}
