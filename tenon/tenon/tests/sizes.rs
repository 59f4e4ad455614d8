//! How large requests may be is changed while a process runs, and who fills the admin server with
//! half-sent heads keeps no probe out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tenon::{
    App, Context, Json, Process, Request, Result, Running, Runtime, Service,
    config::{AdminConfig, RestConfig, RpcConfig},
    rpc::Method,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

static SAY: Method = Method::new("/test.Echo/Say");

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    rest: RestConfig,
    #[serde(default)]
    rpc: RpcConfig,
}

fn file(rest: &str) -> String {
    format!("rest: {{listen: '127.0.0.1:0'{rest}}}\nrpc: {{listen: '127.0.0.1:0'}}\n")
}

async fn echo(_: Context, req: Request) -> Result<Json> {
    req.json()
}

/// A process that follows the file that it was started with.
async fn start(text: &str) -> (Running, Runtime) {
    let runtime = Runtime::default();
    let path = "etc/echo.yaml".as_ref();
    let config: Config = tenon::config::parse(text, path).unwrap();
    let strict = move |text: &str| tenon::config::parse::<Config>(text, path).map(drop);
    runtime.reload.begin(text, path, strict).unwrap();
    let app = App::new("echo");
    app.group("").post("/echo", echo);
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let open = app.service(config.rest).open(&runtime).unwrap();
    let said = tenon::rpc::Service::builder("test.Echo", ());
    let said = said.unary(&SAY, |_, _, note: String| async move { Ok(note) });
    let called = Service::new("called").rpc(config.rpc, said.build());
    let process = open.serve(Process::new(runtime.clone())).unwrap();
    let process = called.open(&runtime).unwrap().serve(process).unwrap();
    let admin = AdminConfig {
        listen: any,
        ..AdminConfig::default()
    };
    (process.admin(admin).start().await.unwrap(), runtime)
}

async fn send(to: SocketAddr, request: &str) -> String {
    let mut socket = TcpStream::connect(to).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn post(to: SocketAddr, target: &str, line: &str, body: &str) -> (u16, String) {
    let length = body.len();
    let request = format!(
        "POST {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\n{line}content-length: {length}\r\n\r\n{body}"
    );
    let answer = send(to, &request).await;
    (answer[9..12].parse().unwrap(), answer)
}

#[tokio::test]
async fn sizes_change_while_the_process_runs_and_the_table_shows_them() {
    let (running, runtime) = start(&file("")).await;
    let door = running.address("echo.rest").unwrap();
    let target = format!("/echo?{}", "q".repeat(200));
    let line = format!("x: {}\r\n", "a".repeat(2000));
    let (nested, long) = ("[[[[]]]]", format!("\"{}\"", "a".repeat(100)));
    let statuses = || async {
        [
            post(door, &target, "", "[]").await.0,
            post(door, "/echo", &line, "[]").await.0,
            post(door, "/echo", "", nested).await.0,
            post(door, "/echo", "", &long).await.0,
        ]
    };
    assert_eq!(statuses().await, [200, 200, 200, 200]);
    let smaller = ", maxUriBytes: 100, maxHeadBytes: 1500, maxJsonDepth: 3, maxBytes: 50";
    let taken = runtime.reload.take(&file(smaller)).unwrap();
    assert_eq!(taken.applied.len(), 4, "{taken:?}");
    assert!(taken.needs_restart.is_empty(), "{taken:?}");
    assert_eq!(statuses().await, [414, 431, 400, 413]);
    let (_, problem) = post(door, "/echo", "", nested).await;
    assert!(problem.contains("at most 3 levels of nesting"), "{problem}");

    let refused = runtime
        .reload
        .take(&file(", maxUriBytes: 2000, maxHeadBytes: 1500"));
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("maxUriBytes is 2000"), "{refused}");
    assert_eq!(statuses().await, [414, 431, 400, 413]);

    let admin = running.address("admin").unwrap();
    let table = send(
        admin,
        "GET /routes HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    );
    let table = table.await;
    let text = table.split_once("\r\n\r\n").unwrap().1;
    let rows: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("{table}"));
    let rows = rows.as_array().unwrap();
    let row = |path| rows.iter().find(|row| row["path"] == path).unwrap();
    let layers = row("/echo")["layers"].as_array().unwrap();
    assert_eq!(layers[0]["name"], "head-limit");
    assert_eq!(
        layers[0]["settings"],
        "at most 1500 bytes, of them 100 of path and query"
    );
    let body = layers.iter().find(|layer| layer["name"] == "body-limit");
    assert_eq!(
        body.unwrap()["settings"],
        "at most 50 bytes, JSON of at most 3 levels"
    );
    assert_eq!(row("/echo")["maxBytes"], 50);
    assert_eq!(row("/test.Echo/Say")["maxHeadBytes"], 32 << 10);
}

#[tokio::test]
async fn half_sent_heads_keep_no_probe_out_of_the_admin_server() {
    let (running, _) = start(&file("")).await;
    let admin = running.address("admin").unwrap();
    let probe = "GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let filled_and_asked = async {
        let mut half = Vec::new();
        // As many as it holds at once.
        for _ in 0..256 {
            let mut socket = TcpStream::connect(admin).await.unwrap();
            let begun = socket.write_all(b"GET /healthz HTTP/1.1\r\nhos");
            begun.await.unwrap();
            half.push(socket);
        }
        for _ in 0..3 {
            let answered = send(admin, probe).await;
            assert!(answered.starts_with("HTTP/1.1 200"), "{answered}");
        }
        half
    };
    // A head has 5 s there: it is not their end that lets the probes in.
    let half = tokio::time::timeout(Duration::from_secs(4), filled_and_asked).await;
    let mut half = half.unwrap();
    // Who came last is inside still, and who came first is not.
    let mut last = half.pop().unwrap();
    last.write_all(b"t: a\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    last.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut first = half.remove(0);
    let closed = first.read(&mut [0]).await;
    assert!(closed.is_err() || closed.unwrap() == 0);
}
