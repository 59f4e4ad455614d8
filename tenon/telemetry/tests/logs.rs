//! The logs of a whole process: a child of this test writes them, and its standard error is read.

#![allow(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::{
    env, panic,
    process::{Command, Stdio},
    thread,
};

use serde_json::Value;
use tenon_core::{
    config::{LogConfig, LogFormat},
    panics,
};
use tenon_telemetry::{init_logs, logs};

/// Set for the child alone.
const CHILD: &str = "TENON_TELEMETRY_LOGS_CHILD";

/// Stands for what a panic message may hold of a person.
const CANARY: &str = "canary-of-a-person";

/// What the child does: writes a line, panics in a thread and under a catch, and initializes
/// twice.
fn be_the_child() {
    init_logs(&LogConfig::default()).unwrap();
    tracing::info!(target: "access", status = 200, "served");
    let panicked = thread::Builder::new()
        .name("worker-7".to_owned())
        .spawn(|| panic!("{CANARY}"))
        .unwrap()
        .join();
    assert!(panicked.is_err());
    // Who catches a panic writes it; a second line would only be taken for a second panic.
    let caught = panics::catch(|| panic!("{CANARY}")).map(|()| "no panic");
    tracing::error!(cause = %caught.unwrap_err(), "caught");
    let error = init_logs(&LogConfig::default()).unwrap_err().to_string();
    tracing::warn!(error, "second");
    // The hook of the tests is gone by now; what follows must not need it.
    let _ = panic::take_hook();
    logs::flush();
}

#[test]
fn lines_go_to_standard_error_and_a_panic_is_logged_without_its_payload() {
    if env::var_os(CHILD).is_some() {
        return be_the_child();
    }
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("lines_go_to_standard_error_and_a_panic_is_logged_without_its_payload")
        .env(CHILD, "1")
        .env("RUST_LOG", "off")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let text = String::from_utf8(child.stderr).unwrap();
    let stdout = String::from_utf8(child.stdout).unwrap();
    assert!(child.status.success(), "{text}");
    assert!(!stdout.contains("served"), "{stdout}");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    let [access, panic, caught, second] = &lines[..] else {
        panic!("expected four lines: {text}")
    };
    assert_eq!(
        (&access["target"], &access["status"]),
        (&"access".into(), &200.into())
    );
    assert_eq!(panic["target"], "panic");
    assert_eq!(panic["level"], "ERROR");
    assert_eq!(panic["thread"], "worker-7");
    assert!(
        panic["place"].as_str().unwrap().contains("logs.rs:"),
        "{panic}"
    );
    let cause = caught["cause"].as_str().unwrap();
    assert!(
        cause.contains("a panic at ") && cause.contains("logs.rs:"),
        "{caught}"
    );
    assert!(!text.contains(CANARY), "{text}");
    assert!(second["error"].as_str().unwrap().contains("already"));
}

#[test]
fn lines_for_people_have_no_colours_where_there_is_no_terminal() {
    if env::var_os(CHILD).is_some() {
        let config = LogConfig {
            format: LogFormat::Pretty,
            ..LogConfig::default()
        };
        init_logs(&config).unwrap();
        tracing::info!(target: "access", status = 200, "served");
        return logs::flush();
    }
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("lines_for_people_have_no_colours_where_there_is_no_terminal")
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8(child.stderr).unwrap();
    assert!(text.contains("access served status=200\n"), "{text:?}");
}
