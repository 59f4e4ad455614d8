//! What those need that start, watch and stop the command: service managers, container engines,
//! and whoever hands out secrets.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    path::Path,
    time::Duration,
};

use serde_json::json;

use crate::platform::{Client, Process, cohort, folder, run, said, up};

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_service_manager_is_told_when_it_is_ready_and_when_it_stops() {
    let folder = folder();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(90)))
        .unwrap();
    let heard = || {
        let mut state = [0; 64];
        let length = socket.recv(&mut state).unwrap();
        String::from_utf8(state[..length].to_vec()).unwrap()
    };
    let mut command = cohort(&["up", "--data"]);
    command
        .arg(folder.path().join("data"))
        .env("NOTIFY_SOCKET", &path);
    for flag in ["--listen", "--progress", "--admin"] {
        command.args([flag, "127.0.0.1:0"]);
    }
    let process = Process::start(command, folder.path().join("log"));
    assert_eq!(heard(), "READY=1");
    process.stop();
    assert_eq!(heard(), "STOPPING=1");
    // A manager that is not there is no reason not to serve.
    let mut command = cohort(&["up", "--data"]);
    command
        .arg(folder.path().join("data"))
        .env("NOTIFY_SOCKET", "/nowhere");
    for flag in ["--listen", "--progress", "--admin"] {
        command.args([flag, "127.0.0.1:0"]);
    }
    Process::start(command, folder.path().join("log")).stop();
}

#[test]
fn the_first_administrator_gets_the_password_of_a_file() {
    let folder = folder();
    let (data, file) = (folder.path().join("data"), folder.path().join("password"));
    let flag = ["--administrator-password", file.to_str().unwrap()];
    let refused = |problem: &str| {
        let free = [
            "--listen",
            "127.0.0.1:0",
            "--progress",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
        ];
        let mut command = cohort(&["up", "--data", data.to_str().unwrap()]);
        let output = command.args(flag).args(free).output().unwrap();
        let (out, told) = said(&output);
        assert_eq!(output.status.code(), Some(1));
        assert!(told.contains(problem), "{told}");
        assert!(!out.contains("ready"), "{out}");
        told
    };
    refused("password: No such file");
    fs::write(&file, "copper-heron-41-lantern\n").unwrap();
    set_mode(&file, 0o644);
    refused("others may read it");
    set_mode(&file, 0o400);
    fs::write(&file, "tooshort\n").unwrap();
    let told = refused("12 to 128 characters");
    assert!(!told.contains("tooshort"), "the password was shown");
    fs::write(&file, "copper-heron-41-lantern\n").unwrap();

    let first = up(&data, &flag);
    assert_eq!(first.line("administrator"), Some("admin"));
    Client::of(&first).login("admin", "copper-heron-41-lantern");
    assert!(
        !first.log().contains("copper-heron"),
        "the password was logged"
    );
    first.stop();
    // It is not needed again.
    fs::remove_file(&file).unwrap();
    let second = up(&data, &flag);
    assert_eq!(second.line("administrator"), None);
    Client::of(&second).login("admin", "copper-heron-41-lantern");
}

#[test]
fn keys_are_made_beforehand_and_kept() {
    let folder = folder();
    let keys = folder.path().join("keys");
    let make = || {
        let output = run(&["keys", "--out", keys.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0), "{:?}", said(&output));
        let read = |name: &str| fs::read(keys.join(name)).unwrap();
        [
            "signing-0001.pem",
            "identity.keyring",
            "patient.keys",
            "jwks.json",
        ]
        .map(read)
    };
    let made = make();
    for file in fs::read_dir(&keys).unwrap() {
        let path = file.unwrap().path();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    assert_eq!(make(), made, "made twice");
    // A platform takes them as they are, also from where it cannot write.
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    set_mode(&data, 0o700);
    fs::rename(&keys, data.join("keys")).unwrap();
    set_mode(&data.join("keys"), 0o500);
    let process = up(&data, &[]);
    let published = Client::of(&process).get("/api/v1/identity/keys").1;
    let kept: serde_json::Value = serde_json::from_slice(&made[3]).unwrap();
    assert_eq!(published, kept);
}

#[test]
fn a_configuration_is_checked_without_a_start() {
    let folder = folder();
    let file = folder.path().join("progress.yaml");
    let check = |text: &str| {
        fs::write(&file, text).unwrap();
        let output = run(&[
            "serve",
            "progress",
            "--config",
            file.to_str().unwrap(),
            "--check",
        ]);
        (output.status.code().unwrap(), said(&output).1)
    };
    let clients = "clients: { trial: { endpoints: [\"trial:9102\"], plaintext: allowed } }\n";
    let door = |more: &str| format!("rest: {{ listen: \"203.0.113.1:1\"{more} }}\n{clients}");
    for sound in [
        ", plaintext: allowed",
        ", tls: { certFile: no.pem, keyFile: no.key }",
    ] {
        let opened = check(&door(sound));
        assert_eq!(opened, (0, String::new()), "nothing was to be opened");
    }
    let (code, told) = check(&door(""));
    let expected = "203.0.113.1:1 is not loopback, and plaintext may be read by others there";
    assert!(code == 1 && told.contains(expected), "{told}");
    assert!(told.contains("progress.yaml: rest.listen"), "{told}");
    let (code, told) = check("clients: { trial: { endpoint: [\"trial:9102\"] } }\n");
    assert!(
        code == 1 && told.contains("nearest valid key is `endpoints`"),
        "{told}"
    );
    let (code, told) = check("clients: {}\n");
    assert!(
        code == 1 && told.contains("clients.trial is missing"),
        "{told}"
    );
    let trial = "endpoints: [\"127.0.0.1:9102\"]";
    let timeouts = format!("clients: {{ trial: {{ {trial}, timeouts: {{ getProgres: 5s }} }} }}\n");
    let (code, told) = check(&timeouts);
    let expected = "progress.yaml: clients.trial: timeouts: the contract has no method `getProgres`; the nearest is `GetProgress`";
    assert!(code == 1 && told.contains(expected), "{told}");
    // The same refuses a start.
    let started = run(&["serve", "progress", "--config", file.to_str().unwrap()]);
    assert_eq!(started.status.code(), Some(1));
    assert!(said(&started).1.contains(expected), "{}", said(&started).1);
    assert_eq!(run(&["up", "--check"]).status.code(), Some(0));
    assert_eq!(
        run(&["up", "--check", "--listen", "nowhere"]).status.code(),
        Some(2)
    );
}

#[test]
fn health_is_one_line_and_takes_an_address() {
    let folder = folder();
    let process = up(&folder.path().join("data"), &[]);
    let admin = process
        .line("admin")
        .unwrap()
        .strip_prefix("http://")
        .unwrap();
    let output = run(&["health", "--address", admin]);
    let (line, _) = said(&output);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(line.lines().count(), 1, "{line}");
    let report: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(report["status"], json!("ready"));
}

#[test]
fn plaintext_beyond_this_machine_is_asked_for() {
    let folder = folder();
    let data = folder.path().join("data");
    let everywhere = [
        "--listen",
        "0.0.0.0:0",
        "--progress",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ];
    let mut command = cohort(&["up", "--data", data.to_str().unwrap()]);
    let output = command.args(everywhere).output().unwrap();
    let (_, told) = said(&output);
    assert_eq!(output.status.code(), Some(1));
    for flag in ["--listen 0.0.0.0:0", "--tls-cert", "--plaintext"] {
        assert!(told.contains(flag), "{flag} is not named: {told}");
    }
    let mut command = cohort(&["up", "--data", data.to_str().unwrap(), "--plaintext"]);
    command.args(everywhere);
    Process::start(command, folder.path().join("log")).stop();
    // A certificate stands in its place; half of one is a wrong call.
    let half = run(&["up", "--tls-cert", "service.crt"]);
    assert_eq!(half.status.code(), Some(2));
    let both = run(&["up", "--plaintext", "--tls-cert", "a", "--tls-key", "b"]);
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn it_speaks_tls_with_a_certificate() {
    let folder = folder();
    let (cert, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(&cert, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    set_mode(&key, 0o600);
    let mut command = cohort(&["up", "--data"]);
    command.arg(folder.path().join("data"));
    command
        .arg("--tls-cert")
        .arg(&cert)
        .arg("--tls-key")
        .arg(&key);
    command.args([
        "--listen",
        "0.0.0.0:0",
        "--progress",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
    ]);
    let process = Process::start(command, folder.path().join("log"));
    let gateway = process.line("gateway").unwrap();
    let port = gateway
        .strip_prefix("https://")
        .unwrap()
        .rsplit(':')
        .next()
        .unwrap();
    let trusted = ureq::tls::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let tls = ureq::tls::TlsConfig::builder()
        .root_certs(ureq::tls::RootCerts::new_with_certs(&[trusted]))
        .unversioned_rustls_crypto_provider(std::sync::Arc::new(provider))
        .build();
    let agent = ureq::Agent::config_builder()
        .proxy(None)
        .tls_config(tls)
        .build()
        .new_agent();
    let mut answer = agent
        .get(format!("https://localhost:{port}/openapi.json"))
        .call()
        .unwrap();
    assert!(
        answer
            .body_mut()
            .read_to_string()
            .unwrap()
            .contains("/api/v1/epro/response")
    );
    process.stop();
}
