//! Importing subjects: checked first, resumable, and without a word about persons.

use std::{fs, path::PathBuf, process::Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::platform::{Client, Process, demo, folder, run, said, up};

const MAP: &str = "subjectNo: USUBJID\nsite: SITEID\nsex: SEX\nbirthDate: BRTHDTC\n\
    name: NAME\nidentityNumber: CARD\nmissing: [\"\", NA]\n\
    status:\n  column: ARMCD\n  values: {Scrnfail: 3, Screening: 0}\n  otherwise: 1\n\
    \x20 date: [RFSTDTC, DMDTC]\n  reason: imported\n";

const ROWS: &str = "USUBJID,SITEID,SEX,BRTHDTC,NAME,CARD,ARMCD,RFSTDTC,DMDTC\n\
    01-001-1,001,F,1949-12-31,Specimen Woman,11010519491231002X,Pbo,2014-01-02,2013-12-26\n\
    01-001-2,001,M,1952,NA,NA,Scrnfail,NA,2013-07-22\n\
    01-002-1,002,U,1960-05,NA,NA,Screening,NA,NA\n";

struct Study {
    folder: TempDir,
    process: Process,
    demo: Value,
}

impl Study {
    fn start() -> Self {
        let folder = folder();
        let data = folder.path().join("data");
        let process = up(&data, &["--demo", "--log-level", "warn"]);
        let demo = demo(&data);
        let study = Self {
            folder,
            process,
            demo,
        };
        let token = study.client("coordinator").token().to_owned();
        fs::write(study.path("token"), token).unwrap();
        fs::write(study.path("map.yaml"), MAP).unwrap();
        study
    }

    fn client(&self, role: &str) -> Client {
        Client::of(&self.process).role(&self.demo, role)
    }

    fn trial(&self) -> &str {
        self.demo["trialId"].as_str().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn import(&self, rows: &str, more: &[&str]) -> Output {
        fs::write(self.path("rows.csv"), rows).unwrap();
        let path = |name: &str| self.path(name).to_str().unwrap().to_owned();
        let (token, map, rows) = (path("token"), path("map.yaml"), path("rows.csv"));
        let mut arguments = vec!["import", "--url", self.process.line("gateway").unwrap()];
        arguments.extend([
            "--token-file",
            &token,
            "--trial",
            self.trial(),
            "--map",
            &map,
        ]);
        arguments.extend(more);
        arguments.push(&rows);
        run(&arguments)
    }

    fn subjects(&self) -> Vec<Value> {
        let path = format!("/api/v1/patient?trialId={}", self.trial());
        self.client("coordinator").items(&path)
    }
}

#[test]
fn an_import_may_be_run_again_and_finishes_what_is_left() {
    let study = Study::start();
    let before = study.subjects().len();
    let dry = study.import(ROWS, &["--dry-run"]);
    assert!(
        said(&dry)
            .0
            .starts_with("3 created, 2 moved, 0 skipped, 0 failed"),
        "{:?}",
        said(&dry)
    );
    assert_eq!(study.subjects().len(), before);

    let first = study.import(ROWS, &[]);
    assert_eq!(
        (first.status.code(), said(&first).0.as_str()),
        (Some(0), "3 created, 2 moved, 0 skipped, 0 failed\n"),
        "{:?}",
        said(&first)
    );
    let subjects = study.subjects();
    let of = |number: &str| {
        subjects
            .iter()
            .find(|subject| subject["subjectNo"] == number)
            .unwrap()
    };
    assert_eq!(of("01-001-1")["status"], 1);
    assert_eq!(of("01-001-1")["name"], "Specimen Woman");
    assert_eq!(
        (&of("01-001-2")["status"], &of("01-001-2")["birthDate"]),
        (&json!(3), &json!("1952"))
    );
    assert_eq!(of("01-002-1")["status"], 0);

    let second = study.import(ROWS, &[]);
    assert_eq!(
        (second.status.code(), said(&second).0.as_str()),
        (Some(0), "0 created, 0 moved, 3 skipped, 0 failed\n")
    );
    assert_eq!(study.subjects(), subjects);

    // One of them is in the study by now, and one more is in the file.
    let more = ROWS.replace("Screening,NA,NA", "Pbo,2014-03-01,NA")
        + "01-002-2,002,F,1970,NA,NA,Pbo,2014-03-01,NA\n";
    let third = study.import(&more, &[]);
    assert_eq!(said(&third).0, "1 created, 2 moved, 2 skipped, 0 failed\n");
}

#[test]
fn bad_rows_are_all_told_and_nothing_is_sent() {
    let study = Study::start();
    let before = study.subjects();
    let rows =
        format!("{ROWS}01-009-1,009,X,1949-02-30,Secret Person,110105194912310021,Pbo,NA,NA\n");
    let errors = study.path("errors.csv");
    let output = study.import(&rows, &["--errors", errors.to_str().unwrap()]);
    let (out, problems) = said(&output);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(out, "");
    let table = fs::read_to_string(&errors).unwrap();
    for (column, rule) in [
        ("SITEID", "site"),
        ("SEX", "options"),
        ("BRTHDTC", "date"),
        ("CARD", "identity-number"),
        ("RFSTDTC or DMDTC", "required"),
    ] {
        let told = format!("row 4 (line 5), column {column}: {rule}");
        assert!(problems.contains(&told), "{told} in {problems}");
        assert!(table.contains(&format!("4,5,{column},{rule},")), "{table}");
    }
    for secret in ["Secret", "110105194912310021", "1949-02-30", "01-009-1"] {
        assert!(
            !problems.contains(secret) && !table.contains(secret),
            "{secret}"
        );
    }
    assert_eq!(study.subjects(), before);
}

#[test]
fn what_is_there_with_other_content_is_a_conflict_and_stays() {
    let study = Study::start();
    assert_eq!(study.import(ROWS, &[]).status.code(), Some(0));
    let before = study.subjects();
    let changed = ROWS
        .replace("1952", "1953")
        .replace("01-002-1,002", "01-002-1,001");
    let output = study.import(&changed, &[]);
    let (out, problems) = said(&output);
    assert_eq!(
        (output.status.code(), out.as_str()),
        (Some(1), "0 created, 0 moved, 1 skipped, 2 failed\n")
    );
    assert!(
        problems.contains("row 2 (line 3): conflict, expected the birthDate"),
        "{problems}"
    );
    assert!(
        problems.contains("row 3 (line 4): conflict, expected the site"),
        "{problems}"
    );
    assert_eq!(study.subjects(), before);
}

#[test]
fn who_may_not_import_is_told_once() {
    let study = Study::start();
    let token = study.client("monitor").token().to_owned();
    fs::write(study.path("token"), token).unwrap();
    let output = study.import(ROWS, &[]);
    let (out, problem) = said(&output);
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(
        problem.contains("403") && problem.contains("run the same command again"),
        "{problem}"
    );
    fs::write(study.path("token"), "not a token").unwrap();
    let output = study.import(ROWS, &[]);
    assert!(
        said(&output).1.contains("holds no token"),
        "{:?}",
        said(&output)
    );
    fs::write(study.path("token"), "a.b.c").unwrap();
    let output = study.import(ROWS, &[]);
    assert!(said(&output).1.contains("401"), "{:?}", said(&output));
}

#[test]
fn a_reset_account_has_a_new_password_and_no_sessions() {
    let study = Study::start();
    let accounts = study.demo["accounts"].as_array().unwrap();
    let monitor = accounts
        .iter()
        .find(|account| account["role"] == "monitor")
        .unwrap();
    let (username, old) = (monitor["username"].as_str().unwrap(), &monitor["password"]);
    let session = study.client("monitor");
    let data = study.path("data");
    let output = run(&[
        "account",
        "reset",
        username,
        "--data",
        data.to_str().unwrap(),
    ]);
    let (out, problem) = said(&output);
    assert_eq!(output.status.code(), Some(0), "{problem}");
    let password = out.trim().rsplit(' ').next().unwrap();
    let anybody = Client::of(&study.process);
    let body = json!({"username": username, "password": old});
    assert_eq!(anybody.post("/api/v1/identity/login", &body).0, 401);
    assert_eq!(
        anybody
            .login(username, password)
            .get("/api/v1/identity/me")
            .0,
        200
    );
    assert_eq!(session.get("/api/v1/identity/me").0, 401);
    let nobody = run(&[
        "account",
        "reset",
        "nobody",
        "--data",
        data.to_str().unwrap(),
    ]);
    assert_eq!(nobody.status.code(), Some(1));
}
