//! Migrations: applied once, never changed, never back.

use tenon_core::{Context, Result};
use tenon_store::{Db, Migration, OPEN_FAILED, Options, args};

const FIRST: Migration = Migration {
    version: 1,
    name: "visit",
    sql: "CREATE TABLE visit (id BIGINT PRIMARY KEY, name TEXT NOT NULL);",
};
const SECOND: Migration = Migration {
    version: 2,
    name: "visit_time",
    sql: "ALTER TABLE visit ADD COLUMN time BIGINT; INSERT INTO visit VALUES (1, 'a;b', 5);",
};

async fn open(folder: &tempfile::TempDir, migrations: &[Migration]) -> Result<Db> {
    Db::open(Options::new(folder.path().join("visit.db")), migrations).await
}

async fn refusal(folder: &tempfile::TempDir, migrations: &[Migration]) -> String {
    let error = open(folder, migrations).await.unwrap_err();
    assert!(error.is(&OPEN_FAILED));
    error.to_string()
}

#[tokio::test]
async fn a_schema_grows_step_by_step_and_refuses_to_go_back() {
    let folder = tempfile::tempdir().unwrap();
    open(&folder, &[FIRST])
        .await
        .unwrap()
        .close()
        .await
        .unwrap();
    for _ in 0..2 {
        let db = open(&folder, &[FIRST, SECOND]).await.unwrap();
        let rows: Vec<(i64, String, i64)> = db
            .all(&Context::background(), "SELECT * FROM visit", args![])
            .await
            .unwrap();
        assert_eq!(rows, [(1, "a;b".to_owned(), 5)]);
        db.close().await.unwrap();
    }
    let text = refusal(&folder, &[FIRST]).await;
    assert!(
        text.contains("has version 2, this program knows 1"),
        "{text}"
    );
    assert!(text.contains("visit.db"), "{text}");
}

#[tokio::test]
async fn a_changed_migration_is_named() {
    let folder = tempfile::tempdir().unwrap();
    open(&folder, &[FIRST])
        .await
        .unwrap()
        .close()
        .await
        .unwrap();
    let changed = Migration {
        sql: "CREATE TABLE visit (id BIGINT PRIMARY KEY, name TEXT);",
        ..FIRST
    };
    let text = refusal(&folder, &[changed]).await;
    assert!(text.contains("migration 1 `visit` was changed"), "{text}");
}

#[tokio::test]
async fn a_broken_migration_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let broken = Migration {
        sql: "CREATE TABLE half (id BIGINT PRIMARY KEY); CREATE TABLE visit (id BIGINT);",
        ..SECOND
    };
    let text = refusal(&folder, &[FIRST, broken]).await;
    assert!(text.contains("migration 2 `visit_time` failed"), "{text}");
    let escapes = Migration {
        sql: "CREATE TABLE half (id BIGINT PRIMARY KEY); ROLLBACK;",
        ..SECOND
    };
    let text = refusal(&folder, &[FIRST, escapes]).await;
    assert!(
        text.contains("leave BEGIN and COMMIT to the store"),
        "{text}"
    );
    let db = open(&folder, &[FIRST, SECOND]).await.unwrap();
    let half = "SELECT count(*) FROM half";
    assert!(
        db.one::<i64>(&Context::background(), half, args![])
            .await
            .is_err()
    );
}

#[tokio::test]
async fn gaps_missing_folders_and_foreign_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let text = refusal(
        &folder,
        &[
            FIRST,
            Migration {
                version: 3,
                ..SECOND
            },
        ],
    )
    .await;
    assert!(text.contains("number them 1, 2, 3"), "{text}");
    let missing = Db::open(Options::new(folder.path().join("no/such.db")), &[]).await;
    assert!(
        missing
            .unwrap_err()
            .to_string()
            .contains("its folder must exist")
    );
    let foreign = folder.path().join("foreign.db");
    std::fs::write(
        &foreign,
        "this is a letter, and no database at all".repeat(50),
    )
    .unwrap();
    let error = Db::open(Options::new(foreign), &[]).await.unwrap_err();
    assert!(error.is(&OPEN_FAILED), "{error:?}");
}

#[tokio::test]
async fn tables_are_strict_about_their_types() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(&folder, &[FIRST]).await.unwrap();
    let cx = Context::background();
    let text = db.write(&cx, async |tx| {
        let sql = "INSERT INTO visit (id, name) VALUES ($1, $2)";
        tx.execute(sql, args!["one", "x"]).await
    });
    assert!(text.await.is_err());
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let _db = open(&folder, &[FIRST]).await.unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
    }
}
