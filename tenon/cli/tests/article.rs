//! The article's two contracts, verbatim, become a service that compiles without a warning; with
//! its logic filled in it answers over REST and over gRPC, and refuses three kinds of tokens.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime},
};

use tenon::{
    Context, Principal,
    auth::Signer,
    config::ClientConfig,
    rpc::{Channel, Method, Metrics, prost},
};

/// `message GetPatientsByTrialReq` of the article, as another team would write it.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(prost_path = "tenon::rpc::prost")]
struct GetPatientsByTrialReq {
    #[prost(string, tag = "1")]
    trial_id: String,
}

/// `message PatientInfo` of the article.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(prost_path = "tenon::rpc::prost")]
struct PatientInfo {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(int32, tag = "3")]
    status: i32,
}

/// `message GetPatientsByTrialResp` of the article.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(prost_path = "tenon::rpc::prost")]
struct GetPatientsByTrialResp {
    #[prost(message, repeated, tag = "1")]
    patients: Vec<PatientInfo>,
}

static GET_PATIENTS: Method = Method::new("/patient.PatientService/getPatientsByTrial");

#[test]
fn the_articles_service_answers_over_both_doors() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("article");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    generate(&dir);
    cargo(&dir, "check");
    fill_in(&dir);
    cargo(&dir, "build");
    let signer = Signer::open(&dir.join("keys")).unwrap();
    signer.write_jwks(&dir.join("keys.json")).unwrap();
    let service = Service::start(&dir);
    let hour = Duration::from_secs(3600);
    let valid = token(&signer, SystemTime::now() + hour);
    let expired = token(&signer, SystemTime::now() - hour);
    three_refusals(&service, &expired);
    let answer = service.get("/api/v1/patient/P001", &format!("Bearer {valid}"), "en");
    let patient = r#"{"patient":{"id":"P001","name":"张三","trialId":"T001","status":1}}"#;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with(patient),
        "{answer}"
    );
    let missing = service.get("/api/v1/patient/P404", &format!("Bearer {valid}"), "zh-CN");
    assert!(
        missing.starts_with("HTTP/1.1 404") && missing.contains("患者不存在"),
        "{missing}"
    );
    patients_over_rpc(&service, &valid);
}

fn generate(dir: &Path) {
    fs::write(
        dir.join("patient.api"),
        include_str!("contracts/patient.api"),
    )
    .unwrap();
    fs::write(
        dir.join("patient.proto"),
        include_str!("contracts/patient.proto"),
    )
    .unwrap();
    for arguments in [
        ["api", "rust", "--api", "patient.api"],
        ["rpc", "rust", "--proto", "patient.proto"],
    ] {
        let tenon = Command::new(env!("CARGO_BIN_EXE_tenon"))
            .args(arguments)
            .current_dir(dir)
            .output();
        let tenon = tenon.unwrap();
        assert!(
            tenon.status.success(),
            "{}",
            String::from_utf8_lossy(&tenon.stderr)
        );
    }
    // The same versions and profile as the workspace, so that its build serves for this one.
    let root = checkout();
    fs::copy(root.join("Cargo.lock"), dir.join("Cargo.lock")).unwrap();
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let profile = &manifest
        [manifest.find("[profile.dev]").unwrap()..manifest.find("[profile.release]").unwrap()];
    let mut own = fs::OpenOptions::new()
        .append(true)
        .open(dir.join("Cargo.toml"))
        .unwrap();
    write!(own, "\n{profile}").unwrap();
}

fn cargo(dir: &Path, command: &str) {
    let target = checkout().join("target");
    let output = Command::new(env!("CARGO"))
        .args([
            command,
            "--workspace",
            "--offline",
            "--quiet",
            "--target-dir",
        ])
        .arg(target)
        .current_dir(dir)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && !said.contains("warning"),
        "cargo {command}: {said}"
    );
}

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// What a developer writes: the logic of two operations, and the layer that asks for a token.
fn fill_in(dir: &Path) {
    let logic = dir.join("src/logic");
    fs::write(
        logic.join("get_patient.rs"),
        include_str!("article/get_patient.rs"),
    )
    .unwrap();
    let by_trial = include_str!("article/get_patients_by_trial.rs");
    fs::write(logic.join("get_patients_by_trial.rs"), by_trial).unwrap();
    let library = dir.join("src/lib.rs");
    let text = fs::read_to_string(&library).unwrap();
    let built = ".auth(verifier);";
    assert!(text.contains(built), "{text}");
    let guarded = ".auth(verifier.clone());\n    \
                   let service = match verifier {\n        \
                   Some(verifier) => service.layer(tenon::require_token(verifier)),\n        \
                   None => service,\n    };";
    fs::write(&library, text.replace(built, guarded)).unwrap();
    let any = "listen: 127.0.0.1:0";
    let config = format!(
        "name: patient\nrest:\n  {any}\nrpc:\n  {any}\nadmin:\n  {any}\n\
         auth:\n  subjectClaim: userId\n  keys:\n    - file: keys.json\n"
    );
    fs::write(dir.join("etc/patient.yaml"), config).unwrap();
}

fn token(signer: &Signer, expires: SystemTime) -> String {
    let expires = expires
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let claims = serde_json::json!({ "userId": "doctor-7", "exp": expires });
    signer.sign(&claims).unwrap()
}

/// The three answers of the article's middleware.
fn three_refusals(service: &Service, expired: &str) {
    for (header, language, code, text) in [
        ("", "zh-CN", "TOKEN_MISSING", "请求未携带 token"),
        ("Token abc", "zh-CN", "TOKEN_MALFORMED", "token 格式错误"),
        ("Bearer abc.def.ghi", "zh-CN", "TOKEN_INVALID", "token 无效"),
        (
            &format!("Bearer {expired}"),
            "zh-CN",
            "TOKEN_INVALID",
            "token 无效",
        ),
        (
            &format!("Bearer {expired}"),
            "en",
            "TOKEN_INVALID",
            "the token is not valid",
        ),
    ] {
        let answer = service.get("/api/v1/patient/P001", header, language);
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert!(answer.contains("www-authenticate: Bearer"), "{answer}");
        assert!(answer.contains(code) && answer.contains(text), "{answer}");
    }
}

fn patients_over_rpc(service: &Service, token: &str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let place = ClientConfig {
            endpoints: vec![service.rpc.to_string()],
            timeout: Duration::from_secs(2),
            ..ClientConfig::default()
        };
        let channel = Channel::new("patient", &place, &Metrics::new()).unwrap();
        let caller = Principal::new("doctor-7", serde_json::Map::new()).with_token(token);
        let cx = Context::background().with_principal(caller.into());
        let req = GetPatientsByTrialReq {
            trial_id: "T001".to_owned(),
        };
        let resp: GetPatientsByTrialResp = channel.unary(&cx, &GET_PATIENTS, req).await.unwrap();
        let expected = PatientInfo {
            id: "P001".to_owned(),
            name: "张三".to_owned(),
            status: 1,
        };
        assert_eq!(resp.patients, [expected]);
    });
}

/// The generated program, running.
struct Service {
    process: Child,
    rest: SocketAddr,
    rpc: SocketAddr,
}

impl Service {
    fn start(dir: &Path) -> Self {
        let program = checkout().join("target/debug/patient");
        let mut process = Command::new(program)
            .current_dir(dir)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let (mut rest, mut rpc) = (None, None);
        let mut said = String::new();
        while rest.is_none() || rpc.is_none() {
            let Some(line) = log.next() else {
                panic!("the service ended before it listened: {said}");
            };
            let line = line.unwrap();
            let entry: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            let address = entry["address"].as_str().and_then(|text| text.parse().ok());
            match entry["door"].as_str() {
                Some("patient.rest") => rest = address,
                Some("patient.rpc") => rpc = address,
                _ => {}
            }
            said.push_str(&line);
        }
        // The rest of the log is read away, so that the service never waits for its reader.
        std::thread::spawn(move || log.for_each(drop));
        Self {
            process,
            rest: rest.unwrap(),
            rpc: rpc.unwrap(),
        }
    }

    fn get(&self, path: &str, authorization: &str, language: &str) -> String {
        let mut socket = TcpStream::connect(self.rest).unwrap();
        let token = if authorization.is_empty() {
            String::new()
        } else {
            format!("authorization: {authorization}\r\n")
        };
        write!(
            socket,
            "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
             accept-language: {language}\r\n{token}\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
