//! Every service as a process of its own, with the configurations that come with them.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tenon_test::fixed_port;

use crate::platform::{Client, Process, cohort, folder, new_id, phq9, run, said};

/// The shipped configurations in the order in which they are started.
const SERVICES: [(&str, &str); 6] = [
    ("identity", "../services/identity/etc/identity.yaml"),
    ("trial", "../services/trial/etc/trial.yaml"),
    ("patient", "../services/patient/etc/patient.yaml"),
    ("epro", "../services/epro/etc/epro.yaml"),
    ("gateway", "etc/gateway.yaml"),
    ("progress", "etc/progress.yaml"),
];

/// The addresses that stand in them.
const PORTS: [u16; 16] = [
    8080, 8081, 8101, 8102, 8103, 8104, 9101, 9102, 9103, 9104, 8889, 8890, 8891, 8892, 8893, 8895,
];

/// Copies the configurations, with free ports in place of the shipped ones.
fn configure(folder: &Path) {
    let free: Vec<u16> = PORTS.iter().map(|_| fixed_port()).collect();
    for (service, file) in SERVICES {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let mut text = fs::read_to_string(source).unwrap();
        for (shipped, free) in PORTS.iter().zip(&free) {
            text = text.replace(
                &format!("127.0.0.1:{shipped}"),
                &format!("<127.0.0.1:{free}>"),
            );
        }
        let text = text.replace(['<', '>'], "");
        fs::write(folder.join(format!("{service}.yaml")), text).unwrap();
    }
}

fn start(folder: &Path) -> Vec<Process> {
    configure(folder);
    let process = |(service, _): &(&str, &str)| {
        let mut command = cohort(&["serve", service, "--config", &format!("{service}.yaml")]);
        command.current_dir(folder);
        Process::start(command, folder.join(format!("{service}.log")))
    };
    SERVICES.iter().map(process).collect()
}

fn door(process: &Process, name: &str) -> String {
    format!("http://{}", process.line(name).unwrap())
}

/// The body of an answer that created something.
fn made((status, value): (u16, Value)) -> Value {
    assert_eq!(status, 201, "{value}");
    value
}

/// A study with one enrolled subject: its id, its coordinator, and the subject's id.
fn enrol(anybody: &Client, admin: &Client) -> (String, Client, String) {
    let text = include_str!("../../../clinical/instruments/phq9.json");
    let questionnaire = serde_json::from_str(text).unwrap();
    made(admin.post("/api/v1/epro/questionnaire", &questionnaire));
    let study = json!({"code": "S", "title": "Separate", "target": 3});
    let study = made(admin.post("/api/v1/trial", &study));
    let trial = study["id"].as_str().unwrap();
    let site = json!({"code": "1", "name": "One"});
    let site = made(admin.post(&format!("/api/v1/trial/{trial}/site"), &site));
    let password = "a long enough passphrase";
    let account = json!({
        "username": "nurse", "password": password,
        "grants": [{"role": "coordinator", "trialId": trial}],
    });
    made(admin.post("/api/v1/identity/account", &account));
    let nurse = anybody.login("nurse", password);
    let subject = json!({
        "trialId": trial, "siteId": site["id"], "subjectNo": "1", "sex": "U", "birthDate": "1970",
    });
    let subject = made(nurse.post("/api/v1/patient", &subject));
    let subject = subject["patient"]["id"].as_str().unwrap().to_owned();
    let step = json!({"status": 1, "reason": "eligible", "date": "2025-01-01"});
    let (status, moved) = nurse.post(&format!("/api/v1/patient/{subject}/status"), &step);
    assert_eq!(status, 200, "{moved}");
    (trial.to_owned(), nurse, subject)
}

#[test]
fn six_processes_are_one_platform() {
    let folder = folder();
    let mut processes = start(folder.path());
    let (username, password) = processes[0]
        .line("administrator")
        .unwrap()
        .split_once(' ')
        .unwrap();
    let anybody = Client::at(&door(&processes[4], "gateway.rest"));
    let admin = anybody.login(username, password);
    let (trial, nurse, subject) = enrol(&anybody, &admin);
    let receipt = made(nurse.post("/api/v1/epro/response", &phq9(&new_id(), &subject, 3)));
    assert_eq!(receipt["scores"][0]["value"], 27);

    let progress = Client::at(&door(&processes[5], "progress.rest"));
    let (status, found) = progress.get(&format!("/api/v1/trial/{trial}/progress"));
    assert_eq!(
        (status, &found["enrolled"], &found["progress"]),
        (200, &json!(1), &json!(33))
    );
    assert_eq!(anybody.get("/openapi.json").0, 200);

    // The edge asks for the token: with the service gone, nobody without one learns of it.
    processes.remove(2).stop();
    let path = format!("/api/v1/patient/{subject}");
    assert_eq!(anybody.get(&path).0, 401);
    let (status, problem) = nurse.get(&path);
    assert_eq!(
        (status, problem["code"].as_str()),
        (503, Some("UNAVAILABLE"))
    );
    let (status, problem) = nurse.post("/api/v1/epro/response", &phq9(&new_id(), &subject, 3));
    assert_eq!(status, 503, "{problem}");
    let data = folder.path().join("cohort-data");
    let whole = run(&[
        "up",
        "--data",
        data.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
    ]);
    assert!(said(&whole).1.contains("in use by"), "{:?}", said(&whole));
    let verified = run(&["audit", "verify", "--data", data.to_str().unwrap()]);
    assert_eq!(verified.status.code(), Some(0), "{:?}", said(&verified));
    processes.into_iter().for_each(Process::stop);
}

/// One try to log in, as a proxy before the gateway tells of a phone; the status.
fn try_to_log_in(gateway: &Process, phone: &str) -> u16 {
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let agent = config.proxy(None).build().new_agent();
    let request = agent
        .post(format!(
            "{}/api/v1/identity/login",
            door(gateway, "gateway.rest")
        ))
        .header("content-type", "application/json")
        .header("x-forwarded-for", phone);
    let answer = request.send(r#"{"username":"nobody","password":"wrong"}"#);
    answer.unwrap().status().as_u16()
}

#[test]
fn limits_of_the_services_count_callers_and_not_the_gateway() {
    let folder = folder();
    configure(folder.path());
    let change = |service: &str, old: &str, new: &str| {
        let file = folder.path().join(format!("{service}.yaml"));
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(old), "{service}: {old}");
        fs::write(file, text.replace(old, new)).unwrap();
    };
    change("identity", "requests: 120", "requests: 2");
    change("identity", "burst: 120", "burst: 2");
    let start = |service: &str| {
        let mut command = cohort(&["serve", service, "--config", &format!("{service}.yaml")]);
        command.current_dir(folder.path());
        Process::start(command, folder.path().join(format!("{service}.log")))
    };
    // What stands before the gateway here is this test.
    change(
        "gateway",
        "trustedProxies: []",
        "trustedProxies: [\"127.0.0.1\"]",
    );
    let (identity, gateway) = (start("identity"), start("gateway"));
    let (one, other) = ("203.0.113.1", "203.0.113.2");
    let tries = [one, one, one, other].map(|phone| try_to_log_in(&gateway, phone));
    assert_eq!(tries, [401, 401, 429, 401]);
    gateway.stop();
    identity.stop();
}

#[test]
fn a_gateway_speaks_plaintext_to_others_only_when_that_is_said() {
    let folder = folder();
    configure(folder.path());
    let text = fs::read_to_string(folder.path().join("gateway.yaml")).unwrap();
    let line = text
        .lines()
        .find(|line| line.trim_start().starts_with("endpoints: [\"127.0.0.1:"));
    let away = text.replacen(line.unwrap(), "    endpoints: [\"identity:8104\"]", 1);
    let check = |text: &str| {
        let file = folder.path().join("away.yaml");
        fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        let output = run(&["serve", "gateway", "--config", file, "--check"]);
        (output.status.code(), said(&output).1)
    };
    let (code, told) = check(&away);
    assert_eq!(code, Some(1), "{told}");
    for word in ["upstream identity", "identity:8104", "`plaintext: allowed`"] {
        assert!(told.contains(word), "{told}");
    }
    let allowed = away.replacen(
        "plaintext: loopback\n    # Speaks",
        "plaintext: allowed\n    # Speaks",
        1,
    );
    assert_ne!(allowed, away);
    assert_eq!(check(&allowed), (Some(0), String::new()));
}

#[test]
fn a_configuration_that_cannot_work_is_told() {
    let folder = folder();
    configure(folder.path());
    let refused = |service: &str, text: &str| {
        let file = folder.path().join("bad.yaml");
        fs::write(&file, text).unwrap();
        let output = run(&["serve", service, "--config", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        said(&output).1
    };
    let gateway = fs::read_to_string(folder.path().join("gateway.yaml")).unwrap();
    let unknown = refused("gateway", &gateway.replace("  patient:\n", "  patints:\n"));
    assert!(
        unknown.contains("expected one of identity, trial, patient, epro"),
        "{unknown}"
    );
    let misspelt = refused("gateway", &gateway.replace("timeout:", "timeuot:"));
    assert!(
        misspelt.contains("nearest valid key is `timeout`"),
        "{misspelt}"
    );
    let lonely = refused("progress", "clients: {}\n");
    assert!(lonely.contains("clients.trial is missing"), "{lonely}");
}
