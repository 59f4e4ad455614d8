//! Starting, first and again, and stopping.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::platform::{Client, cohort, demo, folder, new_id, phq9, run, said, up};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_first_start_makes_private_data_and_one_administrator() {
    let folder = folder();
    let data = folder.path().join("data");
    let first = up(&data, &[]);
    let (username, password) = first
        .line("administrator")
        .unwrap()
        .split_once(' ')
        .unwrap();
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("keys")), 0o700);
    for entry in fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
    }
    for key in ["signing-0001.pem", "patient.keys", "identity.keyring"] {
        assert_eq!(mode(&data.join("keys").join(key)), 0o600, "{key}");
    }
    let administrator = Client::of(&first).login(username, password);
    let (status, me) = administrator.get("/api/v1/identity/me");
    assert_eq!((status, &me["grants"]), (200, &json!([{"role": "admin"}])));
    assert!(!first.log().contains(password), "the password was logged");
    let (username, password) = (username.to_owned(), password.to_owned());
    first.stop();

    let second = up(&data, &[]);
    assert_eq!(second.line("administrator"), None);
    Client::of(&second).login(&username, &password);
    second.stop();
}

#[test]
fn what_a_start_cannot_have_is_told_with_the_flag_to_change() {
    let folder = folder();
    let data = folder.path().join("data");
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    for flag in ["--listen", "--progress", "--admin"] {
        let mut command = cohort(&["up", "--data", data.to_str().unwrap()]);
        for each in ["--listen", "--progress", "--admin"] {
            command.args([each, if each == flag { &taken } else { "127.0.0.1:0" }]);
        }
        let output = command.output().unwrap();
        let (out, problem) = said(&output);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            problem.contains(&format!("`{flag}`")) && problem.contains(&taken),
            "{problem}"
        );
        assert!(
            !out.contains("administrator"),
            "a password was spent on a start that failed"
        );
    }
    // The start that succeeds is still the first.
    assert!(up(&data, &[]).line("administrator").is_some());
}

#[test]
fn a_folder_serves_one_process_and_holds_nothing_else() {
    let folder = folder();
    let data = folder.path().join("data");
    let holder = up(&data, &[]);
    let second = run(&[
        "up",
        "--data",
        data.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
    ]);
    let (_, problem) = said(&second);
    assert_eq!(second.status.code(), Some(1));
    assert!(
        problem.contains("in use by process") && problem.contains("--data"),
        "{problem}"
    );
    holder.stop();

    let file = folder.path().join("file");
    fs::write(&file, "mine").unwrap();
    for at in [file.join("data"), file] {
        let (_, problem) = said(&run(&["up", "--data", at.to_str().unwrap()]));
        let shown = at.display().to_string();
        assert!(
            problem.contains(&shown) && problem.contains("--data"),
            "{problem}"
        );
    }

    let home = folder.path().join("home");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("letter.txt"), "mine").unwrap();
    let before = mode(&home);
    let other = run(&["up", "--data", home.to_str().unwrap()]);
    let (_, problem) = said(&other);
    assert!(problem.contains("holds other files"), "{problem}");
    assert_eq!(
        (mode(&home), fs::read_dir(&home).unwrap().count()),
        (before, 1)
    );
}

#[test]
fn a_demonstration_is_made_once() {
    let folder = folder();
    let data = folder.path().join("data");
    let shape = |process: &crate::platform::Process| {
        let line = process
            .lines
            .iter()
            .find(|line| line.starts_with('{'))
            .unwrap();
        let printed: Value = serde_json::from_str(line).unwrap();
        assert_eq!(printed, demo(&data), "what is printed is what is written");
        assert_eq!(mode(&data.join("demo.json")), 0o600);
        printed
    };
    let first = up(&data, &["--demo"]);
    let mut made = shape(&first);
    let sponsor = Client::of(&first).role(&made, "sponsor");
    let subjects = sponsor.items("/api/v1/patient");
    let statuses: Vec<_> = subjects
        .iter()
        .map(|subject| subject["status"].as_i64().unwrap())
        .collect();
    for status in [0, 1, 2] {
        assert!(statuses.contains(&status), "{statuses:?}");
    }
    for role in [
        "admin",
        "sponsor",
        "investigator",
        "coordinator",
        "monitor",
        "patient",
    ] {
        Client::of(&first).role(&made, role);
    }
    assert_eq!(made["questionnaires"].as_array().unwrap().len(), 3);
    first.stop();

    let second = up(&data, &["--demo"]);
    let mut again = shape(&second);
    for address in ["gateway", "admin"] {
        (made[address], again[address]) = (Value::Null, Value::Null);
    }
    assert_eq!(made, again);
    let sponsor = Client::of(&second).role(&again, "sponsor");
    assert_eq!(sponsor.items("/api/v1/patient"), subjects);
    second.stop();

    // Whoever loses the file gets new passwords for the same accounts.
    fs::remove_file(data.join("demo.json")).unwrap();
    let third = up(&data, &["--demo"]);
    let renewed = shape(&third);
    assert_eq!(renewed["subjectIds"], made["subjectIds"]);
    assert_ne!(
        renewed["accounts"][0]["password"],
        made["accounts"][0]["password"]
    );
    Client::of(&third).role(&renewed, "patient");
}

#[test]
fn a_patient_submits_and_the_article_is_answered() {
    let folder = folder();
    let data = folder.path().join("data");
    let process = up(&data, &["--demo"]);
    let demo = demo(&data);
    let anybody = Client::of(&process);
    let subject = demo["subjectIds"][0].as_str().unwrap();
    let path = format!("/api/v1/patient/{subject}");
    for (token, code) in [(None, "TOKEN_MISSING"), (Some("a.b.c"), "TOKEN_INVALID")] {
        let client = token.map_or(anybody.clone(), |token| anybody.with_token(token));
        let (status, problem) = client.get(&path);
        assert_eq!((status, problem["code"].as_str()), (401, Some(code)));
    }
    let (status, found) = anybody.role(&demo, "coordinator").get(&path);
    assert_eq!((status, &found["patient"]["status"]), (200, &json!(1)));
    assert_eq!(found["patient"]["identityNumber"], "11010519491231002X");

    let patient = anybody.role(&demo, "patient");
    let response = phq9(&new_id(), subject, 1);
    let (status, receipt) = patient.post("/api/v1/epro/response", &response);
    assert_eq!(status, 201, "{receipt}");
    assert_eq!(receipt["scores"][0]["value"], 9);
    let (status, again) = patient.post("/api/v1/epro/response", &response);
    assert_eq!((status, &again["receiptNo"]), (200, &receipt["receiptNo"]));

    let trial = demo["trialId"].as_str().unwrap();
    let path = format!("/api/v1/trial/{trial}/progress");
    let (status, progress) = Client::at(process.line("progress").unwrap()).get(&path);
    let expected = json!({"trialId": trial, "progress": 30, "status": "recruiting", "enrolled": 6, "target": 20});
    assert_eq!((status, progress), (200, expected), "{}", process.log());

    let (status, document) = anybody.get("/openapi.json");
    assert_eq!(status, 200);
    for path in [
        "/api/v1/identity/login",
        "/api/v1/trial/{trialId}",
        "/api/v1/patient/{patientId}",
        "/api/v1/epro/response",
    ] {
        assert!(document["paths"].get(path).is_some(), "{path}");
    }
    assert_eq!(anybody.get("/docs").0, 200);
    let (status, problem) = anybody.get("/api/v1/nowhere");
    assert_eq!(
        (status, problem["code"].as_str()),
        (404, Some("ROUTE_NOT_FOUND"))
    );
    assert!(
        !process.log().contains("11010519491231002X"),
        "an identity number was logged"
    );
}

#[test]
fn health_tells_whether_a_process_is_ready() {
    let folder = folder();
    let process = up(&folder.path().join("data"), &[]);
    let admin = process.line("admin").unwrap().to_owned();
    let good = run(&["health", "--admin", &admin]);
    assert_eq!(good.status.code(), Some(0));
    let (out, _) = said(&good);
    let report: Value = serde_json::from_str(&out).unwrap();
    let probes: Vec<_> = report["probes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|probe| probe["name"].as_str().unwrap())
        .collect();
    for name in [
        "identity.store",
        "trial.store",
        "patient.store",
        "epro.store",
        "start",
    ] {
        assert!(probes.contains(&name), "{probes:?}");
    }
    process.stop();
    let bad = run(&["health", "--admin", &admin]);
    assert_eq!(bad.status.code(), Some(1));
    let (_, problem) = said(&bad);
    assert!(
        problem.contains(&admin) && problem.contains("--address"),
        "{problem}"
    );
    assert_eq!(
        run(&["health", "--admin", "ftp://x"]).status.code(),
        Some(1)
    );
}

#[test]
fn a_signal_lets_requests_end_first() {
    let folder = folder();
    let data = folder.path().join("data");
    let process = up(&data, &["--demo"]);
    let demo = demo(&data);
    let coordinator = Client::of(&process).role(&demo, "coordinator");
    let subject = demo["subjectIds"][0].as_str().unwrap().to_owned();
    let path = "/api/v1/epro/response";
    // Submissions go on until the door is closed; those that were taken are all answered.
    let counted = subject.clone();
    let submit = move || {
        let mut answered = Vec::new();
        loop {
            let id = new_id();
            match coordinator.try_send("POST", path, Some(&phq9(&id, &subject, 0))) {
                Ok((201, _)) => answered.push(id),
                Ok((status, problem)) => panic!("{status}: {problem}"),
                Err(ureq::Error::Io(_) | ureq::Error::Protocol(_)) => return answered,
                Err(other) => panic!("{other}"),
            }
        }
    };
    let submitting: Vec<_> = (0..4).map(|_| thread::spawn(submit.clone())).collect();
    thread::sleep(Duration::from_millis(300));
    let told = Instant::now();
    process.stop();
    assert!(
        told.elapsed() < Duration::from_secs(20),
        "it took {:?}",
        told.elapsed()
    );
    let answered: Vec<String> = submitting
        .into_iter()
        .flat_map(|thread| thread.join().unwrap())
        .collect();
    assert!(!answered.is_empty());
    let process = up(&data, &[]);
    let sponsor = Client::of(&process).role(&demo, "sponsor");
    let stored = sponsor.items(&format!("{path}?subjectId={counted}"));
    let mut stored: Vec<&str> = stored
        .iter()
        .map(|response| response["id"].as_str().unwrap())
        .collect();
    let mut answered: Vec<&str> = answered.iter().map(String::as_str).collect();
    stored.sort_unstable();
    answered.sort_unstable();
    assert_eq!(stored, answered);
}

#[test]
fn a_wrong_call_is_told_with_code_2() {
    for arguments in [
        &["up", "--lisen", "127.0.0.1:0"] as &[&str],
        &["serve", "nobody", "--config", "x.yaml"],
        &["up", "--batch-max", "0"],
        &["up", "--listen", "localhost"],
        &["up", "--admin", "127.0.0.1:80000"],
        &["import"],
        &[],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty());
    }
    let (_, problem) = said(&run(&["up", "--listen", "8080"]));
    assert!(problem.contains("as in 127.0.0.1:8080"), "{problem}");
    let version = run(&["version"]);
    assert_eq!(version.status.code(), Some(0));
    assert_eq!(
        said(&version).0,
        concat!("cohort ", env!("CARGO_PKG_VERSION"), "\n")
    );
    assert_eq!(run(&["--help"]).status.code(), Some(0));
}
