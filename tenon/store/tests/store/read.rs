//! Reads: one state, capped, stopped with their caller.

use std::time::{Duration, Instant};

use tenon_core::{Personal, catalogue};
use tenon_store::{ROWS_EXCEEDED, ROWS_MAX, args};

use crate::fixture::{ENDLESS, Fixture};

#[tokio::test]
async fn a_read_stops_when_its_time_runs_out() {
    let fixture = Fixture::with(|options| options.readers = 1).await;
    let short = fixture.cx.with_timeout(Duration::from_millis(100));
    let error = fixture
        .db
        .one::<i64>(&short, ENDLESS, args![])
        .await
        .unwrap_err();
    assert!(error.is(&catalogue::DEADLINE_EXCEEDED));
    // The only reader thread is free again, long before the query could have ended.
    let began = Instant::now();
    let one: Vec<i64> = fixture
        .db
        .all(&fixture.cx, "SELECT 1", args![])
        .await
        .unwrap();
    assert_eq!(one, [1]);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(fixture.db.stats().interrupted, 1);
}

#[tokio::test]
async fn a_read_stops_when_its_future_is_dropped() {
    let fixture = Fixture::with(|options| options.readers = 1).await;
    let left = fixture.db.all::<i64>(&fixture.cx, ENDLESS, args![]);
    let outcome = tokio::time::timeout(Duration::from_millis(50), left).await;
    assert!(outcome.is_err(), "the query does not end by itself");
    let one = fixture.db.all::<i64>(&fixture.cx, "SELECT 1", args![]);
    let one = tokio::time::timeout(Duration::from_secs(5), one).await;
    assert_eq!(one.unwrap().unwrap(), [1]);
}

#[tokio::test]
async fn results_are_capped() {
    let fixture = Fixture::new().await;
    let numbers = "WITH RECURSIVE n(i) AS
        (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT i FROM n";
    let most = u32::try_from(ROWS_MAX).unwrap();
    let (db, cx) = (&fixture.db, &fixture.cx);
    let all: Vec<i64> = db.all(cx, numbers, args![most]).await.unwrap();
    assert_eq!(all.len(), ROWS_MAX);
    let error = db
        .all::<i64>(cx, numbers, args![most + 1])
        .await
        .unwrap_err();
    assert!(error.is(&ROWS_EXCEEDED));
    let error = db.optional::<i64>(cx, numbers, args![2]).await.unwrap_err();
    assert!(error.is(&ROWS_EXCEEDED));
    let none = db.one::<i64>(cx, "SELECT id FROM item", args![]).await;
    assert!(
        none.unwrap_err()
            .cause_chain()
            .unwrap()
            .contains("gave none")
    );
}

#[tokio::test]
async fn a_personal_value_is_bound_and_read_and_no_error_quotes_it() {
    let fixture = Fixture::new().await;
    let (db, cx) = (&fixture.db, &fixture.cx);
    let name = Some(Personal::from("canary".to_owned()));
    let (back, none): (Option<Personal<String>>, Option<Personal<String>>) = db
        .one(cx, "SELECT $1, $2", args![name, None::<Personal<String>>])
        .await
        .unwrap();
    assert_eq!((back, none), (name.clone(), None));
    let error = db.one::<Personal<i64>>(cx, "SELECT $1", args![name]).await;
    let cause = error.unwrap_err().cause_chain().unwrap();
    assert!(cause.contains("expected an integer"), "{cause}");
    assert!(!cause.contains("canary"), "{cause}");
}

#[tokio::test]
async fn the_statements_of_a_read_see_one_state() {
    let fixture = Fixture::new().await;
    fixture.insert(1, "x").await.unwrap();
    let (seen, sees) = std::sync::mpsc::channel();
    let (go, gone) = std::sync::mpsc::channel();
    let gone = std::sync::Mutex::new(gone);
    let (db, cx) = (fixture.db.clone(), fixture.cx.clone());
    let read = tokio::spawn(async move {
        db.read(&cx, async move |rx| {
            let count = "SELECT count(*) FROM item";
            let before: i64 = rx.one(count, args![]).await?;
            seen.send(()).unwrap();
            gone.lock().unwrap().recv().unwrap();
            let after: i64 = rx.one(count, args![]).await?;
            Ok((before, after))
        })
        .await
    });
    tokio::task::spawn_blocking(move || sees.recv().unwrap())
        .await
        .unwrap();
    fixture.insert(2, "x").await.unwrap();
    go.send(()).unwrap();
    assert_eq!(read.await.unwrap().unwrap(), (1, 1));
    assert_eq!(fixture.count().await, 2);
}

#[tokio::test]
async fn a_read_changes_nothing() {
    let fixture = Fixture::new().await;
    let sql = "INSERT INTO item (id, body) VALUES (1, 'x') RETURNING id";
    let error = fixture.db.one::<i64>(&fixture.cx, sql, args![]).await;
    assert!(error.unwrap_err().is(&catalogue::INTERNAL));
    assert_eq!(fixture.count().await, 0);
}
