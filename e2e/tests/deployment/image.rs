//! The static program: what is in it, and that an empty root is all it needs.

use std::{
    net::UdpSocket,
    path::PathBuf,
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Instant,
};

use serde_json::{Value, json};

use crate::{
    root::{Root, call, text},
    run, said,
};

/// A flame graph of two seconds.
const PROFILE: &str = "/debug/pprof/profile?seconds=2&format=svg";

/// The static program, built once with the profile of this test.
pub(crate) fn program() -> Option<&'static PathBuf> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    BUILT.get_or_init(build).as_ref()
}

fn build() -> Option<PathBuf> {
    let archive = run(Command::new("cc").arg("-print-file-name=libc.a"))?;
    if !std::path::Path::new(said(&archive).trim()).exists() {
        println!("skipped: no libc.a to link with");
        return None;
    }
    // target/<profile>/cohort
    let folder = e2e::cohort().parent().unwrap();
    let profile = folder.file_name().unwrap().to_str().unwrap();
    let began = Instant::now();
    let built = Command::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../deploy/build_static.sh"
    ))
    .arg(profile.replace("debug", "dev"))
    .env("CARGO_TARGET_DIR", folder.parent().unwrap())
    .output()
    .unwrap();
    assert!(built.status.success(), "{}", said(&built));
    let path = PathBuf::from(String::from_utf8(built.stdout).unwrap().trim());
    let megabytes = path.metadata().unwrap().len() >> 20;
    println!(
        "static program: {megabytes} MiB ({profile}), built in {:.0?}",
        began.elapsed()
    );
    assert!(e2e::cohort().exists(), "the usual program was not put back");
    Some(path)
}

#[test]
fn the_program_loads_nothing() {
    let Some(program) = program() else { return };
    let Some(head) = run(Command::new("readelf").arg("-lW").arg(program)) else {
        return;
    };
    let head = said(&head);
    assert!(head.contains("LOAD"), "{head}");
    assert!(
        !head.contains("INTERP"),
        "it asks for an interpreter: {head}"
    );
    let dynamic = said(&run(Command::new("readelf").arg("-dW").arg(program)).unwrap());
    assert!(
        !dynamic.contains("NEEDED"),
        "it asks for libraries: {dynamic}"
    );
    // Static, and still at an address of its own in each process.
    assert!(
        head.contains("DYN (Position-Independent Executable"),
        "{head}"
    );
    assert!(
        !head.contains("RWE"),
        "a segment is writable and executable: {head}"
    );
}

#[test]
fn it_serves_in_an_empty_root_as_a_user_who_may_do_nothing() {
    let Some(program) = program() else { return };
    let Some(root) = Root::new(program) else {
        return;
    };
    assert_eq!(root.names(), ["cohort", "data", "dev"]);
    let began = Instant::now();
    let mut process = root.start();
    let ready = began.elapsed();
    let admin = process.address("admin");
    let health = root.cohort(&["health", "--address", &admin]);
    assert!(health.status.success(), "{}", said(&health));
    assert_eq!(said(&health).lines().count(), 1, "{}", said(&health));

    let demo: Value = serde_json::from_slice(&root.read("data/cohort/demo.json")).unwrap();
    let account = |role: &str| {
        let mut accounts = demo["accounts"].as_array().unwrap().iter();
        accounts
            .find(|account| account["role"] == role)
            .unwrap()
            .clone()
    };
    let (gateway, patient) = (process.address("gateway"), account("patient"));
    let body = json!({"username": patient["username"], "password": patient["password"]});
    let (status, tokens) = call(&gateway, "POST", "/api/v1/identity/login", "", &body);
    assert_eq!(status, 200, "{tokens}");
    let token = tokens["accessToken"].as_str().unwrap();
    let subject = patient["subjectId"]
        .as_str()
        .or(demo["subjectIds"][0].as_str())
        .unwrap();
    let response = e2e::phq9::response(subject, e2e::phq9::MILD);
    let path = "/api/v1/epro/response";
    let (status, receipt) = call(&gateway, "POST", path, token, &response);
    assert_eq!(
        (status, &receipt["scores"][0]["value"]),
        (201, &json!(5)),
        "{receipt}"
    );

    process.terminate();
    let unready = root.cohort(&["health", "--address", &admin]);
    assert_eq!(unready.status.code(), Some(1), "{}", said(&unready));
    let verified = root.cohort(&["audit", "verify", "--data", "/data/cohort"]);
    assert!(verified.status.success(), "{}", said(&verified));

    // What was acknowledged is there after the next start.
    let mut process = root.start();
    let (status, again) = call(&process.address("gateway"), "POST", path, token, &response);
    assert_eq!(
        (status, &again["receiptNo"]),
        (200, &receipt["receiptNo"]),
        "{again}"
    );
    process.terminate();
    assert_eq!(
        root.names(),
        ["cohort", "data", "dev"],
        "something was written beside the data"
    );
    println!(
        "empty root: served, submitted, stopped and started again; first start with its demonstration {ready:.1?}"
    );
}

/// No file of debug information is there: what names functions is the program.
#[test]
fn a_profile_of_it_names_functions() {
    let Some(program) = program() else { return };
    let Some(root) = Root::new(program) else {
        return;
    };
    let mut process = root.start();
    let refused = text(&process.address("admin"), PROFILE);
    assert!(refused.contains("mount /proc"), "{refused}");
    process.terminate();
    if !root.with_proc() {
        return;
    }
    let mut process = root.start();
    let (gateway, admin) = (process.address("gateway"), process.address("admin"));
    let taken = AtomicBool::new(false);
    let (logins, flames) = thread::scope(|scope| {
        let busy = scope.spawn(|| {
            // A password is hashed for each, also of who is not there.
            let body = json!({"username": "nobody", "password": "wrong"});
            let mut logins = 0;
            while !taken.load(Ordering::Relaxed) {
                call(&gateway, "POST", "/api/v1/identity/login", "", &body);
                logins += 1;
            }
            logins
        });
        let flames = text(&admin, PROFILE);
        taken.store(true, Ordering::Relaxed);
        (busy.join().unwrap(), flames)
    });
    process.terminate();
    assert!(flames.contains("argon2"), "{logins} logins: {flames:.2000}");
    println!("empty root: {logins} logins while a profile was taken, which names argon2");
}

#[test]
fn names_are_resolved_by_file_and_by_server() {
    let Some(program) = program() else { return };
    let Some(root) = Root::new(program) else {
        return;
    };
    let mut process = root.start();
    let port = process
        .address("admin")
        .rsplit(':')
        .next()
        .unwrap()
        .to_owned();
    let health = |name: &str| root.cohort(&["health", "--address", &format!("{name}:{port}")]);
    root.write("etc/hosts", "127.0.0.1 admin-by-file\n");
    let by_file = health("admin-by-file");
    assert!(by_file.status.success(), "{}", said(&by_file));

    // As engines do it: resolv.conf names a server, which stands on port 53.
    let Ok(server) = UdpSocket::bind(("127.53.0.53", 53)) else {
        println!("skipped: names by server (127.53.0.53:53 cannot be had)");
        return process.terminate();
    };
    std::thread::spawn(move || answer(&server));
    root.write(
        "etc/resolv.conf",
        "nameserver 127.53.0.53\noptions timeout:2 attempts:2\n",
    );
    let by_server = health("admin.by.server.test");
    assert!(by_server.status.success(), "{}", said(&by_server));
    assert!(
        !health("nobody.test").status.success(),
        "the server answers for one name only"
    );
    process.terminate();
}

/// A name server that knows one name (RFC 1035): its address is 127.0.0.1.
fn answer(server: &UdpSocket) {
    const KNOWN: &[u8] = b"\x05admin\x02by\x06server\x04test\0";
    const A: [u8; 4] = [0, 1, 0, 1];
    let mut query = [0; 512];
    while let Ok((length, peer)) = server.recv_from(&mut query) {
        let name_ends = 12
            + query[12..length]
                .iter()
                .position(|byte| *byte == 0)
                .unwrap()
            + 1;
        let question = &query[12..name_ends + 4];
        let is_known = question.starts_with(KNOWN);
        let is_asked = is_known && question.ends_with(&A);
        let mut reply = query[..2].to_vec();
        // A response, recursion available; 3 is "no such name".
        reply.extend([0x81, if is_known { 0x80 } else { 0x83 }]);
        reply.extend([0, 1, 0, u8::from(is_asked), 0, 0, 0, 0]);
        reply.extend(question);
        if is_asked {
            // The name of the question, A, IN, for a minute, four bytes.
            reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
        }
        let _ = server.send_to(&reply, peer);
    }
}
