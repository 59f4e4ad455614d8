//! The `tenon` command as a user calls it: what it writes, what it leaves alone, what it says.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

const API: &str = include_str!("contracts/patient.api");
const PROTO: &str = include_str!("contracts/patient.proto");

fn tenon(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tenon"))
        .args(arguments)
        .current_dir(dir)
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs the command and expects it to find everything good.
fn good(dir: &Path, arguments: &[&str]) -> String {
    let output = tenon(dir, arguments);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{arguments:?}: {}",
        stderr(&output)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A folder with the contract of the article.
fn article() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("patient.api"), API).unwrap();
    dir
}

fn generated() -> TempDir {
    let dir = article();
    good(
        dir.path(),
        &["api", "rust", "--api", "patient.api", "--dir", "."],
    );
    dir
}

/// Every file below a folder with its text.
fn files(dir: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().display().to_string();
                found.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

#[test]
fn a_contract_becomes_a_project_and_stays_as_it_is() {
    let dir = generated();
    let first = files(dir.path());
    for wanted in [
        "tenon.toml",
        "etc/patient.yaml",
        "src/logic/get_patient.rs",
        "src/main.rs",
    ] {
        assert!(first.contains_key(wanted), "{wanted} is missing");
    }
    assert_eq!(good(dir.path(), &["gen"]), "");
    good(dir.path(), &["gen", "--check"]);
    good(
        dir.path(),
        &["api", "rust", "--api", "patient.api", "--dir", "."],
    );
    assert_eq!(files(dir.path()), first);
}

#[test]
fn a_file_that_a_person_owns_is_never_changed() {
    let dir = generated();
    let machine_owned = |text: &str| {
        text.lines()
            .next()
            .is_some_and(|l| l.contains("@generated"))
    };
    let owned: BTreeMap<String, String> = files(dir.path())
        .into_iter()
        .filter(|(path, text)| !machine_owned(text) && !path.ends_with("openapi.json"))
        .map(|(path, text)| (path, text + "\n# changed by a person\n"))
        .collect();
    assert!(owned.len() > 8, "{:?}", owned.keys());
    for (path, text) in &owned {
        // The contracts and tenon.toml stay readable; everything else may be anything.
        if !path.ends_with(".api") && !path.ends_with(".toml") {
            fs::write(dir.path().join(path), text).unwrap();
        }
    }
    let before = files(dir.path());
    let contract = API
        .replace("get /:patientId", "get /by-id/:patientId")
        .replace(
            "service patient-api {",
            "service patient-api {\n    @handler listPatients\n    get / returns ([]Patient)\n",
        );
    fs::write(dir.path().join("patient.api"), contract).unwrap();
    let said = good(dir.path(), &["gen"]);
    assert!(
        said.contains("created src/logic/list_patients.rs"),
        "{said}"
    );
    let after = files(dir.path());
    for (path, text) in before {
        let changed = after.get(&path) != Some(&text);
        let is_owned_by_person = owned.contains_key(&path) && path != "patient.api";
        assert!(!(changed && is_owned_by_person), "{path} was changed");
    }
}

#[test]
fn drift_is_found_and_nothing_is_written() {
    let dir = generated();
    let contract = API.replace("Name        string", "FullName    string");
    fs::write(dir.path().join("patient.api"), contract).unwrap();
    let before = files(dir.path());
    let output = tenon(dir.path(), &["gen", "--check"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("rest.rs: differs"),
        "{}",
        stderr(&output)
    );
    assert!(stderr(&output).contains("run `tenon gen`"));
    assert_eq!(files(dir.path()), before);
    good(dir.path(), &["gen"]);
    good(dir.path(), &["gen", "--check"]);
}

#[test]
fn a_removed_operation_leaves_an_orphan_that_is_named() {
    let dir = generated();
    let contract = API.replace("@handler getPatient", "@handler readPatient");
    fs::write(dir.path().join("patient.api"), contract).unwrap();
    let said = good(dir.path(), &["gen"]);
    assert!(said.contains("orphan  src/logic/get_patient.rs"), "{said}");
    assert!(dir.path().join("src/logic/get_patient.rs").exists());
}

#[test]
fn both_contracts_live_in_one_folder() {
    let dir = generated();
    fs::write(dir.path().join("patient.proto"), PROTO).unwrap();
    let said = good(
        dir.path(),
        &["rpc", "rust", "--proto", "patient.proto", "--dir", "."],
    );
    assert!(
        said.contains("updated tenon.toml: proto = \"patient.proto\""),
        "{said}"
    );
    assert!(
        said.contains("created src/logic/get_patients_by_trial.rs"),
        "{said}"
    );
    let text = fs::read_to_string(dir.path().join("tenon.toml")).unwrap();
    assert!(
        text.contains("api = \"patient.api\"\nproto = \"patient.proto\""),
        "{text}"
    );
    good(dir.path(), &["gen", "--check"]);
}

#[test]
fn findings_name_the_place_and_write_nothing() {
    let dir = article();
    let broken = API.replace("GetPatientReq)", "GetPatienReq)");
    fs::write(dir.path().join("patient.api"), broken).unwrap();
    for arguments in [
        &["api", "validate", "--api", "patient.api"][..],
        &["api", "rust", "--api", "patient.api", "--dir", "."],
    ] {
        let output = tenon(dir.path(), arguments);
        assert_eq!(output.status.code(), Some(1));
        let text = stderr(&output);
        assert!(
            text.contains("patient.api:") && text.contains("GetPatienReq"),
            "{text}"
        );
    }
    assert_eq!(files(dir.path()).len(), 1);
}

#[test]
fn a_security_key_that_is_not_built_never_opens_a_route() {
    let dir = article();
    let signed = API.replace("group: patient", "group: patient\n    signature: true");
    fs::write(dir.path().join("patient.api"), signed).unwrap();
    let output = tenon(
        dir.path(),
        &["api", "rust", "--api", "patient.api", "--dir", "."],
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("`signature`"),
        "{}",
        stderr(&output)
    );
    assert!(!dir.path().join("src").exists());
}

#[test]
fn wrong_calls_end_with_two_and_failures_with_one() {
    let dir = tempfile::tempdir().unwrap();
    for wrong in [&["api", "rust"][..], &["frobnicate"], &["gen", "--chek"]] {
        assert_eq!(tenon(dir.path(), wrong).status.code(), Some(2), "{wrong:?}");
    }
    for failing in [&["gen"][..], &["api", "validate", "--api", "no.api"]] {
        let output = tenon(dir.path(), failing);
        assert_eq!(output.status.code(), Some(1), "{failing:?}");
        assert!(
            stderr(&output).starts_with("error: there is no"),
            "{}",
            stderr(&output)
        );
    }
    let help = good(dir.path(), &["--help"]);
    assert!(help.starts_with("Services from contracts"), "{help}");
}

#[test]
fn a_persons_file_in_the_place_of_a_generated_one_stops_everything() {
    let dir = article();
    fs::create_dir_all(dir.path().join("src/gen")).unwrap();
    fs::write(dir.path().join("src/gen/rest.rs"), "// my own\n").unwrap();
    let output = tenon(
        dir.path(),
        &["api", "rust", "--api", "patient.api", "--dir", "."],
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("written by a person"),
        "{}",
        stderr(&output)
    );
    assert_eq!(
        fs::read_to_string(dir.path().join("src/gen/rest.rs")).unwrap(),
        "// my own\n"
    );
    assert!(!dir.path().join("src/lib.rs").exists());
}

#[test]
fn new_services_start_with_a_contract() {
    let dir = tempfile::tempdir().unwrap();
    good(dir.path(), &["api", "new", "greeter"]);
    good(dir.path(), &["rpc", "new", "teller"]);
    assert!(dir.path().join("greeter/greeter.api").exists());
    assert!(dir.path().join("teller/src/logic/greet.rs").exists());
    good(&dir.path().join("greeter"), &["gen", "--check"]);
    good(dir.path(), &["gen", "--check", "teller"]);
    let again = tenon(dir.path(), &["api", "new", "greeter"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("not empty"));
    let odd = tenon(dir.path(), &["api", "new", "../up"]);
    assert_eq!(odd.status.code(), Some(1));
}
