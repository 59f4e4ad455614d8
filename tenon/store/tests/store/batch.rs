//! Rows that share a statement: each gets its own outcome.

use futures_util::future::join_all;
use tenon_core::catalogue;
use tenon_store::{BatchRow, RowOutcome, ToValue, Value, audit};

use crate::fixture::Fixture;

struct Item {
    id: i64,
    body: String,
}

impl BatchRow for Item {
    const TABLE: &'static str = "item";
    const KEY: &'static str = "id";
    const COLUMNS: &'static [&'static str] = &["id", "body"];

    fn values(&self) -> Vec<Value<'_>> {
        vec![self.id.to_value(), self.body.to_value()]
    }

    fn record(&self) -> Option<audit::Record> {
        let record = crate::audit::record("S1", &format!("item {}", self.id));
        (self.body == "recorded").then_some(record)
    }
}

fn item(id: i64, body: &str) -> Item {
    Item {
        id,
        body: body.to_owned(),
    }
}

#[tokio::test]
async fn each_row_is_inserted_once_and_a_bad_one_fails_alone() {
    let fixture = Fixture::new().await;
    let (db, cx) = (&fixture.db, &fixture.cx);
    fixture.insert(5, "before").await.unwrap();
    let held = fixture.hold().await;
    let before = db.stats().commits;
    let rows = join_all((0..100).map(|id| {
        let body = if id == 70 { "bad" } else { "recorded" };
        db.batch(cx, item(id, body))
    }));
    let twins = join_all((0..3).map(|_| db.batch(cx, item(200, "twin"))));
    let closure = fixture.insert(300, "closure");
    let (rows, twins, closure, ()) = tokio::join!(rows, twins, closure, held.release());
    for (id, outcome) in (0..100).zip(rows) {
        match id {
            5 => assert_eq!(outcome.unwrap(), RowOutcome::Duplicate),
            70 => assert!(outcome.unwrap_err().is(&catalogue::INTERNAL)),
            _ => assert_eq!(outcome.unwrap(), RowOutcome::Inserted),
        }
    }
    let inserted = twins
        .iter()
        .filter(|outcome| matches!(outcome, Ok(RowOutcome::Inserted)));
    assert_eq!((twins.len(), inserted.count()), (3, 1));
    assert!(closure.is_ok());
    assert_eq!(db.stats().commits - before, 2, "all share one commit");
    assert_eq!(fixture.count().await, 1 + 98 + 1 + 1);
    let body: String = db
        .one(cx, "SELECT body FROM item WHERE id = 5", &[])
        .await
        .unwrap();
    assert_eq!(body, "before");
    let report = db.verify_audit().await.unwrap();
    assert!(report.is_sound());
    assert_eq!(
        report.records, 98,
        "a record for each inserted row and no other"
    );
}
