//! Writes: grouped, isolated from each other's failures, bounded.

use std::time::Duration;

use futures_util::future::join_all;
use tenon_core::{Context, Error, Result, catalogue};
use tenon_store::{DUPLICATE, Db, Migration, Options, STORE_FULL, Tx, args, audit};

use crate::fixture::{ENDLESS, Fixture};

#[tokio::test]
async fn writes_that_wait_share_one_commit() {
    let fixture = Fixture::new().await;
    let held = fixture.hold().await;
    let before = fixture.db.stats().commits;
    let writes = join_all((0..100).map(|id| fixture.insert(id, "x")));
    let (outcomes, ()) = tokio::join!(writes, held.release());
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(1))));
    let stats = fixture.db.stats();
    assert_eq!((stats.commits - before, stats.kept), (2, 101));
    assert_eq!(fixture.count().await, 100);
}

#[tokio::test]
async fn group_commit_can_be_turned_off() {
    let fixture = Fixture::with(|options| options.batch_max = 1).await;
    join_all((0..50).map(|id| fixture.insert(id, "x"))).await;
    assert_eq!(fixture.db.stats().commits, 50);
}

#[tokio::test]
async fn a_refused_write_leaves_no_trace_and_its_neighbours_stay() {
    let fixture = Fixture::new().await;
    let held = fixture.hold().await;
    let writes = join_all((0..20).map(|id| {
        let (db, cx) = (&fixture.db, &fixture.cx);
        db.write(cx, async move |tx| {
            let sql = "INSERT INTO item (id, body) VALUES ($1, 'x')";
            tx.execute(sql, args![id]).await?;
            match id % 2 {
                0 => Ok(id),
                _ => Err(Error::invalid(Vec::new())),
            }
        })
    }));
    let (outcomes, ()) = tokio::join!(writes, held.release());
    for (id, outcome) in (0..20).zip(outcomes) {
        match outcome {
            Ok(kept) => assert_eq!((kept, id % 2), (id, 0)),
            Err(error) => assert!(error.is(&catalogue::REQUEST_INVALID) && id % 2 == 1),
        }
    }
    assert_eq!(fixture.count().await, 10);
    // Alone in its transaction, without a savepoint, it is undone as well.
    let alone = fixture.db.write_alone(&fixture.cx, async |tx| {
        tx.execute("DELETE FROM item", args![]).await?;
        Err::<(), _>(Error::invalid(Vec::new()))
    });
    assert!(alone.await.is_err());
    assert_eq!(fixture.count().await, 10);
}

#[tokio::test]
async fn one_dead_caller_among_64_hurts_no_other() {
    let fixture = Fixture::new().await;
    let held = fixture.hold().await;
    let before = fixture.db.stats();
    let short = fixture.cx.with_timeout(Duration::from_secs(1));
    let long = fixture.db.write(&short, async |tx| {
        // It changes data until it is interrupted, which takes the whole transaction down.
        tx.execute(
            "INSERT INTO item (id, body) WITH RECURSIVE n(i) AS
             (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000)
             SELECT i, 'long' FROM n",
            args![],
        )
        .await
    });
    let first = join_all((0..31).map(|id| fixture.insert(id, "first")));
    let last = join_all((31..63).map(|id| fixture.insert(id, "last")));
    let (first, long, last, ()) = tokio::join!(first, long, last, held.release());
    assert!(long.unwrap_err().is(&catalogue::DEADLINE_EXCEEDED));
    assert!(first.iter().chain(&last).all(Result::is_ok));
    assert_eq!(fixture.count().await, 63);
    let stats = fixture.db.stats();
    assert_eq!((stats.replays, stats.interrupted), (1, 1));
    assert_eq!(
        stats.commits - before.commits,
        2,
        "all others share one commit"
    );
}

#[tokio::test]
async fn an_interrupted_query_inside_a_write_costs_nobody_a_second_run() {
    let fixture = Fixture::new().await;
    let held = fixture.hold().await;
    let short = fixture.cx.with_timeout(Duration::from_millis(300));
    let long = fixture.db.write(&short, async |tx| {
        tx.execute("INSERT INTO item (id, body) VALUES (7, 'x')", args![])
            .await?;
        tx.one::<i64>(ENDLESS, args![]).await
    });
    let (other, long, ()) = tokio::join!(fixture.insert(1, "x"), long, held.release());
    assert!(long.unwrap_err().is(&catalogue::DEADLINE_EXCEEDED));
    assert_eq!(other.unwrap(), 1);
    assert_eq!(fixture.db.stats().replays, 0);
    assert_eq!(fixture.count().await, 1, "what it had written is undone");
}

#[tokio::test]
async fn a_caller_that_left_before_its_turn_is_not_served() {
    let fixture = Fixture::new().await;
    let held = fixture.hold().await;
    let (child, guard) = fixture.cx.with_cancel();
    let left = crate::fixture::insert(&fixture.db, &child, 1, "left");
    let stays = fixture.insert(2, "stays");
    let leave = async {
        drop(guard);
        held.release().await;
    };
    let (left, stays, ()) = tokio::join!(left, stays, leave);
    assert!(left.unwrap_err().is(&catalogue::CANCELLED));
    assert!(stays.is_ok());
    let bodies: Vec<String> = fixture
        .db
        .all(&fixture.cx, "SELECT body FROM item", args![])
        .await
        .unwrap();
    assert_eq!(bodies, ["stays"]);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_does_nothing() {
    let fixture = Fixture::with(|options| options.queue_max = 8).await;
    let held = fixture.hold().await;
    let waiting = join_all((0..8).map(|id| fixture.insert(id, "x")));
    let refused = async {
        let error = fixture.insert(100, "x").await.unwrap_err();
        assert!(error.is(&catalogue::OVERLOADED) && error.retry_delay().is_some());
        assert_eq!(fixture.db.stats().waiting, 8);
        held.release().await;
    };
    let (outcomes, ()) = tokio::join!(waiting, refused);
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(fixture.count().await, 8);
}

#[tokio::test]
async fn a_full_disk_refuses_writes_keeps_what_is_there_and_recovers() {
    let fixture = Fixture::with(|options| options.max_bytes = Some(600_000)).await;
    let body = "x".repeat(20_000);
    let mut kept = 0;
    let error = loop {
        match fixture.insert(kept, &body).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 100, "the quota was never met");
    };
    assert!(error.is(&STORE_FULL) && error.http_status() == 507);
    assert!(kept > 5 && !fixture.db.is_failed());
    assert_eq!(fixture.count().await, kept);
    let space = fixture.db.write(&fixture.cx, async |tx| {
        tx.execute("DELETE FROM item WHERE id < 3", args![]).await
    });
    assert_eq!(space.await.unwrap(), 3);
    assert_eq!(fixture.insert(1000, &body).await.unwrap(), 1);
    assert_eq!(fixture.count().await, kept - 2);
}

#[tokio::test]
async fn a_panic_undoes_one_write_and_the_store_goes_on() {
    let fixture = Fixture::new().await;
    let held = fixture.hold().await;
    let broken = fixture.db.write(&fixture.cx, async |tx| {
        tx.execute("INSERT INTO item (id, body) VALUES (1, 'x')", args![])
            .await?;
        assert!(tx.cx().deadline().is_some(), "a panic in a closure");
        Ok(())
    });
    let (broken, other, ()) = tokio::join!(broken, fixture.insert(2, "x"), held.release());
    let error = broken.unwrap_err();
    assert!(error.is(&catalogue::INTERNAL));
    assert!(error.cause_chain().unwrap().contains("panicked"));
    assert!(other.is_ok());
    assert_eq!(fixture.count().await, 1);
}

#[tokio::test]
async fn awaiting_anything_else_is_found_out_and_undone() {
    let fixture = Fixture::new().await;
    let foreign = fixture.db.write(&fixture.cx, async |tx| {
        tx.execute("INSERT INTO item (id, body) VALUES (1, 'x')", args![])
            .await?;
        tokio::task::yield_now().await;
        Ok(())
    });
    let error = foreign.await.unwrap_err();
    let cause = error.cause_chain().unwrap();
    assert!(
        cause.contains("awaited something other than its tx"),
        "{cause}"
    );
    let (db, cx) = (fixture.db.clone(), fixture.cx.clone());
    let nested = fixture.db.write(&fixture.cx, async move |_| {
        crate::fixture::insert(&db, &cx, 2, "nested").await
    });
    let cause = nested.await.unwrap_err().cause_chain().unwrap();
    assert!(cause.contains("called the store again"), "{cause}");
    let (db, cx) = (fixture.db.clone(), fixture.cx.clone());
    let reads = fixture.db.write(&fixture.cx, async move |_| {
        db.one::<i64>(&cx, "SELECT 1", args![]).await
    });
    assert!(reads.await.unwrap_err().is(&catalogue::INTERNAL));
    assert_eq!(fixture.count().await, 0);
}

#[tokio::test]
async fn after_a_failed_statement_nothing_is_kept_even_if_it_is_overlooked() {
    let fixture = Fixture::new().await;
    fixture.insert(1, "x").await.unwrap();
    let overlooks = fixture.db.write(&fixture.cx, async |tx| {
        let sql = "INSERT INTO item (id, body) VALUES ($1, 'y')";
        tx.execute(sql, args![2]).await?;
        let first = tx.execute(sql, args![1]).await.unwrap_err();
        let second = tx.execute(sql, args![3]).await.unwrap_err();
        assert!(first.is(&DUPLICATE) && second.is(&DUPLICATE));
        Ok(())
    });
    assert!(overlooks.await.unwrap_err().is(&DUPLICATE));
    assert_eq!(fixture.count().await, 1);
}

#[tokio::test]
async fn parameters_go_by_their_numbers_in_any_order() {
    let fixture = Fixture::new().await;
    let (db, cx) = (&fixture.db, &fixture.cx);
    let swapped: (i64, i64) = db.one(cx, "SELECT $2, $1", args![1, 2]).await.unwrap();
    assert_eq!(swapped, (2, 1));
    let again: (i64, i64, i64) = db.one(cx, "SELECT $1, $2, $1", args![1, 2]).await.unwrap();
    assert_eq!(again, (1, 2, 1));
    for (sql, args) in [
        ("SELECT $1", args![1, 2] as &[_]),
        ("SELECT $1, $2", args![1]),
        ("SELECT $1, $3", args![1, 2]),
        ("SELECT ?", args![1]),
        ("SELECT :one", args![1]),
    ] {
        let error = db.one::<i64>(cx, sql, args).await.unwrap_err();
        assert!(error.cause_chain().unwrap().contains(sql), "{error:?}");
    }
}

#[tokio::test]
async fn transactions_are_the_stores_own() {
    let fixture = Fixture::new().await;
    let statements = ["COMMIT", " rollback", "PRAGMA synchronous = OFF", "BEGIN"];
    for sql in statements {
        let error = fixture
            .db
            .write(&fixture.cx, async move |tx| tx.execute(sql, args![]).await)
            .await
            .unwrap_err();
        assert!(error.cause_chain().unwrap().contains("the store's own"));
    }
    assert!(fixture.insert(1, "x").await.is_ok());
}

#[tokio::test]
async fn every_kind_of_value_comes_back_as_it_was() {
    use jiff::Timestamp;
    use uuid::Uuid;
    type Cells = (
        Option<i64>,
        bool,
        f64,
        String,
        Vec<u8>,
        Uuid,
        Timestamp,
        Option<String>,
    );
    let fixture = Fixture::new().await;
    let (id, time) = (Uuid::now_v7(), Timestamp::from_microsecond(-5).unwrap());
    let none: Option<String> = None;
    let bytes = vec![0_u8, 255];
    let row = args![i64::MIN, true, 1.5, "签名", bytes, id, time, none];
    let sql = "SELECT $1, $2, $3, $4, $5, $6, $7, $8";
    let cells: Cells = fixture.db.one(&fixture.cx, sql, row).await.unwrap();
    let expected = (
        Some(i64::MIN),
        true,
        1.5,
        "签名".to_owned(),
        vec![0, 255],
        id,
        time,
        None,
    );
    assert_eq!(cells, expected);
    let error = fixture
        .db
        .one::<i64>(&fixture.cx, "SELECT $1", args!["secret"])
        .await
        .unwrap_err();
    let cause = error.cause_chain().unwrap();
    assert!(
        cause.contains("found text") && !cause.contains("secret"),
        "{cause}"
    );
}

#[tokio::test]
async fn closing_ends_what_waits_and_refuses_what_comes() {
    let fixture = Fixture::new().await;
    let held = fixture.hold().await;
    let waiting = join_all((0..20).map(|id| fixture.insert(id, "x")));
    let close = async {
        let (closed, ()) = tokio::join!(fixture.db.close(), held.release());
        closed
    };
    let (outcomes, closed) = tokio::join!(waiting, close);
    assert!(outcomes.iter().all(Result::is_ok) && closed.is_ok());
    let late = fixture.insert(99, "x").await.unwrap_err();
    assert!(late.is(&catalogue::UNAVAILABLE));
    assert!(fixture.db.close().await.is_ok());
    let log = fixture.folder.path().join("item.db-wal");
    assert!(!log.exists(), "the log is empty and gone");
    let again = tenon_store::Db::open(
        tenon_store::Options::new(fixture.path()),
        crate::fixture::ITEMS,
    );
    let db = again.await.unwrap();
    let count: i64 = db
        .one(&Context::background(), "SELECT count(*) FROM item", args![])
        .await
        .unwrap();
    assert_eq!(count, 20);
}

#[tokio::test]
async fn a_commit_that_one_write_spoils_fails_only_that_one() {
    const PAIRS: &[Migration] = &[Migration {
        version: 1,
        name: "pair",
        sql: "CREATE TABLE pair (id BIGINT PRIMARY KEY,
            other BIGINT REFERENCES pair (id) DEFERRABLE INITIALLY DEFERRED);",
    }];
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new(folder.path().join("pair.db"));
    let db = Db::open(options, PAIRS).await.unwrap();
    let cx = Context::background();
    let writes = join_all((0..30_i64).map(|id| {
        let other = (id == 17).then_some(999);
        db.write(&cx, async move |tx| {
            let sql = "INSERT INTO pair (id, other) VALUES ($1, $2)";
            tx.execute(sql, args![id, other]).await
        })
    }));
    for (id, outcome) in (0..).zip(writes.await) {
        assert_eq!(outcome.is_err(), id == 17, "{outcome:?}");
    }
    assert!(!db.is_failed());
    let count: i64 = db
        .one(&cx, "SELECT count(*) FROM pair", args![])
        .await
        .unwrap();
    assert_eq!(count, 29);
}

#[tokio::test]
async fn the_log_does_not_grow_for_ever_while_writes_go_on() {
    let fixture = Fixture::with(|options| options.log_bytes = 1 << 20).await;
    let body = "x".repeat(20_000);
    for round in 0..100 {
        let writes = (0..10).map(|id| fixture.insert(round * 10 + id, &body));
        assert!(join_all(writes).await.iter().all(Result::is_ok));
    }
    let log = fixture.folder.path().join("item.db-wal");
    let log = std::fs::metadata(log).unwrap().len();
    assert!(fixture.db.stats().checkpoints >= 4);
    assert!(
        log < 10 << 20,
        "the log has {log} bytes after 20 MB were written"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interrupted_writes_among_busy_writers_lose_and_double_nothing() {
    const LONG: &str = "INSERT INTO item (id, body) WITH RECURSIVE n(i) AS
        (SELECT 1000000 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000)
        SELECT i, 'long' FROM n";
    let fixture = std::sync::Arc::new(Fixture::new().await);
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..40_i64 {
        let fixture = fixture.clone();
        tasks.spawn(async move {
            for round in 0..20 {
                let id = task * 100 + round;
                let record = crate::audit::record("A", &id.to_string());
                let write = fixture.db.write(&fixture.cx, async move |tx| {
                    let sql = "INSERT INTO item (id, body) VALUES ($1, 'x')";
                    tx.execute(sql, args![id]).await?;
                    audit::append(tx, &record).await
                });
                write.await.unwrap();
            }
        });
    }
    for _ in 0..5 {
        let fixture = fixture.clone();
        tasks.spawn(async move {
            let short = fixture.cx.with_timeout(Duration::from_millis(150));
            let long = async |tx: &mut Tx| tx.execute(LONG, args![]).await;
            let error = fixture.db.write(&short, long).await.unwrap_err();
            assert!(error.is(&catalogue::DEADLINE_EXCEEDED));
        });
    }
    tasks.join_all().await;
    assert_eq!(fixture.count().await, 800);
    let report = fixture.db.verify_audit().await.unwrap();
    assert!(report.is_sound() && report.records == 800, "{report:?}");
    assert!(fixture.db.stats().interrupted >= 1);
}
