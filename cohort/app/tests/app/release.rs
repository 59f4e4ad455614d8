//! Data of earlier releases: every later program opens it, brings it up to date, and finds it whole.
//!
//! `tests/releases/` holds a backup of a small platform as each release left it, and beside it what
//! is in it. A release adds its own and takes none away.

use std::{fs, path::Path};

use serde_json::Value;

use crate::platform::{Client, folder, run, said, up};

/// Names of the releases whose data is kept.
const RELEASES: [&str; 1] = ["0.1.0"];

#[test]
fn data_of_every_release_is_opened_and_verified() {
    for release in RELEASES {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/releases");
        let expected = fs::read_to_string(kept.join(format!("{release}.json"))).unwrap();
        let expected: Value = serde_json::from_str(&expected).unwrap();
        let folder = folder();
        let data = folder.path().join("data");
        let (data_text, from) = (data.to_str().unwrap(), kept.join(format!("{release}.tar")));
        let restored = run(&[
            "restore",
            "--from",
            from.to_str().unwrap(),
            "--data",
            data_text,
        ]);
        assert_eq!(restored.status.code(), Some(0), "{:?}", said(&restored));
        let process = up(&data, &["--log-level", "warn"]);
        let reset = run(&["account", "reset", "demo-coordinator", "--data", data_text]);
        let (password, problem) = said(&reset);
        assert_eq!(reset.status.code(), Some(0), "{problem}");
        let password = password.trim().rsplit(' ').next().unwrap();
        let coordinator = Client::of(&process).login("demo-coordinator", password);
        look(&coordinator, &expected);
        let verified = run(&["audit", "verify", "--data", data_text]);
        assert_eq!(verified.status.code(), Some(0), "{:?}", said(&verified));
        process.stop();
    }
}

/// What the coordinator of the first site sees must be what was left: counts, scores, and a name
/// that opens with the keys of the release.
fn look(coordinator: &Client, expected: &Value) {
    let subjects = coordinator.items("/api/v1/patient");
    assert_eq!(
        subjects.len(),
        expected["subjects"].as_u64().unwrap() as usize
    );
    let first = subjects
        .iter()
        .find(|subject| subject["subjectNo"] == expected["subjectNo"]);
    assert_eq!(first.unwrap()["name"], expected["name"]);
    let responses = coordinator.items("/api/v1/epro/response");
    let mut totals: Vec<i64> = responses
        .iter()
        .map(|response| response["scores"][0]["value"].as_i64().unwrap())
        .collect();
    totals.sort_unstable();
    assert_eq!(serde_json::json!(totals), expected["totals"]);
    let alerts = coordinator.items("/api/v1/epro/alert");
    assert_eq!(alerts.len(), expected["alerts"].as_u64().unwrap() as usize);
}
