//! What the door and the channel write into the log, and what never stands there.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "helpers of a test fail it as its assertions do"
)]

#[path = "shape/patient.rs"]
pub mod patient;
#[path = "shape/ward.rs"]
pub mod ward;

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use patient::PatientService;
use serde_json::Value;
use tenon_core::{Context, Principal};
use ward::{house, remote, token, trial, ward};

/// Keeps what is written to it.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn lines(&self, target: &str) -> Vec<Value> {
        self.text()
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|line| line["target"] == target)
            .collect()
    }
}

#[tokio::test]
async fn each_call_has_one_line_and_no_secret() {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    std::panic::set_hook(Box::new(|panic| {
        tenon_core::panics::note(panic);
    }));
    // The runtime of this test has this thread alone, so that it covers the server's tasks too.
    let _guard = tracing::subscriber::set_default(subscriber);

    let (ward, mut events) = ward(None);
    let house = house(ward).await;
    let client = remote(&house);
    let bearer = token("account-3");
    let principal = Principal::new("account-3", serde_json::Map::default()).with_token(&bearer);
    let cx = Context::background().with_principal(principal.into());
    for asked in ["P-SECRET", "panic", "invalid"] {
        let _ = client.get_patients_by_trial(&cx, trial(asked)).await;
    }
    let (left, leaving) = (client.clone(), cx.clone());
    let call =
        tokio::spawn(async move { left.get_patients_by_trial(&leaving, trial("sleep")).await });
    events.began().await;
    call.abort();
    events.stopped().await;
    tokio::time::sleep(Duration::from_millis(20)).await;

    let access = written.lines("access");
    let statuses: Vec<_> = access
        .iter()
        .map(|line| line["fields"]["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [0, 13, 9, 1]);
    for line in &access {
        assert_eq!(line["level"], "INFO");
        let fields = &line["fields"];
        assert_eq!(
            fields["method"],
            "/patient.PatientService/getPatientsByTrial"
        );
        assert_eq!(fields["trace_id"], cx.trace().trace_id());
        assert_eq!(fields["caller"], "account-3");
        assert!(fields["duration_ms"].as_f64().unwrap() >= 0.0);
    }
    let calls = written.lines("rpc").len();
    assert!(calls >= 3, "{calls} lines of the channel");
    let text = written.text();
    let faults = written.lines("tenon_rpc::server::record");
    let [fault] = &faults[..] else {
        panic!("one line tells of the panic: {faults:?}")
    };
    let cause = fault["fields"]["cause"].as_str().unwrap();
    assert!(
        cause.contains("a panic at ") && cause.contains("ward.rs:"),
        "{cause}"
    );
    assert_eq!(fault["fields"]["trace_id"], cx.trace().trace_id());
    // Below ours there is hyper, whose frames nobody logs in earnest.
    let ours: Vec<_> = text
        .lines()
        .filter(|line| {
            ["access", "rpc", "tenon_"]
                .iter()
                .any(|target| line.contains(&format!("\"target\":\"{target}")))
        })
        .collect();
    assert!(ours.len() >= 8, "{ours:?}");
    for secret in [&*bearer, "P-SECRET", "on fire", ward::SECRET] {
        assert!(!ours.iter().any(|line| line.contains(secret)), "{secret}");
    }
}
