//! How other services are called is shown by the admin server, and changes with the file of a
//! process that runs.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use tenon::{
    Process, Running, Runtime,
    config::{self, AdminConfig, ClientsConfig, ConfigError},
    reload::Outcome,
    rpc::Method,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

static READ: Method = Method::new("/test.Notes/read").idempotent();
static WRITE: Method = Method::new("/test.Notes/write");

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    clients: ClientsConfig,
}

/// A process that calls one service, and the file that says how.
struct Caller {
    runtime: Runtime,
    running: Running,
    folder: TempDir,
}

impl Caller {
    async fn start(clients: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("caller.yaml");
        fs::write(&file, clients).unwrap();
        let read: Config = config::load(&file).unwrap();
        let runtime = Runtime::default();
        let channel = runtime.channel("notes", &read.clients["notes"]).unwrap();
        channel.check(&[&READ, &WRITE]).unwrap();
        let admin = AdminConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            ..AdminConfig::default()
        };
        let process = Process::new(runtime.clone()).admin(admin);
        let process = process.configured::<Config>(&file).unwrap();
        Self {
            runtime,
            running: process.start().await.unwrap(),
            folder,
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("caller.yaml")
    }

    /// What the file says from now on.
    fn change(&self, clients: &str) -> Result<Outcome, ConfigError> {
        self.runtime.reload.take(clients)
    }

    /// The one client that the admin server shows.
    async fn shown(&self) -> Value {
        let address = self.running.address("admin").unwrap();
        let mut socket = TcpStream::connect(address).await.unwrap();
        let request = b"GET /clients HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        socket.write_all(request).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let clients: Vec<Value> = serde_json::from_str(body).unwrap();
        let [client] = clients.try_into().unwrap();
        client
    }
}

/// The settings of a layer.
fn settings<'a>(layers: &'a Value, name: &str) -> &'a str {
    let layers = layers["layers"].as_array().unwrap();
    let layer = layers.iter().find(|layer| layer["name"] == name).unwrap();
    layer["settings"].as_str().unwrap()
}

#[tokio::test]
async fn the_clients_of_a_process_are_shown_and_follow_its_file() {
    let caller = Caller::start("clients: { notes: { endpoints: ['127.0.0.1:1'] } }").await;
    let before = caller.shown().await;
    println!("{before:#}");
    assert_eq!(before["client"], "notes");
    assert_eq!(before["instances"][0]["address"], "127.0.0.1:1");
    assert!(settings(&before, "deadline").starts_with("2s"));
    assert!(settings(&before, "retry").contains("10 per cent"));
    assert_eq!(before["methods"][0]["method"], WRITE.path());

    let changed = "clients: { notes: { endpoints: ['127.0.0.1:1'], timeout: 3s, breaker: false,
        timeouts: { write: 9s }, retry: { attempts: 2, budget: { percent: 20 } } } }";
    let outcome = caller.change(changed).unwrap();
    let mut keys: Vec<_> = outcome.applied.iter().map(|one| one.key.as_str()).collect();
    keys.sort_unstable();
    let expected = [
        "breaker",
        "retry.attempts",
        "retry.budget.percent",
        "timeout",
        "timeouts.write",
    ];
    assert_eq!(keys, expected.map(|key| format!("clients.notes.{key}")));
    let after = caller.shown().await;
    assert!(settings(&after, "deadline").starts_with("3s"));
    assert!(settings(&after, "retry").starts_with("2 attempts"));
    assert!(settings(&after, "retry").contains("20 per cent"));
    assert!(settings(&after["methods"][0], "deadline").starts_with("9s"));
    assert!(!after.to_string().contains("breaker"));
}

#[tokio::test]
async fn a_bad_section_changes_nothing_and_is_told_with_its_file() {
    let caller = Caller::start("clients: { notes: { endpoints: ['127.0.0.1:1'] } }").await;
    let before = caller.shown().await;
    for (bad, words) in [
        (
            "timeout: 5s, timeouts: { wriet: 9s }",
            ["clients.notes", "`wriet`", "`write`"],
        ),
        (
            "timeout: 5s, retry: { methods: [write] }",
            ["clients.notes", "`write`", "idempotency_level"],
        ),
        ("timeout: 0s", ["caller.yaml", "zero", "line 1"]),
        (
            "retry: { attempts: 9 }",
            ["caller.yaml", "1 to 5", "line 1"],
        ),
    ] {
        let text = format!("clients: {{ notes: {{ endpoints: ['127.0.0.1:1'], {bad} }} }}");
        let problem = caller.change(&text).unwrap_err().to_string();
        println!("{problem}");
        let file = caller.file().display().to_string();
        assert!(problem.contains(&file), "{problem}");
        assert!(words.iter().all(|word| problem.contains(word)), "{problem}");
        assert_eq!(caller.shown().await, before);
    }
}

#[tokio::test]
async fn where_a_service_is_takes_a_restart_and_is_told_so() {
    let caller = Caller::start("clients: { notes: { endpoints: ['127.0.0.1:1'] } }").await;
    let moved = "clients: { notes: { endpoints: ['127.0.0.1:2'], plaintext: allowed,
        timeout: 4s } }";
    let outcome = caller.change(moved).unwrap();
    let told: Vec<_> = outcome.needs_restart.iter().map(|one| &*one.key).collect();
    assert_eq!(told, ["clients.notes.endpoints", "clients.notes.plaintext"]);
    let shown = caller.shown().await;
    assert_eq!(shown["instances"][0]["address"], "127.0.0.1:1");
    assert!(settings(&shown, "connection").contains("this machine only"));
    assert!(settings(&shown, "deadline").starts_with("4s"));
}
