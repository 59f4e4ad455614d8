//! Manifests, compose file and Dockerfile: `deploy/check` holds them against the schemas of
//! Kubernetes, against each other and against the program; and it finds what is wrong.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::said;

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A Python with the two packages: the system's, or one in a folder of the build, made once.
fn python() -> Option<&'static PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("manifests");
        let own = folder.join("bin/python");
        let has_them = |python: &Path| {
            ends_well(Command::new(python).args(["-c", "import yaml, kubernetes_validate"]))
        };
        let known = [PathBuf::from("python3"), own.clone()];
        if let Some(python) = known.into_iter().find(|python| has_them(python)) {
            return Some(python);
        }
        let made = ends_well(Command::new("python3").args(["-m", "venv"]).arg(&folder))
            && ends_well(
                Command::new(&own)
                    .args([
                        "-m",
                        "pip",
                        "install",
                        "--quiet",
                        "--timeout=5",
                        "--retries=1",
                    ])
                    .args(["pyyaml", "kubernetes-validate"]),
            );
        (made && has_them(&own)).then_some(own)
    });
    if found.is_none() {
        println!(
            "skipped: no Python with pyyaml and kubernetes-validate, and they could not be installed"
        );
    }
    found.as_ref()
}

/// Whether the command ends well within three minutes.
fn ends_well(command: &mut Command) -> bool {
    let Ok(mut child) = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
        return false;
    };
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(180) {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => std::thread::sleep(Duration::from_millis(50)),
            Err(_) => break,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// Runs the check that stands in this folder `deploy`. Returns whether all holds, and what it said.
fn check(python: &Path, deploy: &Path) -> (bool, String) {
    let output = Command::new(python)
        .arg("-B")
        .arg(deploy.join("check"))
        .arg("--cohort")
        .arg(e2e::cohort())
        .output()
        .unwrap();
    (output.status.success(), said(&output))
}

#[test]
fn what_is_shipped_holds() {
    let Some(python) = python() else { return };
    let (holds, told) = check(python, &Path::new(HERE).join("deploy"));
    assert!(holds, "{told}");
    println!("deploy/check: {}", told.trim());
}

/// A copy of the folder in which something is to be wrong.
fn copy() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let copied = Command::new("cp")
        .arg("-r")
        .args([
            format!("{HERE}/deploy"),
            format!("{HERE}/rust-toolchain.toml"),
        ])
        .arg(folder.path())
        .status();
    assert!(copied.unwrap().success());
    folder
}

/// What is made wrong: the file, what stands there, what comes in its place, and what must be said of it.
/// All at once, because a start of the check costs seconds.
const FAULTS: [(&str, &str, &str, &str); 16] = [
    (
        "kubernetes/gateway.yaml",
        "  revisionHistoryLimit: 5",
        "  revisionHistoryLimits: 5",
        "Deployment gateway: fits its schema",
    ),
    (
        "kubernetes/gateway.yaml",
        "path: /readyz, port: admin }\n            periodSeconds: 1",
        "path: /ready, port: admin }\n            periodSeconds: 1",
        "startupProbe asks /readyz of admin",
    ),
    (
        "kubernetes/trial.yaml",
        "replicas: 1",
        "replicas: 2",
        "Deployment trial: one writer",
    ),
    (
        "kubernetes/trial.yaml",
        "runAsUser: 65532",
        "runAsUser: 0",
        "Deployment trial: it is not root",
    ),
    (
        "kubernetes/patient.yaml",
        "defaultMode: 0400",
        "defaultMode: 0444",
        "is kept from others",
    ),
    (
        "kubernetes/patient.yaml",
        "secretName: cohort-patient-keys",
        "secretName: cohort-patient-key",
        "Secret cohort-patient-key is there",
    ),
    (
        "kubernetes/epro.yaml",
        "terminationGracePeriodSeconds: 45",
        "terminationGracePeriodSeconds: 20",
        "termination grace",
    ),
    (
        "kubernetes/epro.yaml",
        "readOnlyRootFilesystem: true",
        "readOnlyRootFilesystem: false",
        "its root is read-only",
    ),
    (
        "kubernetes/progress.yaml",
        "targetPort: rest",
        "targetPort: web",
        "Service progress",
    ),
    (
        "kubernetes/config/identity.yaml",
        "grace: 25s",
        "graze: 25s",
        "nearest valid key is `grace`",
    ),
    (
        "kubernetes/config/progress.yaml",
        "\"trial:9102\"",
        "\"trail:9102\"",
        "progress calls trail:9102: the service is there",
    ),
    (
        "kubernetes/network-policies.yaml",
        "kubernetes.io/name: progress\n      ports:\n        - { protocol: TCP, port: grpc }",
        "kubernetes.io/name: gateway\n      ports:\n        - { protocol: TCP, port: grpc }",
        "services let in who calls them",
    ),
    (
        "compose.yaml",
        "read_only: true",
        "read_only: false",
        "compose.yaml: cohort: it is not root",
    ),
    ("compose.yaml", "--admin=", "--admn=", "is refused"),
    (
        "Dockerfile",
        "USER 65532:65532",
        "USER root:root",
        "Dockerfile: its user is a number",
    ),
    (
        "Dockerfile",
        "FROM scratch",
        "FROM debian:latest",
        "Dockerfile: the last stage is empty",
    ),
];

#[test]
fn what_is_wrong_is_found() {
    let Some(python) = python() else { return };
    let folder = copy();
    let deploy = folder.path().join("deploy");
    for (file, good, bad, _) in FAULTS {
        let path = deploy.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(good), "{file} has no {good:?} any more");
        fs::write(path, text.replacen(good, bad, 1)).unwrap();
    }
    let (holds, told) = check(python, &deploy);
    assert!(!holds, "{told}");
    for (file, _, bad, expected) in FAULTS {
        assert!(
            told.contains(expected),
            "{bad:?} in {file} was not found: {told}"
        );
    }
}
