//! A file that changes while the process runs: what is taken, refused and told.

use std::path::Path;

use super::*;
use crate::{
    Live,
    config::{LogConfig, LogLevel, RestConfig},
};

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "read for its strictness only")]
struct Config {
    #[serde(default)]
    rest: RestConfig,
    #[serde(default)]
    log: LogConfig,
    #[serde(default)]
    redis: Option<String>,
    #[serde(default)]
    access_secret: Option<String>,
}

const START: &str = "rest: { timeout: 3s, maxBytes: 1000 }\nlog: { level: info }\n";

fn started() -> (Reload, Live<LogConfig>, Live<u64>) {
    let reload = Reload::new();
    let (log, bytes) = (Live::new(LogConfig::default()), Live::new(1000));
    let room = log.clone();
    reload.register("log", &["level"], move |config: LogConfig| {
        let room = room.clone();
        Ok(Box::new(move || room.store(config)))
    });
    let room = bytes.clone();
    reload.register("rest", &["maxBytes"], move |config: RestConfig| {
        if config.max_bytes == 0 {
            return Err("maxBytes is 0; expected at least 1".to_owned());
        }
        let room = room.clone();
        Ok(Box::new(move || room.store(config.max_bytes)))
    });
    let path = Path::new("etc/x.yaml");
    let strict = move |text: &str| config::parse::<Config>(text, path).map(drop);
    reload.begin(START, path, strict).unwrap();
    (reload, log, bytes)
}

#[test]
fn what_may_change_changes_and_the_rest_is_reported() {
    let (reload, log, bytes) = started();
    let text = "rest: { timeout: 5s, maxBytes: 2000 }\nlog: { level: debug }\n";
    let outcome = reload.take(text).unwrap();
    let change = |key: &str, old: &str, new: &str| Change {
        key: key.to_owned(),
        old: old.to_owned(),
        new: new.to_owned(),
    };
    let applied = [
        change("log.level", "info", "debug"),
        change("rest.maxBytes", "1000", "2000"),
    ];
    assert_eq!(outcome.applied, applied);
    assert_eq!(outcome.needs_restart, [change("rest.timeout", "3s", "5s")]);
    assert_eq!((log.load().level, *bytes.load()), (LogLevel::Debug, 2000));
    let report = reload.report();
    assert_eq!(report["inForce"]["rest.timeout"], "3s");
    assert_eq!(report["needsRestart"]["rest.timeout"], "5s");
    // A key that is taken out falls back to its default.
    let outcome = reload
        .take("rest: { maxBytes: 2000, timeout: 3s }\n")
        .unwrap();
    assert_eq!(outcome.applied, [change("log.level", "debug", "default")]);
    assert_eq!(log.load().level, LogLevel::Info);
    assert_eq!(reload.report()["needsRestart"], serde_json::json!({}));
}

#[test]
fn one_bad_value_refuses_all() {
    for (bad, word) in [
        (
            "log: { level: debug }\nrest: { maxBytes: 0 }\n",
            "at least 1",
        ),
        ("log: { level: loud }\n", "unknown variant"),
        (
            "log: { level: debug }\nrest: { timeuot: 3s }\n",
            "nearest valid key",
        ),
        ("log: { level: debug\n", "line"),
    ] {
        let (reload, log, bytes) = started();
        let error = reload.take(bad).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
        assert_eq!((log.load().level, *bytes.load()), (LogLevel::Info, 1000));
        let Stats { taken, refused, .. } = reload.stats();
        assert_eq!((taken, refused), (0, 1));
    }
}

#[test]
fn secrets_are_not_shown() {
    let (reload, _, _) = started();
    let text = format!("{START}accessSecret: hunter2\nredis: redis://bob:hunter2@cache:6379/0\n");
    let outcome = reload.take(&text).unwrap();
    let shown = format!("{outcome:?} {}", reload.report());
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("redis://[hidden]@cache:6379/0"), "{shown}");
}

#[test]
fn a_key_of_another_name_is_another_key() {
    let reload = Reload::new();
    reload.register("a", &["b"], |_: Value| Ok(Box::new(|| ())));
    reload.begin("a: {}", "x".as_ref(), |_| Ok(())).unwrap();
    let outcome = reload.take("a: { b: { c: 1 }, bc: 1 }").unwrap();
    assert_eq!(outcome.applied[0].key, "a.b.c");
    assert_eq!(outcome.needs_restart[0].key, "a.bc");
}

/// Time is paused: the seconds between the readings pass at once.
#[tokio::test(start_paused = true)]
async fn the_file_is_watched() {
    let folder = std::env::temp_dir().join(format!("tenon-reload-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("x.yaml");
    std::fs::write(&path, START).unwrap();
    let (reload, log, _) = started();
    reload
        .begin(START, &path, |text| tree(text, Path::new("x")).map(drop))
        .unwrap();
    let watching = tokio::spawn(reload.clone().watch());
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    std::fs::write(&path, "log: { level: trace }\n").unwrap();
    while reload.stats().taken == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(log.load().level, LogLevel::Trace);
    std::fs::write(&path, "log: { level: loud }\n").unwrap();
    while reload.stats().refused == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    // The same bad content is told once.
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert_eq!(reload.stats().refused, 1);
    // One that cannot be read is as bad.
    std::fs::write(&path, [0xff]).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert_eq!(reload.stats().refused, 2);
    assert_eq!(log.load().level, LogLevel::Trace);
    watching.abort();
    std::fs::remove_dir_all(&folder).unwrap();
}
