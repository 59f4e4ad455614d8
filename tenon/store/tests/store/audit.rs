//! The audit trail: what is done to it around the store is found, each kind of it.

use std::{collections::BTreeMap, path::Path};

use jiff::Timestamp;
use tenon_core::Context;
use tenon_store::{
    Db,
    audit::{self, Record, Report, verify_file},
};

use crate::fixture::Fixture;

pub(crate) fn record(stream: &str, entity_id: &str) -> Record {
    Record {
        stream: stream.to_owned(),
        action: "item.create".to_owned(),
        entity: "item".to_owned(),
        entity_id: entity_id.to_owned(),
        actor: "U1".to_owned(),
        actor_role: "coordinator".to_owned(),
        on_behalf_of: Some("S7".to_owned()),
        session: None,
        reason: Some("entered late".to_owned()),
        old: None,
        new: Some(serde_json::json!({ "score": 5, "note": "头晕" })),
        attributes: BTreeMap::from([("site".to_owned(), "701".to_owned())]),
        source: "ui".to_owned(),
        time: Timestamp::from_microsecond(1_764_000_000_000_001).unwrap(),
    }
}

async fn append(db: &Db, stream: &str, count: usize) {
    for index in 0..count {
        let record = record(stream, &format!("I{index}"));
        db.write(&Context::background(), async move |tx| {
            audit::append(tx, &record).await
        })
        .await
        .unwrap();
    }
}

/// A closed database with ten records in `A` and three in `B`, changed by `sql` around the store.
async fn tampered(sql: &str) -> Report {
    let fixture = Fixture::new().await;
    append(&fixture.db, "A", 10).await;
    append(&fixture.db, "B", 3).await;
    fixture.db.close().await.unwrap();
    assert!(verify_file(fixture.path()).unwrap().is_sound());
    around(&fixture.path(), sql);
    verify_file(fixture.path()).unwrap()
}

/// What someone with the file and a tool can do.
fn around(path: &Path, sql: &str) {
    let conn = rusqlite::Connection::open(path).unwrap();
    let select = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'";
    let triggers: Vec<(String, String)> = conn
        .prepare(select)
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for (name, _) in &triggers {
        conn.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    conn.execute_batch(sql).unwrap();
    for (_, create) in &triggers {
        conn.execute_batch(create).unwrap();
    }
}

fn only_problem(report: &Report) -> (&str, i64, &str) {
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    let problem = &report.problems[0];
    (&problem.stream, problem.sequence, &problem.reason)
}

#[tokio::test]
async fn an_untouched_trail_is_sound_and_reads_back_as_written() {
    let fixture = Fixture::new().await;
    append(&fixture.db, "A", 3).await;
    append(&fixture.db, audit::SERVICE, 2).await;
    // Beside the running process, from its file.
    let report = verify_file(fixture.path()).unwrap();
    assert_eq!((report.streams, report.records), (2, 5));
    assert!(report.is_sound(), "{:?}", report.problems);
    let (listed, history, head) = fixture
        .db
        .read(&fixture.cx, async |rx| {
            let listed = audit::list(rx, "A", 1, 9).await?;
            let history = audit::history(rx, "item", "I1", 9).await?;
            Ok((listed, history, audit::head(rx, "A").await?))
        })
        .await
        .unwrap();
    let sequences: Vec<i64> = listed.iter().map(|stored| stored.sequence).collect();
    assert_eq!(sequences, [2, 3]);
    assert_eq!(listed[0].record, record("A", "I1"));
    assert_eq!(history.len(), 2);
    let head = head.unwrap();
    assert_eq!((head.sequence, head.hash), (3, listed[1].hash));
}

#[tokio::test]
async fn the_chain_is_sha256_over_the_previous_hash_and_the_stored_bytes() {
    use aws_lc_rs::digest::{SHA256, digest};
    let fixture = Fixture::new().await;
    append(&fixture.db, "A", 2).await;
    let rows: Vec<(Vec<u8>, Vec<u8>, Vec<u8>)> = fixture
        .db
        .all(
            &fixture.cx,
            "SELECT previous, canonical, hash FROM audit_record ORDER BY sequence",
            &[],
        )
        .await
        .unwrap();
    let mut previous = vec![0; 32];
    for (stored_previous, canonical, hash) in rows {
        assert_eq!(stored_previous, previous);
        assert!(canonical.starts_with(b"tenon-audit/1\n{\"sequence\":"));
        previous.extend(&canonical);
        previous = digest(&SHA256, &previous).as_ref().to_vec();
        assert_eq!(hash, previous);
    }
}

#[tokio::test]
async fn a_time_with_nanoseconds_is_kept_to_the_microsecond() {
    let fixture = Fixture::new().await;
    for nanos in [999, -999, -1] {
        let mut fine = record("A", "I1");
        fine.time = Timestamp::from_nanosecond(nanos).unwrap();
        let write = async move |tx: &mut tenon_store::Tx| audit::append(tx, &fine).await;
        fixture.db.write(&fixture.cx, write).await.unwrap();
    }
    let report = fixture.db.verify_audit().await.unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
}

#[tokio::test]
async fn the_store_itself_refuses_to_change_the_trail() {
    let fixture = Fixture::new().await;
    append(&fixture.db, "A", 2).await;
    for sql in [
        "UPDATE audit_record SET actor = 'U2'",
        "DELETE FROM audit_record",
        "DELETE FROM audit_record WHERE sequence = 2",
        "DELETE FROM audit_head",
        "INSERT OR REPLACE INTO audit_record SELECT stream, sequence, 0, action, entity, entity_id,
         'U2', canonical, previous, hash FROM audit_record WHERE sequence = 2",
    ] {
        let change = async move |tx: &mut tenon_store::Tx| tx.execute(sql, &[]).await;
        let error = fixture.db.write(&fixture.cx, change).await.unwrap_err();
        let cause = error.cause_chain().unwrap();
        assert!(cause.contains("audit"), "{sql}: {cause}");
    }
    let report = fixture.db.verify_audit().await.unwrap();
    assert!(report.is_sound() && report.records == 2);
}

#[tokio::test]
async fn an_edited_record_is_found() {
    let edit = "UPDATE audit_record SET canonical =
        CAST(replace(CAST(canonical AS TEXT), '\"score\":5', '\"score\":9') AS BLOB)
        WHERE stream = 'A' AND sequence = 4";
    let report = tampered(edit).await;
    let (stream, sequence, reason) = only_problem(&report);
    assert_eq!((stream, sequence), ("A", 4));
    assert!(reason.contains("does not match its hash"), "{reason}");
    let column = "UPDATE audit_record SET actor = 'U2' WHERE stream = 'B' AND sequence = 2";
    let report = tampered(column).await;
    assert_eq!(only_problem(&report).1, 2);
    let hash = "UPDATE audit_record SET hash = randomblob(32) WHERE stream = 'A' AND sequence = 7";
    assert_eq!(only_problem(&tampered(hash).await).1, 7);
}

#[tokio::test]
async fn a_removed_record_is_found() {
    let report = tampered("DELETE FROM audit_record WHERE stream = 'A' AND sequence = 5").await;
    assert_eq!(only_problem(&report), ("A", 5, "it is missing"));
    let renumbered = "DELETE FROM audit_record WHERE stream = 'A' AND sequence = 5;
        UPDATE audit_record SET sequence = sequence - 1 WHERE stream = 'A' AND sequence > 5";
    let report = tampered(renumbered).await;
    let (stream, sequence, reason) = only_problem(&report);
    assert_eq!((stream, sequence), ("A", 5));
    assert!(reason.contains("does not follow"), "{reason}");
}

#[tokio::test]
async fn an_inserted_record_is_found() {
    let appended = "INSERT INTO audit_record SELECT stream, 11, time, action, entity, entity_id,
        actor, canonical, previous, hash FROM audit_record WHERE stream = 'A' AND sequence = 10";
    assert_eq!(only_problem(&tampered(appended).await).1, 11);
    let between =
        "UPDATE audit_record SET sequence = sequence + 100 WHERE stream = 'A' AND sequence > 4;
        UPDATE audit_record SET sequence = sequence - 99 WHERE stream = 'A' AND sequence > 100;
        INSERT INTO audit_record SELECT stream, 5, time, action, entity, entity_id, actor,
        canonical, hash, randomblob(32) FROM audit_record WHERE stream = 'A' AND sequence = 4";
    assert_eq!(only_problem(&tampered(between).await).1, 5);
}

#[tokio::test]
async fn records_that_changed_places_are_found() {
    let swapped = "UPDATE audit_record SET sequence = 99 WHERE stream = 'A' AND sequence = 3;
        UPDATE audit_record SET sequence = 3 WHERE stream = 'A' AND sequence = 6;
        UPDATE audit_record SET sequence = 6 WHERE stream = 'A' AND sequence = 99";
    assert_eq!(only_problem(&tampered(swapped).await).1, 3);
    let moved = "UPDATE audit_record SET stream = 'C' WHERE stream = 'B'";
    let report = tampered(moved).await;
    let streams: Vec<&str> = report.problems.iter().map(|p| p.stream.as_str()).collect();
    assert_eq!(streams, ["C", "B"]);
}

#[tokio::test]
async fn a_cut_off_tail_is_found() {
    let cut = "DELETE FROM audit_record WHERE stream = 'A' AND sequence > 8";
    let report = tampered(cut).await;
    let (stream, sequence, reason) = only_problem(&report);
    assert_eq!((stream, sequence), ("A", 9));
    assert!(reason.contains("missing, up to 10"), "{reason}");
    let emptied = tampered("DELETE FROM audit_record WHERE stream = 'B'").await;
    assert_eq!(
        only_problem(&emptied),
        ("B", 1, "all its records are missing")
    );
    let beheaded = tampered("DELETE FROM audit_head WHERE stream = 'B'").await;
    assert_eq!(only_problem(&beheaded).0, "B");
}

#[tokio::test]
async fn removed_and_emptied_triggers_are_found() {
    let fixture = Fixture::new().await;
    append(&fixture.db, "A", 1).await;
    fixture.db.close().await.unwrap();
    let conn = rusqlite::Connection::open(fixture.path()).unwrap();
    let found = || {
        let report = verify_file(fixture.path()).unwrap();
        assert!(only_problem(&report).2.contains("triggers"));
    };
    conn.execute_batch("DROP TRIGGER audit_record_delete")
        .unwrap();
    found();
    // One of the same name that refuses nothing.
    let harmless = "CREATE TRIGGER audit_record_delete BEFORE DELETE ON audit_record
        BEGIN SELECT 1; END";
    conn.execute_batch(harmless).unwrap();
    found();
}

#[tokio::test]
async fn an_added_trigger_is_found() {
    let sql = "CREATE TRIGGER quiet AFTER INSERT ON audit_head BEGIN DELETE FROM item; END";
    let report = tampered(sql).await;
    assert!(only_problem(&report).2.contains("triggers"));
}

#[tokio::test]
async fn what_is_rolled_back_leaves_no_record() {
    let fixture = Fixture::new().await;
    let undone = fixture.db.write(&fixture.cx, async |tx| {
        audit::append(tx, &record("A", "I1")).await?;
        tx.execute("INSERT INTO item (id, body) VALUES (1, 'bad')", &[])
            .await
    });
    assert!(undone.await.is_err());
    let mut nameless = record("A", "I1");
    nameless.actor.clear();
    let nameless = async move |tx: &mut tenon_store::Tx| audit::append(tx, &nameless).await;
    assert!(fixture.db.write(&fixture.cx, nameless).await.is_err());
    let report = fixture.db.verify_audit().await.unwrap();
    assert!(report.is_sound() && report.records == 0);
}

#[test]
fn a_missing_file_and_a_file_without_a_trail_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.db");
    assert!(
        verify_file(&path)
            .unwrap_err()
            .to_string()
            .contains("does not exist")
    );
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE a (b)")
        .unwrap();
    let error = verify_file(&path).unwrap_err().to_string();
    assert!(error.contains("audit trail cannot be read"), "{error}");
}
