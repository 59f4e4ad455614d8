//! Verifying the trail: beside the running platform, and after somebody changed it.

use std::{fs, path::Path};

use crate::platform::{folder, run, said, up};

fn verify(data: &Path) -> (Option<i32>, String) {
    let output = run(&["audit", "verify", "--data", data.to_str().unwrap()]);
    let (out, problem) = said(&output);
    (output.status.code(), out + &problem)
}

/// Changes one byte of the only place in a file that reads so.
fn forge(file: &Path, from: &[u8], to: &[u8]) {
    let mut bytes = fs::read(file).unwrap();
    let places: Vec<usize> = (0..bytes.len() - from.len())
        .filter(|place| &bytes[*place..*place + from.len()] == from)
        .collect();
    assert!(!places.is_empty(), "there is no such record");
    for place in places {
        bytes[place..place + to.len()].copy_from_slice(to);
    }
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_changed_record_is_found_with_its_service_and_place() {
    let folder = folder();
    let data = folder.path().join("data");
    let process = up(&data, &["--demo"]);
    let (code, text) = verify(&data);
    assert_eq!(code, Some(0), "{text}");
    for service in ["identity", "trial", "patient", "epro"] {
        assert!(text.contains(&format!("{service}: ")), "{text}");
    }
    process.stop();
    let before = verify(&data);
    assert_eq!(before.0, Some(0), "{}", before.1);

    // Nobody withdrew, says the forger: only in the trail is it known.
    let reason = b"no longer wishes to take part (demonstration)";
    forge(
        &data.join("patient.db"),
        reason,
        b"NO longer wishes to take part (demonstration)",
    );
    let (code, text) = verify(&data);
    assert_eq!(code, Some(1), "{text}");
    let problem = text
        .lines()
        .find(|line| line.starts_with("patient: "))
        .unwrap();
    assert!(
        problem.contains("record ") && problem.contains("does not match its hash"),
        "{problem}"
    );
    assert!(text.contains("epro: ") && text.contains("sound"), "{text}");
}

#[test]
fn a_trail_that_is_gone_is_no_sound_trail() {
    let folder = folder();
    let data = folder.path().join("data");
    up(&data, &[]).stop();
    fs::remove_file(data.join("trial.db")).unwrap();
    let (code, text) = verify(&data);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("trial: ") && text.contains("does not exist"),
        "{text}"
    );
    let (code, text) = verify(&folder.path().join("elsewhere"));
    assert_eq!(code, Some(1));
    assert!(text.contains("holds no data"), "{text}");
}
