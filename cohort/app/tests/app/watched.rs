//! `cohort up --config`: the process is watched as its file says, and follows the file.

use std::{
    fs,
    io::Read,
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use crate::platform::{Client, Process, folder, run, said, up};

/// Machines that test are busy.
const PATIENCE: Duration = Duration::from_secs(90);
const ME: &str = "/api/v1/identity/me";

/// Listens where spans are sent, and keeps every byte: texts stand in them as they are. It answers
/// nothing, as a collector that hangs.
struct Collector {
    address: SocketAddr,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = received.clone();
        thread::spawn(move || {
            for socket in listener.incoming() {
                let (mut socket, kept) = (socket.unwrap(), kept.clone());
                thread::spawn(move || {
                    let mut bytes = [0; 4096];
                    while let Ok(length @ 1..) = socket.read(&mut bytes) {
                        kept.lock().unwrap().extend_from_slice(&bytes[..length]);
                    }
                });
            }
        });
        Self { address, received }
    }

    fn has(&self, text: &str) -> bool {
        let received = self.received.lock().unwrap();
        let mut windows = received.windows(text.len());
        windows.any(|window| window == text.as_bytes())
    }

    fn write(&self, file: &Path, level: &str) {
        let address = self.address;
        let text = format!(
            "log: {{ level: {level} }}\n\
             traces: {{ endpoint: 'http://{address}' }}\n\
             admin: {{ profiling: {{ enabled: false }} }}\n"
        );
        fs::write(file, text).unwrap();
    }
}

fn until(what: &str, process: &Process, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}: {}", process.log());
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn up_is_watched_as_its_file_says_and_follows_it() {
    let folder = folder();
    let file = folder.path().join("cohort.yaml");
    let collector = Collector::start();
    collector.write(&file, "info");
    let process = up(
        &folder.path().join("data"),
        &["--config", file.to_str().unwrap()],
    );
    let admin = Client::at(process.line("admin").unwrap());
    assert_eq!(admin.get("/debug/pprof/").0, 404);

    assert_eq!(Client::of(&process).get(ME).0, 401);
    let arrived = || {
        ["cohort", "identity", ME]
            .iter()
            .all(|it| collector.has(it))
    };
    until("spans", &process, arrived);

    let level = || {
        let (_, level) = admin.get("/log-level");
        level.as_str().unwrap().trim().to_owned()
    };
    assert_eq!(level(), "info");
    collector.write(&file, "debug");
    until("a new level", &process, || level() == "debug");
    fs::write(&file, "log: { level: loud }\n").unwrap();
    until("a refusal", &process, || process.log().contains("loud"));
    assert_eq!(level(), "debug");
    process.stop();
}

#[test]
fn a_file_that_is_not_sound_is_told_before_anything_is_touched() {
    let folder = folder();
    let file = folder.path().join("cohort.yaml");
    let data = folder.path().join("data");
    // The doors of one service are not a matter of this file.
    fs::write(&file, "log: { level: debug }\nrest: {}\n").unwrap();
    let (file, folder) = (file.to_str().unwrap(), data.to_str().unwrap());
    for more in [&["--check"][..], &[]] {
        let output = run(&[&["up", "--data", folder, "--config", file], more].concat());
        let (_, problem) = said(&output);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            problem.contains("cohort.yaml")
                && problem.contains("`rest`")
                && problem.contains("line 2"),
            "{problem}"
        );
    }
    assert!(!data.exists());
}

#[test]
fn a_flag_comes_before_the_file() {
    let folder = folder();
    let file = folder.path().join("cohort.yaml");
    fs::write(
        &file,
        "log: { level: warn }\nadmin: { listen: '127.0.0.1:1' }\n",
    )
    .unwrap();
    let config = ["--config", file.to_str().unwrap(), "--log-level", "error"];
    let process = up(&folder.path().join("data"), &config);
    let admin = Client::at(process.line("admin").unwrap());
    let (_, level) = admin.get("/log-level");
    assert_eq!(level.as_str().unwrap().trim(), "error");
    process.stop();
}
