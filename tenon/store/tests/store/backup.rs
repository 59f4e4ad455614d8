//! Backups: consistent while writes go on, whole or not there.

use std::{os::unix::fs::PermissionsExt, sync::Arc};

use tenon_core::catalogue;
use tenon_store::{Db, OPEN_FAILED, Options, args, audit, check_file};

use crate::fixture::{Fixture, ITEMS};

#[tokio::test]
async fn a_copy_made_under_load_is_one_state_and_verifies() {
    let fixture = Arc::new(Fixture::new().await);
    let writes = tokio::spawn({
        let fixture = fixture.clone();
        async move {
            for id in 0..400 {
                let record = crate::audit::record("A", &id.to_string());
                let write = fixture.db.write(&fixture.cx, async move |tx| {
                    let body = "x".repeat(5_000);
                    let sql = "INSERT INTO item (id, body) VALUES ($1, $2)";
                    tx.execute(sql, args![id, body]).await?;
                    audit::append(tx, &record).await
                });
                write.await.unwrap();
            }
        }
    });
    while fixture.count().await < 20 {
        tokio::task::yield_now().await;
    }
    let to = fixture.folder.path().join("copy.db");
    let report = fixture.db.backup(&fixture.cx, &to).await.unwrap();
    writes.await.unwrap();
    let metadata = std::fs::metadata(&to).unwrap();
    assert_eq!(
        (metadata.len(), metadata.permissions().mode() & 0o777),
        (report.bytes, 0o600)
    );
    assert!(!fixture.folder.path().join("copy.db-wal").exists());
    let trail = audit::verify_file(&to).unwrap();
    assert!(trail.is_sound() && trail.records >= 20, "{trail:?}");
    let copy = Db::open(Options::new(&to), ITEMS).await.unwrap();
    let count: i64 = copy
        .one(&fixture.cx, "SELECT count(*) FROM item", args![])
        .await
        .unwrap();
    assert_eq!(u64::try_from(count).unwrap(), trail.records);
    assert_eq!(fixture.count().await, 400);
}

#[tokio::test]
async fn a_backup_never_overwrites_and_a_cancelled_one_leaves_nothing() {
    let fixture = Fixture::new().await;
    let to = fixture.folder.path().join("copy.db");
    std::fs::write(&to, "mine").unwrap();
    let error = fixture.db.backup(&fixture.cx, &to).await.unwrap_err();
    assert!(error.is(&OPEN_FAILED) && error.to_string().contains("needs a new file"));
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "mine");
    let (left, guard) = fixture.cx.with_cancel();
    drop(guard);
    let other = fixture.folder.path().join("other.db");
    let error = fixture.db.backup(&left, &other).await.unwrap_err();
    assert!(error.is(&catalogue::CANCELLED));
    let names = std::fs::read_dir(fixture.folder.path()).unwrap();
    let other = names
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with("other")
        })
        .count();
    assert_eq!(other, 0);
}

#[tokio::test]
async fn a_damaged_file_is_recognised() {
    let fixture = Fixture::new().await;
    for id in 0..50 {
        fixture.insert(id, &"x".repeat(1_000)).await.unwrap();
    }
    let to = fixture.folder.path().join("copy.db");
    fixture.db.backup(&fixture.cx, &to).await.unwrap();
    assert!(check_file(&to).is_ok());
    let mut bytes = std::fs::read(&to).unwrap();
    let last = bytes.len() - 8192;
    bytes[last..last + 64].fill(0xAB);
    std::fs::write(&to, bytes).unwrap();
    assert!(check_file(&to).unwrap_err().is(&OPEN_FAILED));
}
