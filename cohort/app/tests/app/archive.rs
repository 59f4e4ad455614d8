//! Backup and restore.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use serde_json::Value;

use crate::platform::{Client, Process, demo, folder, new_id, phq9, run, said, up};

const PATH: &str = "/api/v1/epro/response";

fn backup(data: &Path, out: &Path) -> Output {
    run(&[
        "backup",
        "--data",
        data.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ])
}

fn restore(from: &Path, data: &Path) -> Output {
    run(&[
        "restore",
        "--from",
        from.to_str().unwrap(),
        "--data",
        data.to_str().unwrap(),
    ])
}

/// Submits until it is told to stop; the ids that were acknowledged.
fn writer(
    process: &Process,
    demo: &Value,
    stop: Arc<AtomicBool>,
) -> thread::JoinHandle<Vec<String>> {
    let coordinator = Client::of(process).role(demo, "coordinator");
    let subject = demo["subjectIds"][0].as_str().unwrap().to_owned();
    thread::spawn(move || {
        let mut written = Vec::new();
        while !stop.load(Ordering::SeqCst) {
            let id = new_id();
            let (status, problem) = coordinator.post(PATH, &phq9(&id, &subject, 2));
            assert_eq!(status, 201, "{problem}");
            written.push(id);
        }
        written
    })
}

#[test]
fn a_backup_beside_writing_comes_back_whole() {
    let folder = folder();
    let (data, out) = (folder.path().join("data"), folder.path().join("copy.tar"));
    let process = up(&data, &["--demo", "--log-level", "warn"]);
    let demo = demo(&data);
    let coordinator = Client::of(&process).role(&demo, "coordinator");
    let subject = demo["subjectIds"][0].as_str().unwrap();
    let before = new_id();
    assert_eq!(coordinator.post(PATH, &phq9(&before, subject, 3)).0, 201);
    let people = coordinator.items("/api/v1/patient");
    let stop = Arc::new(AtomicBool::new(false));
    let writing = writer(&process, &demo, stop.clone());
    let made = backup(&data, &out);
    stop.store(true, Ordering::SeqCst);
    let written = writing.join().unwrap();
    assert!(!written.is_empty(), "nothing was written beside the backup");
    let (_, warning) = said(&made);
    assert_eq!(made.status.code(), Some(0), "{warning}");
    assert!(warning.contains("holds the keys"), "{warning}");
    assert_eq!(
        fs::metadata(&out).unwrap().permissions().mode() & 0o777,
        0o600
    );
    process.stop();
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        3,
        "something was left behind"
    );

    let copy = folder.path().join("restored");
    let restored = restore(&out, &copy);
    assert_eq!(restored.status.code(), Some(0), "{:?}", said(&restored));
    let process = up(&copy, &[]);
    let coordinator = Client::of(&process).role(&demo, "coordinator");
    // Sealed values open, and what was acknowledged before the backup is there.
    assert_eq!(coordinator.items("/api/v1/patient"), people);
    assert_eq!(coordinator.get(&format!("{PATH}/{before}")).0, 200);
    // Of what was written meanwhile, the copy holds a beginning without gaps.
    let found: Vec<bool> = written
        .iter()
        .map(|id| coordinator.get(&format!("{PATH}/{id}")).0 == 200)
        .collect();
    assert!(
        found.is_sorted_by(|earlier, later| earlier >= later),
        "{found:?}"
    );
    let (_, receipt) = coordinator.post(PATH, &phq9(&new_id(), subject, 1));
    assert_eq!(receipt["scores"][0]["value"], 9, "{receipt}");
}

#[test]
fn a_restore_replaces_nothing_and_takes_nothing_damaged() {
    let folder = folder();
    let (data, out) = (folder.path().join("data"), folder.path().join("copy.tar"));
    up(&data, &[]).stop();
    assert_eq!(backup(&data, &out).status.code(), Some(0));
    let again = backup(&data, &out);
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).1.contains("exists"));

    let onto = restore(&out, &data);
    assert_eq!(onto.status.code(), Some(1));
    assert!(said(&onto).1.contains("not empty"), "{:?}", said(&onto));

    let whole = fs::read(&out).unwrap();
    let damaged = folder.path().join("damaged.tar");
    let target = folder.path().join("restored");
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let text = b"the letter of a patient, and no backup".repeat(100);
    // The manifest and its blocks are sound; what follows is somebody else's.
    let manifest = whole
        .windows(9)
        .position(|bytes| bytes == b"identity.")
        .unwrap();
    let spliced = [&whole[..manifest.next_multiple_of(512) + 512], &text].concat();
    let cases: [(&[u8], &str); 5] = [
        (&flipped, "is damaged"),
        (&whole[..whole.len() / 3], ""),
        (&text, "it is no backup of cohort"),
        (&spliced, "it is damaged"),
        (b"", "it is empty"),
    ];
    for (bytes, part) in cases {
        fs::write(&damaged, bytes).unwrap();
        let output = restore(&damaged, &target);
        let (_, problem) = said(&output);
        assert_eq!(output.status.code(), Some(1), "{problem}");
        assert!(problem.contains(part), "{problem}");
        assert!(!problem.contains("patient, and"), "{problem}");
        assert!(!target.exists(), "a part of a damaged backup was left");
    }
    fs::create_dir(&target).unwrap();
    assert_eq!(restore(&out, &target).status.code(), Some(0));
    assert_eq!(
        fs::metadata(&target).unwrap().permissions().mode() & 0o777,
        0o700
    );
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        5,
        "something was left behind"
    );
}
