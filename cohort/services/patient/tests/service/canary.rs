//! Personal values are where they are opened for those who may see them, and nowhere else: not in
//! any file of the data folder, a backup, a log line, a metric or an error.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex},
};

use http::Method;
use patient_contract::rpc::{GetPatientsByTrialReq, PatientService};
use serde_json::{Value, json};
use tenon::Context;
use tracing_subscriber::{filter::LevelFilter, fmt::MakeWriter};

use crate::kit::{Account, House, house, person_with};

/// What must not be found, in the forms in which it was sent and is kept.
const CANARIES: [&str; 7] = [
    "卡纳莉",
    "Zyxwvut",
    "11010519491231002X",
    "11010519491231002x",
    "110105194912310021",
    "13912345678",
    "139 1234 5678",
];

/// All that the process logs, at every level.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// The files below a folder that hold a text.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if contains(&std::fs::read(&path).unwrap(), text) {
            found.push(path.display().to_string());
        }
    }
    found
}

/// Everything that a subject goes through, with what goes wrong on the way; gives all problems.
async fn live(house: &House) -> Vec<Value> {
    let coordinator = Account::coordinator();
    let identity = json!({
        "name": "卡纳莉 Zyxwvut", "identityNumber": "11010519491231002x", "phone": "139 1234 5678",
    });
    let body = person_with("CANARY-NO-1", identity);
    let (status, created) = house.create(&coordinator, body.clone()).await;
    assert_eq!(status, 201, "{created}");
    assert_eq!(created["patient"]["phone"], "13912345678");
    let id = created["patient"]["id"].as_str().unwrap();
    assert_eq!(house.shift(id, 1, "2024-05-01").await.0, 200);
    let (_, list) = house.get("/api/v1/patient", &coordinator).await;
    assert_eq!(list["items"][0]["identityNumber"], "11010519491231002X");

    let mut problems = Vec::new();
    let with = |field: &str, value: &str| {
        let mut body = body.clone();
        body[field] = json!(value);
        body
    };
    let bad = [
        body.clone(),
        with("birthDate", "1950-01-01"),
        with("identityNumber", "110105194912310021"),
        with("name", "卡纳莉\u{7}Zyxwvut"),
        with("phone", "139 1234 5678 ext 9"),
        with("sex", "卡纳莉"),
        with("subjectNo", "卡纳莉\n13912345678"),
    ];
    for body in bad {
        let (status, problem) = house.create(&coordinator, body).await;
        assert!(status.is_client_error(), "{status}");
        problems.push(problem);
    }
    // Values where no value belongs: the path and the query.
    for path in [
        "/api/v1/patient/11010519491231002X",
        "/api/v1/patient?cursor=13912345678",
    ] {
        let (status, problem) = house
            .send(Method::GET, path, Some(&coordinator), None)
            .await;
        assert!(status.is_client_error(), "{status}");
        problems.push(problem);
    }
    problems.push(house.shift(id, 3, "2024-05-01").await.1);
    problems
}

#[tokio::test]
async fn r_34_personal_values_are_in_no_file_log_metric_or_error() {
    let log = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(log.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let house = house().await;
    let problems = live(&house).await;
    let (client, running) = house.remote().await;
    let cx = house.context(&Account::coordinator());
    let req = GetPatientsByTrialReq {
        trial_id: "T1".to_owned(),
    };
    let told = client.get_patients_by_trial(&cx, req).await.unwrap();
    assert_eq!(told.patients[0].name.expose(), "卡纳莉 Zyxwvut");
    let shown = format!("{told:?}");
    assert!(shown.contains("name: [personal]"), "{shown}");
    let folder = house.folder.path();
    house
        .db
        .backup(&Context::background(), folder.join("backup.db"))
        .await
        .unwrap();

    // The search sees what is not sealed, in the log of commits or in the data, and in the copy.
    assert!(files_with(folder, "CANARY-NO-1").len() >= 2);
    let clean = |when: &str| {
        for canary in CANARIES {
            assert_eq!(
                files_with(folder, canary),
                [""; 0],
                "{when}: a file holds a canary"
            );
        }
    };
    clean("while it runs");
    for problem in &problems {
        assert!(problem["code"].is_string(), "{problem}");
        for canary in CANARIES {
            assert!(!problem.to_string().contains(canary), "{problem}");
        }
    }
    let metrics = house.runtime.metrics.encode();
    assert!(metrics.contains("http_server_request_duration_seconds"));
    running.life().drain();
    running.wait().await.unwrap();
    clean("after it ended");
    let log = log.0.lock().unwrap().clone();
    assert!(contains(&log, "/api/v1/patient"), "the log is captured");
    for canary in CANARIES {
        assert!(
            !contains(metrics.as_bytes(), canary),
            "a metric holds a canary"
        );
        if contains(&log, canary) {
            let text = String::from_utf8_lossy(&log);
            let line = text.lines().find(|line| line.contains(canary));
            panic!("a log line holds a canary: {line:?}");
        }
    }
}
