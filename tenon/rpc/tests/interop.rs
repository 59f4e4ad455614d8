//! Against an independent implementation: Google's C core, by way of Python. Skipped with one
//! line where Python or the package `grpcio` cannot be had.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of a test fail it as its assertions do, and tests print what they measure"
)]

#[path = "shape/python.rs"]
pub mod install;
#[path = "shape/patient.rs"]
pub mod patient;
#[path = "shape/ward.rs"]
pub mod ward;

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use install::script;
use patient::{PatientClient, PatientService};
use tenon_core::{Code, Context, Principal, catalogue, config::RpcConfig};
use ward::{Event, channel, house_at, token, trial, ward};

fn python() -> Option<&'static PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| install::python("grpcio", &["grpcio"], "grpc"));
    found.as_ref()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn googles_client_is_answered() {
    let Some(python) = python() else { return };
    let (ward, mut events) = ward(None);
    let config = RpcConfig {
        timeout: Duration::from_millis(700),
        ..RpcConfig::default()
    };
    let house = house_at("127.0.0.1:0".parse().unwrap(), ward, config).await;
    let mut command = Command::new(python);
    command
        .arg(script("caller.py"))
        .arg(house.address.to_string())
        .arg(token("account-1"));
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    let faults = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("ok    cancel"),
        "{said}\n{faults}"
    );
    // Its own deadline, the server's, and its cancellation: the work of each stopped. The next
    // call may begin before the one that its caller left has ended.
    let (mut began, mut dropped, mut ended) = (0, 0, 0);
    for _ in 0..9 {
        match events.next().await {
            Event::Began => began += 1,
            Event::Dropped(_) => dropped += 1,
            Event::Ended(..) => ended += 1,
        }
    }
    assert_eq!((began, dropped, ended), (3, 3, 3));
}

/// The server process, ended when this is dropped.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn googles_server_is_called() {
    let Some(python) = python() else { return };
    let mut child = Command::new(python)
        .arg(script("server.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let _served = Served(child);
    let port: u16 = said.next().unwrap().unwrap().parse().unwrap();
    let address = (std::net::Ipv4Addr::LOCALHOST, port).into();
    let client = PatientClient::remote(channel(&[address], Duration::from_secs(5))).unwrap();
    let cx = Context::background();

    // The answer is packed: the server was told that gzip is read.
    let long = "T".repeat(100);
    let resp = client
        .get_patients_by_trial(&cx, trial(&long))
        .await
        .unwrap();
    assert_eq!(resp.patients[0].id, long);

    let error = client
        .get_patients_by_trial(&cx, trial("absent"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.status()),
        ("NOT_FOUND", Code::NotFound)
    );
    assert_eq!(error.to_string(), "no such trial 试验 100%");

    let error = client
        .get_patients_by_trial(&cx, trial("broken"))
        .await
        .unwrap_err();
    assert_eq!((error.code(), error.status()), ("INTERNAL", Code::Unknown));
    assert!(!error.to_string().contains("inside"), "{error}");
    assert!(error.cause_chain().unwrap().contains("inside"), "{error:?}");

    let bearer = token("account-9");
    let principal = Principal::new("account-9", serde_json::Map::default()).with_token(&bearer);
    let named = cx
        .with_timeout(Duration::from_secs(2))
        .with_principal(principal.into());
    let resp = client
        .get_patients_by_trial(&named, trial("headers"))
        .await
        .unwrap();
    let seen: Vec<_> = resp
        .patients
        .into_iter()
        .map(|patient| patient.id)
        .collect();
    let left: f64 = seen[0].parse().unwrap();
    assert!(left > 1.5 && left < 2.0, "{left}");
    assert!(seen[1].contains(&cx.trace().trace_id()), "{}", seen[1]);
    assert_eq!(seen[2], format!("Bearer {bearer}"));
    assert!(seen[3].starts_with("tenon/"), "{}", seen[3]);

    let next = || said.next().transpose().unwrap();
    work_of_googles_server_stops(client, next).await;
}

async fn work_of_googles_server_stops(
    client: PatientClient,
    mut said: impl FnMut() -> Option<String>,
) {
    let cx = Context::background();
    let started = Instant::now();
    let hasty = cx.with_timeout(Duration::from_millis(150));
    let error = client
        .get_patients_by_trial(&hasty, trial("sleep"))
        .await
        .unwrap_err();
    assert!(error.is(&catalogue::DEADLINE_EXCEEDED), "{error:?}");
    assert!(started.elapsed() < Duration::from_millis(600));
    assert_eq!(said().as_deref(), Some("cancelled"));

    let (left_alone, calling) = (client.clone(), cx.clone());
    let call = tokio::spawn(async move {
        left_alone
            .get_patients_by_trial(&calling, trial("sleep"))
            .await
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    call.abort();
    assert_eq!(said().as_deref(), Some("cancelled"));
}
