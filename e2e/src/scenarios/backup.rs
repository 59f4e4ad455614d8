//! Backups: taken while the platform writes, brought back elsewhere, and examined.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use serde_json::Value;

use crate::{
    cast::Actor,
    http::text,
    phq9,
    run::Outcome,
    secrets,
    world::{Arrangement, World},
};

const PATH: &str = "/api/v1/epro/response";

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The copy is run in one process, whatever the original was run in: the data are the same.
pub(super) async fn r_35_a_backup_taken_while_writing_comes_back_whole(world: &World) -> Outcome {
    let cast = world.cast().await;
    let (own, token) = (cast.own(), cast.token(Actor::Patient));
    let before = submit(world, 20).await;
    let (archive, copy) = (world.scratch("backup.tar"), world.scratch("copy"));
    let is_done = AtomicBool::new(false);
    let writing = async {
        let mut during = Vec::new();
        while !is_done.load(Ordering::Relaxed) {
            during.extend(submit(world, 5).await);
        }
        during
    };
    let data = world.data();
    let backup = async {
        let output = world
            .command(["backup", "--data", path(&data), "--out", path(&archive)])
            .await;
        is_done.store(true, Ordering::Relaxed);
        output
    };
    let (during, output) = futures_util::join!(writing, backup);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!during.is_empty(), "nothing was written meanwhile");
    let output = world
        .command([
            "restore",
            "--data",
            path(&copy),
            &format!("--from={}", path(&archive)),
        ])
        .await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let mut expected = Vec::new();
    for id in &before {
        expected.push(world.get(token, format!("{PATH}/{id}")).await.expect(200));
    }
    let subject = format!("/api/v1/patient/{}", own.id);
    let coordinator = cast.token(Actor::Coordinator);
    let known = world.get(coordinator, subject.clone()).await.expect(200);

    let other = World::start_on(Arrangement::OneProcess, copy).await;
    for (id, expected) in before.iter().zip(&expected) {
        let found = other.get(token, format!("{PATH}/{id}")).await.expect(200);
        assert_eq!(found, *expected);
    }
    // Names open with the keys of the copy, and sessions go on.
    assert_eq!(other.get(coordinator, subject).await.expect(200), known);
    other
        .get(coordinator, "/api/v1/identity/me")
        .await
        .expect(200);
    let kept = during_kept(&other, token, &during).await;
    other.audited().await;
    other.stop_all().await;
    Outcome::Measured(format!(
        "{} before it: all there; {} while it was taken: {kept} in it",
        before.len(),
        during.len()
    ))
}

/// Submits this many responses one after the other. Their ids.
async fn submit(world: &World, count: usize) -> Vec<String> {
    let cast = world.cast().await;
    let mut ids = Vec::new();
    for _ in 0..count {
        let response: Value = phq9::response(&cast.own().id, phq9::MODERATE);
        world
            .post(cast.token(Actor::Patient), PATH, &response)
            .await
            .expect(201);
        ids.push(text(&response, "id"));
    }
    ids
}

/// How many of these the copy has: the first ones, since it is of one moment.
async fn during_kept(copy: &World, token: &str, during: &[String]) -> usize {
    let mut kept = Vec::new();
    for id in during {
        kept.push(copy.get(token, format!("{PATH}/{id}")).await.status == 200);
    }
    assert!(
        kept.is_sorted_by(|one, next| one >= next),
        "a gap in the copy: {kept:?}"
    );
    kept.iter().filter(|kept| **kept).count()
}

pub(super) async fn r_02_a_changed_trail_is_found(world: &World) -> Outcome {
    world.cast().await;
    submit(world, 3).await;
    let (archive, sound) = (world.scratch("sound.tar"), world.scratch("sound"));
    let data = world.data();
    run(
        world,
        ["backup", "--data", path(&data), "--out", path(&archive)],
        0,
    )
    .await;
    let from = format!("--from={}", path(&archive));
    run(world, ["restore", "--data", path(&sound), &from], 0).await;
    run(world, ["audit", "verify", "--data", path(&sound)], 0).await;
    let forgeries = [
        ("epro", "response.submit", "response.submix"),
        (
            "epro",
            r#""actorRole":"patient""#,
            r#""actorRole":"monitor""#,
        ),
        ("patient", "subject.move", "subject.mope"),
        ("trial", "study.create", "study.delete"),
        ("identity", "session.login", "session.logan"),
    ];
    for (service, written, forged) in forgeries {
        let file = sound.join(format!("{service}.db"));
        let genuine = std::fs::read(&file).unwrap();
        std::fs::write(&file, forge(&genuine, written, forged)).unwrap();
        let text = run(world, ["audit", "verify", "--data", path(&sound)], 1).await;
        let accused: Vec<&str> = text
            .lines()
            .filter(|line| !line.ends_with("sound"))
            .collect();
        assert!(!accused.is_empty(), "{text}");
        assert!(
            accused.iter().all(|line| line.starts_with(service)),
            "{text}"
        );
        std::fs::write(&file, genuine).unwrap();
    }
    // A trail that is gone is no sound trail.
    std::fs::remove_file(sound.join("patient.db")).unwrap();
    run(world, ["audit", "verify", "--data", path(&sound)], 1).await;
    // Neither does a backup come back that was changed, not even in part.
    let bytes = std::fs::read(&archive).unwrap();
    std::fs::write(&archive, forge(&bytes, "subject.move", "subject.mope")).unwrap();
    let target = world.scratch("forged");
    run(world, ["restore", "--data", path(&target), &from], 1).await;
    assert!(!target.exists());
    Outcome::Measured(format!("{0} of {0} changes found", forgeries.len() + 2))
}

/// Runs a command that must end with this exit code. What it printed on standard output.
async fn run<const N: usize>(world: &World, arguments: [&str; N], code: i32) -> String {
    let output = world.command(arguments).await;
    let text = String::from_utf8(output.stdout).unwrap();
    let problem = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {text}{problem}"
    );
    text
}

/// The bytes of a data file with other words in them: past the database and its triggers.
fn forge(genuine: &[u8], written: &str, forged: &str) -> Vec<u8> {
    assert_eq!(written.len(), forged.len());
    let mut bytes = genuine.to_vec();
    let mut changed = 0;
    while let Some(at) = secrets::position(&bytes, written.as_bytes()) {
        bytes[at..at + forged.len()].copy_from_slice(forged.as_bytes());
        changed += 1;
    }
    assert!(changed > 0, "{written} is not there");
    bytes
}
