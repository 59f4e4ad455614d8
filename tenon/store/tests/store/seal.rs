//! Sealed values: bound to their place, unreadable without the key, nowhere in the files.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use tenon_core::Result;
use tenon_store::{
    Options, Rx, args,
    seal::{self, BlindIndex, Keyring, Place, Sealed, Secret},
};

use crate::fixture::Fixture;

const CANARY: &str = "canary-4f1d-Alice-Example";

fn place<'a>(row: &'a str, owner: &'a str) -> Place<'a> {
    Place {
        table: "item",
        column: "body",
        row,
        owner,
    }
}

async fn sealed(fixture: &Fixture, ring: &Arc<Keyring>, row: &str, owner: &str) -> Sealed {
    let (ring, row, owner) = (ring.clone(), row.to_owned(), owner.to_owned());
    let write = fixture.db.write(&fixture.cx, async move |tx| {
        seal::seal(tx, &ring, place(&row, &owner), CANARY.as_bytes()).await
    });
    write.await.unwrap()
}

async fn opened(
    fixture: &Fixture,
    ring: &Arc<Keyring>,
    place: Place<'static>,
    value: &Sealed,
) -> Result<Secret> {
    let (ring, value) = (ring.clone(), value.clone());
    let read = async move |rx: &mut Rx| seal::open(rx, &ring, place, &value).await;
    fixture.db.read(&fixture.cx, read).await
}

fn ring(folder: &Path, name: &str) -> Arc<Keyring> {
    Arc::new(Keyring::load_or_create(folder.join(name)).unwrap())
}

#[tokio::test]
async fn a_value_opens_where_it_was_sealed_and_nowhere_else() {
    let fixture = Fixture::new().await;
    let ring = ring(fixture.folder.path(), "seal.key");
    let value = sealed(&fixture, &ring, "1", "S1").await;
    sealed(&fixture, &ring, "2", "S2").await;
    let here = opened(&fixture, &ring, place("1", "S1"), &value)
        .await
        .unwrap();
    assert_eq!(here.expose_text().unwrap(), CANARY);
    assert_eq!(format!("{here:?} {value:?}"), "[redacted] [sealed]");
    let elsewhere = [
        place("2", "S1"),
        place("1", "S2"),
        Place {
            column: "name",
            ..place("1", "S1")
        },
        Place {
            table: "visit",
            ..place("1", "S1")
        },
        // The same letters, divided in another way.
        Place {
            table: "ite",
            column: "mbody",
            ..place("1", "S1")
        },
    ];
    for place in elsewhere {
        let error = opened(&fixture, &ring, place, &value).await.unwrap_err();
        let cause = error.cause_chain().unwrap();
        assert!(cause.contains("another place or was changed"), "{cause}");
        assert!(!cause.contains(CANARY));
    }
}

#[tokio::test]
async fn a_changed_value_does_not_open() {
    let fixture = Fixture::new().await;
    let ring = ring(fixture.folder.path(), "seal.key");
    let value = sealed(&fixture, &ring, "1", "S1").await;
    let json = value.to_json();
    assert_eq!(Sealed::from_json(&json), Some(value.clone()));
    let sql = "SELECT CAST(substr($1, 1, $2) || x'00' || substr($1, $2 + 2) AS BLOB)";
    for index in 0..45 {
        let changed: Sealed = fixture
            .db
            .one(&fixture.cx, sql, args![value, index])
            .await
            .unwrap();
        let outcome = opened(&fixture, &ring, place("1", "S1"), &changed).await;
        assert_eq!(outcome.is_ok(), changed == value, "byte {index}");
    }
    for length in [0, 1, 6, 17, 20] {
        let short: Sealed = fixture
            .db
            .one(
                &fixture.cx,
                "SELECT substr($1, 1, $2)",
                args![value, length],
            )
            .await
            .unwrap();
        assert!(
            opened(&fixture, &ring, place("1", "S1"), &short)
                .await
                .is_err()
        );
    }
}

#[tokio::test]
async fn another_ring_does_not_open_it_and_a_destroyed_key_opens_nothing() {
    let fixture = Fixture::new().await;
    let own = ring(fixture.folder.path(), "seal.key");
    let other = ring(fixture.folder.path(), "other.key");
    let value = sealed(&fixture, &own, "1", "S1").await;
    let wrong = opened(&fixture, &other, place("1", "S1"), &value).await;
    let cause = wrong.unwrap_err().cause_chain().unwrap();
    assert!(
        cause.contains("is not the one it was wrapped by"),
        "{cause}"
    );
    let destroy = async |tx: &mut tenon_store::Tx| seal::destroy(tx, "S1").await;
    assert!(fixture.db.write(&fixture.cx, destroy).await.unwrap());
    assert!(!fixture.db.write(&fixture.cx, destroy).await.unwrap());
    let gone = opened(&fixture, &own, place("1", "S1"), &value).await;
    assert!(
        gone.unwrap_err()
            .cause_chain()
            .unwrap()
            .contains("does not exist")
    );
    // A new key of the same owner does not open what the old one sealed.
    sealed(&fixture, &own, "2", "S1").await;
    assert!(
        opened(&fixture, &own, place("1", "S1"), &value)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn wrapping_keys_rotate_and_values_stay() {
    let fixture = Fixture::new().await;
    let path = fixture.folder.path().join("seal.key");
    let first = ring(fixture.folder.path(), "seal.key");
    let value = sealed(&fixture, &first, "1", "S1").await;
    let text = fs::read_to_string(&path).unwrap();
    let second_key = "wrap 2 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";
    fs::write(&path, text.clone() + second_key).unwrap();
    let both = ring(fixture.folder.path(), "seal.key");
    for left in [1, 0] {
        let ring = both.clone();
        let wrap = async move |tx: &mut tenon_store::Tx| seal::rewrap(tx, &ring, 100).await;
        assert_eq!(fixture.db.write(&fixture.cx, wrap).await.unwrap(), left);
    }
    let index = text.lines().find(|line| line.starts_with("index")).unwrap();
    fs::write(&path, format!("{second_key}{index}\n")).unwrap();
    let second = ring(fixture.folder.path(), "seal.key");
    assert!(
        opened(&fixture, &second, place("1", "S1"), &value)
            .await
            .is_ok()
    );
    let retired = opened(&fixture, &first, place("1", "S1"), &value).await;
    assert!(
        retired
            .unwrap_err()
            .cause_chain()
            .unwrap()
            .contains("lacks its wrapping key 2")
    );
}

#[test]
fn blind_indexes_are_equal_for_equal_values_of_one_column_and_ring() {
    let folder = tempfile::tempdir().unwrap();
    let (own, other) = (ring(folder.path(), "a.key"), ring(folder.path(), "b.key"));
    let index: BlindIndex = own.blind_index("phone", "13800000000");
    assert_eq!(
        index,
        ring(folder.path(), "a.key").blind_index("phone", "13800000000")
    );
    assert_ne!(index, own.blind_index("phone", "13800000001"));
    assert_ne!(index, own.blind_index("identity", "13800000000"));
    assert_ne!(own.blind_index("ab", "c"), own.blind_index("a", "bc"));
    assert_ne!(index, other.blind_index("phone", "13800000000"));
}

#[test]
fn a_key_file_is_private_and_a_bad_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seal.key");
    let created = Keyring::load_or_create(&path).unwrap();
    assert!(!format!("{created:?}").contains(&fs::read_to_string(&path).unwrap()[7..20]));
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = Keyring::load(&path).unwrap_err().to_string();
    assert!(error.contains("set its mode to 0600"), "{error}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    for text in [
        "",
        "wrap 1 AAAA\n",
        "wrap one\n",
        "secret\n",
        "index AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
    ] {
        fs::write(&path, text).unwrap();
        let error = Keyring::load_or_create(&path).unwrap_err().to_string();
        assert!(
            error.contains("seal.key") && !error.contains("AAAA"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn keys_that_were_lost_are_never_replaced_by_new_ones() {
    let fixture = Fixture::new().await;
    let path = fixture.folder.path().join("seal.key");
    let ring = Arc::new(seal::keyring(&fixture.db, &path).await.unwrap());
    sealed(&fixture, &ring, "1", "S1").await;
    seal::keyring(&fixture.db, &path).await.unwrap();
    let copy = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let error = seal::keyring(&fixture.db, &path).await.unwrap_err();
    assert!(error.to_string().contains("seal.key"), "{error}");
    assert!(!path.exists());
    // Those of somebody else are found out at the start, not at the first value.
    Keyring::load_or_create(&path).unwrap();
    let error = seal::keyring(&fixture.db, &path).await.unwrap_err();
    assert!(error.to_string().contains("restore"), "{error}");
    fs::write(&path, copy).unwrap();
    seal::keyring(&fixture.db, &path).await.unwrap();
}

#[test]
fn processes_that_start_together_agree_on_one_ring() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seal.key");
    let indexes: Vec<BlindIndex> = std::thread::scope(|scope| {
        let open = || {
            Keyring::load_or_create(&path)
                .unwrap()
                .blind_index("a", "b")
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        let indexes = threads.into_iter().map(|thread| thread.join().unwrap());
        indexes.collect()
    });
    assert!(indexes.iter().all(|index| *index == indexes[0]));
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[tokio::test]
async fn the_plain_value_is_in_no_file() {
    let fixture = Fixture::new().await;
    let ring = ring(fixture.folder.path(), "seal.key");
    let table = "CREATE TABLE person (id BIGINT PRIMARY KEY, name BYTEA NOT NULL, note TEXT);";
    let migration = tenon_store::Migration {
        version: 1,
        name: "person",
        sql: table,
    };
    let options = Options::new(fixture.folder.path().join("person.db"));
    let db = tenon_store::Db::open(options, &[migration]).await.unwrap();
    for id in 0..50 {
        let ring = ring.clone();
        db.write(&fixture.cx, async move |tx| {
            let (row, owner) = (id.to_string(), format!("S{id}"));
            let place = Place {
                table: "person",
                column: "name",
                row: &row,
                owner: &owner,
            };
            let name = seal::seal(tx, &ring, place, CANARY.as_bytes()).await?;
            let sql = "INSERT INTO person (id, name, note) VALUES ($1, $2, 'marker-in-clear')";
            tx.execute(sql, args![id, name]).await
        })
        .await
        .unwrap();
    }
    let (clear, secret) = hits(fixture.folder.path());
    assert!(clear > 0 && secret == 0, "in the log: {clear}, {secret}");
    db.backup(&fixture.cx, fixture.folder.path().join("copy.db"))
        .await
        .unwrap();
    db.close().await.unwrap();
    let (clear, secret) = hits(fixture.folder.path());
    assert!(
        clear >= 100 && secret == 0,
        "in data file and copy: {clear}, {secret}"
    );
}

/// How often the unsealed marker and the canary are found in the files of a folder.
fn hits(folder: &Path) -> (usize, usize) {
    let count = |bytes: &[u8], text: &str| {
        let windows = bytes.windows(text.len());
        windows.filter(|window| *window == text.as_bytes()).count()
    };
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| fs::read(entry.unwrap().path()));
    files.fold((0, 0), |(clear, secret), bytes| {
        let bytes = bytes.unwrap();
        (
            clear + count(&bytes, "marker-in-clear"),
            secret + count(&bytes, CANARY),
        )
    })
}
