//! Everything that leaves a process, or stays behind when it ends: the pages of the admin address,
//! what was printed and logged, the files of the data, a backup.

use std::{
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

use flate2::read::GzDecoder;
use futures_util::future;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::{Actor, Raw, Tally};
use crate::{
    canary::{self, UNSEALED},
    raw::{Ending, percent},
    secrets,
    world::World,
};

/// How long the requests that are held may take to arrive: less than their deadline.
const PATIENCE: Duration = Duration::from_secs(2);

/// The file of the backup.
pub(super) const BACKUP: &str = "canary.tar";

/// Every thread, and every request in flight.
const IN_FLIGHT: &str = "/debug/pprof/goroutine?debug=2";

/// Pages of the admin address that must be there, and those that a build may be without.
const PAGES: [&str; 16] = [
    // First, while what is held has not come to its deadline.
    IN_FLIGHT,
    "/",
    "/metrics",
    "/routes",
    "/clients",
    "/config",
    "/log-level",
    "/healthz",
    "/readyz",
    "/debug/pprof/",
    "/debug/pprof/cmdline",
    "/debug/pprof/symbol",
    "/debug/pprof/goroutine",
    "/debug/pprof/goroutine?debug=1",
    "/debug/pprof/profile?seconds=1",
    "/debug/pprof/profile?seconds=1&format=svg",
];
const MORE_PAGES: [&str; 6] = [
    "/debug/pprof/heap",
    "/debug/pprof/allocs",
    "/debug/pprof/threadcreate",
    "/debug/pprof/block",
    "/debug/pprof/mutex",
    "/debug/pprof/trace?seconds=1",
];

/// What was read of the admin addresses.
#[derive(Default)]
pub(super) struct Pages {
    pub(super) count: usize,
    pub(super) bytes: usize,
}

/// Reads every page of every process while requests that hold canaries are in flight.
pub(super) async fn search_pages(world: &World, tally: &Tally) -> Pages {
    let held = hold(world).await;
    let processes = world.processes().iter();
    let found = future::join_all(processes.map(|process| pages_of(world, tally, process))).await;
    drop(held);
    let sum = |sum: Pages, next: Pages| Pages {
        count: sum.count + next.count,
        bytes: sum.bytes + next.bytes,
    };
    found.into_iter().fold(Pages::default(), sum)
}

async fn pages_of(world: &World, tally: &Tally, process: &'static str) -> Pages {
    let address = world.ports().address(&format!("{process}.admin"));
    let mut pages = Pages::default();
    let value = percent(&canary::ALL[0].value(1));
    let asked = [
        format!("/{value}"),
        format!("/routes?{value}={value}"),
        format!("/debug/pprof/{value}"),
        format!("/debug/pprof/profile?seconds=1&{value}={value}"),
        format!("/debug/pprof/heap?debug={value}"),
    ];
    let must = PAGES
        .map(str::to_owned)
        .into_iter()
        .map(|path| (path, true));
    let may = MORE_PAGES
        .map(str::to_owned)
        .into_iter()
        .chain(asked)
        .map(|path| (path, false));
    for (path, must) in must.chain(may) {
        let request = Raw {
            method: "GET".to_owned(),
            target: path.clone(),
            headers: vec![("Host".to_owned(), address.clone())],
            body: None,
            ending: Ending::Whole,
        };
        let answer = request.send(&address).await;
        assert!(
            !must || answer.status() == Some(200),
            "{path} of {process}: {:?}",
            answer.status()
        );
        let body = unpacked(answer.body());
        assert!(!must || !body.is_empty(), "{path} of {process} is empty");
        if path == IN_FLIGHT && process == world.process_of("patient") {
            let is_held = secrets::contains(&body, b"/api/v1/patient");
            assert!(is_held, "no request is in flight in {process}");
        }
        let place = format!("{path} of {process}");
        tally.search(&place, answer.head());
        tally.search(&place, &body);
        pages.count += 1;
        pages.bytes += body.len();
    }
    let level = Raw {
        method: "PUT".to_owned(),
        target: "/log-level".to_owned(),
        headers: vec![("Host".to_owned(), address.clone())],
        body: Some(canary::ALL[0].word().into_bytes()),
        ending: Ending::Whole,
    };
    let answer = level.send(&address).await;
    assert_eq!(answer.status(), Some(400), "/log-level of {process}");
    tally.search(&format!("PUT /log-level of {process}"), &answer.0);
    pages
}

/// A text that may be packed.
fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    if bytes.starts_with(b"\x1f\x8b") {
        GzDecoder::new(bytes).read_to_end(&mut text).unwrap();
        return text;
    }
    bytes.to_vec()
}

/// Begins requests that hold every canary and leaves them in the middle of their bodies.
async fn hold(world: &World) -> Vec<TcpStream> {
    let token = world.cast().await.token(Actor::Coordinator);
    let address = world.ports().address("gateway.rest");
    let mut held = Vec::new();
    for canary in &canary::ALL {
        let (value, name) = (canary.value(900), canary.name);
        let head = format!(
            "POST /api/v1/patient?{name}={} HTTP/1.1\r\nHost: x\r\nX-Name: {value}\r\n\
             Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n\
             {{\"{name}\": \"{value}\"",
            percent(&value)
        );
        let mut socket = TcpStream::connect(&address).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        held.push(socket);
    }
    let process = world.process_of("patient");
    let arrived = async {
        while world.metric(process, "http_server_active_requests").await < 8.0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let arrived = tokio::time::timeout(PATIENCE, arrived).await;
    assert!(arrived.is_ok(), "the requests do not arrive in {process}");
    held
}

/// A line that was not written cannot be searched.
pub(super) async fn assert_nothing_was_held_back(world: &World) {
    for process in world.processes() {
        for lost in ["log_lines_dropped_total", "trace_spans_dropped_total"] {
            assert!(
                world.metric(process, lost).await == 0.0,
                "{lost} of {process}"
            );
        }
    }
}

/// What was read of the files.
#[derive(Default)]
pub(super) struct Files {
    pub(super) lines: usize,
    pub(super) log_bytes: usize,
    pub(super) data_bytes: usize,
}

/// Searches what the processes left behind.
pub(super) fn search_files(world: &World, tally: &Tally) -> Files {
    let mut found = Files::default();
    for file in below(&world.logs()) {
        let bytes = std::fs::read(&file).unwrap();
        found.lines += bytes.iter().filter(|byte| **byte == b'\n').count();
        found.log_bytes += bytes.len();
        tally.search(&file.display().to_string(), &bytes);
    }
    for process in world.processes() {
        let log = std::fs::read(world.logged(process)).unwrap();
        let lowest = b"\"level\":\"TRACE\"";
        assert!(
            secrets::contains(&log, lowest),
            "{process} does not log all that it can"
        );
    }
    let mut data = below(&world.data());
    assert!(data.len() >= 8, "{data:?}");
    data.push(world.scratch(BACKUP));
    // What is stored as it is, is found.
    let plain = canary::ALL.iter().find(|canary| canary.name == "birthDate");
    let plain = plain.unwrap().value(1);
    let mut is_seen = false;
    for file in data {
        let bytes = std::fs::read(&file).unwrap();
        found.data_bytes += bytes.len();
        is_seen |= secrets::contains(&bytes, plain.as_bytes());
        tally.search_for(&UNSEALED, &file.display().to_string(), &bytes);
    }
    assert!(is_seen, "nothing of what was sent is in the data");
    found
}

/// All files below a folder.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(below(&path)),
            false => found.push(path),
        }
    }
    found
}
