//! A service without a contract, served as a process: its answers, its problems and its end.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{net::SocketAddr, time::Duration};

use serde_json::json;
use tenon::{
    App, Context, Error, Json, Process, Request, Result, Runtime, Service,
    config::{AdminConfig, RestConfig, RpcConfig},
    rpc::{Criticality, Method},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

async fn greet(_: Context, req: Request) -> Result<Json> {
    Ok(json!({ "hello": req.param("name")? }))
}

async fn echo(_: Context, req: Request) -> Result<Json> {
    req.json()
}

async fn burst(_: Context, _: Request) -> Result<Json> {
    panic!("a fault of the handler");
}

async fn start() -> tenon::Running {
    let app = App::new("hello");
    app.group("/api/v1")
        .get("/hello/:name", greet)
        .post("/echo", echo)
        .get("/burst", burst);
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let runtime = Runtime::default();
    let service = app.service(RestConfig {
        listen: any,
        ..RestConfig::default()
    });
    let open = service.open(&runtime).unwrap();
    let admin = AdminConfig {
        listen: any,
        ..AdminConfig::default()
    };
    open.serve(Process::new(runtime))
        .unwrap()
        .admin(admin)
        .start()
        .await
        .unwrap()
}

async fn send(to: SocketAddr, request: &str) -> String {
    let mut socket = TcpStream::connect(to).await.unwrap();
    socket
        .write_all(request.replace('\n', "\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn get(to: SocketAddr, path: &str) -> String {
    send(
        to,
        &format!("GET {path} HTTP/1.1\nhost: localhost\nconnection: close\n\n"),
    )
    .await
}

#[tokio::test]
async fn routes_answer_and_faults_are_problem_documents() {
    let running = start().await;
    let rest = running.address("hello.rest").unwrap();
    let answer = get(rest, "/api/v1/hello/li").await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"{"hello":"li"}"#),
        "{answer}"
    );
    let missing = get(rest, "/api/v1/nowhere").await;
    assert!(
        missing.starts_with("HTTP/1.1 404") && missing.contains("ROUTE_NOT_FOUND"),
        "{missing}"
    );
    let panicked = get(rest, "/api/v1/burst").await;
    assert!(
        panicked.starts_with("HTTP/1.1 500") && !panicked.contains("fault of"),
        "{panicked}"
    );
    let body = "POST /api/v1/echo HTTP/1.1\nhost: localhost\nconnection: close\n\
                content-type: application/json\ncontent-length: 2\n\n{}";
    assert!(send(rest, body).await.starts_with("HTTP/1.1 200"));
    let twice = body.replace("2\n\n{}", "13\n\n{\"a\":1,\"a\":2}");
    let twice = send(rest, &twice).await;
    assert!(
        twice.starts_with("HTTP/1.1 400") && twice.contains("duplicate"),
        "{twice}"
    );
    let broken = send(rest, &body.replace("{}", "{[")).await;
    assert!(
        broken.starts_with("HTTP/1.1 400") && broken.contains("BODY_MALFORMED"),
        "{broken}"
    );
}

#[tokio::test]
async fn readiness_flips_and_the_process_ends_when_told() {
    let running = start().await;
    let admin = running.address("admin").unwrap();
    assert!(get(admin, "/readyz").await.starts_with("HTTP/1.1 200"));
    assert!(get(admin, "/metrics").await.contains("http_server"));
    let table = get(admin, "/routes").await;
    assert!(table.contains("/api/v1/hello/:name"), "{table}");
    running.life().drain();
    tokio::time::timeout(Duration::from_secs(5), running.wait())
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn methods_of_the_grpc_door_stand_in_the_table_of_routes() {
    static SUBMIT: Method = Method::new("/test.Notes/submit")
        .idempotent()
        .criticality(Criticality::Critical);
    let notes = tenon::rpc::Service::builder("test.Notes", ())
        .unary(&SUBMIT, |_, _, _: ()| async { Ok(()) })
        .build();
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let limits = "rateLimits: [{name: all, by: route, requests: 9}, {name: each, by: principal, requests: 5}]";
    let rpc = RpcConfig {
        listen: any,
        timeout: Duration::from_secs(7),
        ..tenon_core::config::parse(limits, "etc/test.yaml".as_ref()).unwrap()
    };
    let admin = AdminConfig {
        listen: any,
        ..AdminConfig::default()
    };
    let runtime = Runtime::default();
    let open = Service::new("notes")
        .rpc(rpc, notes)
        .open(&runtime)
        .unwrap();
    let process = open.serve(Process::new(runtime)).unwrap().admin(admin);
    let running = process.start().await.unwrap();
    let answer = get(running.address("admin").unwrap(), "/routes").await;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let table: serde_json::Value = serde_json::from_str(body).unwrap();
    let row = |path: &str| {
        let rows = table.as_array().unwrap().iter();
        rows.clone()
            .find(|row| row["path"] == path)
            .unwrap()
            .clone()
    };
    let expected = json!({
        "service": "notes", "method": "gRPC", "path": "/test.Notes/submit",
        "criticality": "critical", "idempotent": true, "streams": false,
        "timeoutMs": 7000, "guarded": true, "maxBytes": 4 << 20, "maxHeadBytes": 32 << 10,
    });
    let mut submit = row("/test.Notes/submit");
    let layers = submit.as_object_mut().unwrap().remove("layers").unwrap();
    assert_eq!(submit, expected);
    let failures = "failures: UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE, DATA_LOSS";
    let expected = [
        ("head-limit", "at most 32768 bytes"),
        ("trace", ""),
        ("access-log", ""),
        ("metrics", ""),
        ("deadline", "7s, or what its caller gives it"),
        ("rate-limit", "all by route 9/1s burst 9"),
        ("in-flight", "at most 10000"),
        ("shedding", "critical, CPU threshold 900 permille"),
        ("recover", ""),
        ("rate-limit", "each by principal 5/1s burst 5"),
        ("breaker", failures),
        ("message-limit", "at most 4194304 bytes each"),
    ];
    assert_eq!(shown(&layers), expected);
    let health = row("/grpc.health.v1.Health/Check");
    assert_eq!(health["guarded"], false);
    let layers = shown(&health["layers"]);
    assert!(
        layers.iter().all(|(name, _)| *name != "breaker"),
        "{layers:?}"
    );
}

/// The names and settings of layers.
fn shown(layers: &serde_json::Value) -> Vec<(&str, &str)> {
    let layers = layers.as_array().unwrap().iter();
    let shown = layers.map(|layer| {
        let settings = layer
            .get("settings")
            .map_or("", |text| text.as_str().unwrap());
        (layer["name"].as_str().unwrap(), settings)
    });
    shown.collect()
}

#[tokio::test]
async fn background_work_that_fails_ends_the_process() {
    let runtime = Runtime::default();
    let broken = std::future::ready(Err(Error::internal("keep the lease", "the lease is lost")));
    let running = Process::new(runtime)
        .background("lease", broken)
        .start()
        .await
        .unwrap();
    let error = tokio::time::timeout(Duration::from_secs(5), running.wait())
        .await
        .unwrap();
    assert!(
        error
            .unwrap_err()
            .cause_chain()
            .unwrap()
            .contains("lease is lost")
    );
}

#[tokio::test]
async fn background_work_that_panics_ends_the_process_without_telling_its_payload() {
    let running = Process::new(Runtime::default())
        .background("lease", async { panic!("the name of a patient") })
        .start()
        .await
        .unwrap();
    let outcome = tokio::time::timeout(Duration::from_secs(5), running.wait())
        .await
        .unwrap();
    let cause = outcome.unwrap_err().cause_chain().unwrap();
    assert!(
        cause.contains("a panic") && !cause.contains("patient"),
        "{cause}"
    );
}

#[tokio::test]
async fn a_busy_port_names_the_key_to_change() {
    let running = start().await;
    let taken = running.address("hello.rest").unwrap();
    let app = App::new("second").service(RestConfig {
        listen: taken,
        ..RestConfig::default()
    });
    let runtime = Runtime::default();
    let process = app
        .open(&runtime)
        .unwrap()
        .serve(Process::new(runtime))
        .unwrap();
    let problem = process.start().await.err().unwrap().to_string();
    assert!(
        problem.contains("second: rest.listen") && problem.contains("another"),
        "{problem}"
    );
}
