//! One service that opens REST and gRPC from its `.proto` alone: `Service::transcode`.

#![cfg(feature = "gateway")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{net::SocketAddr, sync::LazyLock};

use prost::Message;
use serde_json::{Value, json};
use tenon::{
    Context, Process, Running, Runtime, Service,
    config::{AdminConfig, ClientConfig, RestConfig, RpcConfig, TranscodeConfig},
    rest::{Method as RestMethod, Route, Routes},
    rpc::{self, Channel, Method},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const CONTRACT: &str = r#"
syntax = "proto3";
package notes.v1;
import "google/api/annotations.proto";
import "tenon/options.proto";
service NoteService {
  rpc Write(Note) returns (Note) {
    option (google.api.http) = { post: "/v1/{name=notes/*}:write" body: "*" };
    option (tenon.criticality) = CRITICAL;
  }
}
message Note {
  string name = 1;
  string text = 2;
}
"#;

static WRITE: Method = Method::new("/notes.v1.NoteService/Write");
static PING: Route = Route::new(RestMethod::Get, "/ping", "ping");

#[derive(Clone, PartialEq, Message)]
struct Note {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    text: String,
}

/// The contract as a generated crate carries it.
static DESCRIPTORS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("notes.proto"), CONTRACT).unwrap();
    let built_in = concat!(env!("CARGO_MANIFEST_DIR"), "/../idl/src/proto");
    let mut compiler = protox::Compiler::new([folder.path(), built_in.as_ref()]).unwrap();
    let compiled = compiler.include_imports(true).open_file("notes.proto");
    compiled.unwrap().encode_file_descriptor_set()
});

fn notes() -> rpc::Service {
    rpc::Service::builder("notes.v1.NoteService", ())
        .descriptor(&DESCRIPTORS)
        .unary(&WRITE, |_, _, note: Note| async move {
            let text = note.text.to_uppercase();
            Ok(Note { text, ..note })
        })
        .build()
}

fn any() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// The section `rest` of a service, with these keys besides its address.
fn rest(keys: &str) -> RestConfig {
    let text = format!("listen: '127.0.0.1:0'\n{keys}");
    tenon::config::parse(&text, "notes.yaml".as_ref()).unwrap()
}

async fn start(service: Service) -> Running {
    let rpc = RpcConfig {
        listen: any(),
        ..RpcConfig::default()
    };
    let runtime = Runtime::default();
    let open = service.rpc(rpc, notes()).open(&runtime).unwrap();
    let admin = AdminConfig {
        listen: any(),
        ..AdminConfig::default()
    };
    let process = open.serve(Process::new(runtime)).unwrap().admin(admin);
    process.start().await.unwrap()
}

/// One request; its status, and its body as JSON.
async fn ask(to: SocketAddr, request: &str, body: &str) -> (u16, Value) {
    let mut socket = TcpStream::connect(to).await.unwrap();
    let length = body.len();
    let text = format!(
        "{request} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    socket.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let shown = Value::String(body.to_owned());
    (status, serde_json::from_str(body).unwrap_or(shown))
}

async fn write(running: &Running) -> (u16, Value) {
    let door = running.address("notes.rest").unwrap();
    ask(door, "POST /v1/notes/7:write", r#"{"text": "milk"}"#).await
}

#[tokio::test]
async fn one_contract_opens_both_doors() {
    let service = Service::new("notes").transcode(rest(""), TranscodeConfig::default());
    let running = start(service).await;
    let expected = json!({"name": "notes/7", "text": "MILK"});
    assert_eq!(write(&running).await, (200, expected));
    let door = running.address("notes.rpc").unwrap();
    let config = ClientConfig::to([door.to_string()]);
    let channel = Channel::new("notes", &config, &tenon::telemetry::Metrics::new()).unwrap();
    let (cx, note) = (
        Context::background(),
        Note {
            name: "notes/8".to_owned(),
            text: "bread".to_owned(),
        },
    );
    let answered: Note = channel.unary(&cx, &WRITE, note).await.unwrap();
    assert_eq!(answered.text, "BREAD");

    let rest = running.address("notes.rest").unwrap();
    let (status, problem) = ask(rest, "POST /v1/notes/7:write", r#"{"txt": 1}"#).await;
    assert_eq!((status, &problem["code"]), (400, &json!("REQUEST_INVALID")));
    let (status, problem) = ask(rest, "GET /v1/notes/7:write", "").await;
    assert_eq!(
        (status, &problem["code"]),
        (405, &json!("METHOD_NOT_ALLOWED"))
    );
    let admin = running.address("admin").unwrap();
    let (_, routes) = ask(admin, "GET /routes", "").await;
    let shown = routes.to_string();
    assert!(shown.contains("/v1/{name=notes/*}:write"), "{shown}");
    assert!(shown.contains("/notes.v1.NoteService/Write"), "{shown}");
    let mut rows = routes.as_array().unwrap().iter();
    let row = rows.find(|row| row["path"] == "/v1/{name=notes/*}:write");
    assert_eq!(row.unwrap()["criticality"], "critical");
}

#[tokio::test]
async fn how_deep_json_may_be_nested_holds_for_what_is_transcoded() {
    let config = rest("maxJsonDepth: 1");
    let service = Service::new("notes").transcode(config, TranscodeConfig::default());
    let running = start(service).await;
    assert_eq!(write(&running).await.0, 200);
    let door = running.address("notes.rest").unwrap();
    let (status, problem) = ask(door, "POST /v1/notes/7:write", r#"{"text": ["a"]}"#).await;
    assert_eq!(
        (status, &problem["errors"][0]["rule"]),
        (400, &json!("depth"))
    );
    let expected = &problem["errors"][0]["expected"];
    assert_eq!(expected, "at most 1 levels of nesting");
}

#[tokio::test]
async fn the_section_of_the_door_guards_what_is_transcoded() {
    let limit = "rateLimits: [{name: few, by: route, requests: 1, per: 1h, routes: ['POST /v1/{name=notes/*}:write']}]";
    let service = Service::new("notes").transcode(rest(limit), TranscodeConfig::default());
    let running = start(service).await;
    assert_eq!(write(&running).await.0, 200);
    let (status, problem) = write(&running).await;
    assert_eq!((status, &problem["code"]), (429, &json!("RATE_LIMITED")));
}

#[tokio::test]
async fn beside_a_rest_door_its_routes_come_first() {
    let routes = || {
        let routes = Routes::new(());
        routes
            .route(&PING, |_, _, _req: ()| async { Ok("pong") })
            .build()
    };
    // A limit that names a route is that door's; one that names none holds for all.
    let limits = "rateLimits:\n  - {name: pings, by: route, requests: 1, per: 1h, routes: ['GET /ping']}\n  - {name: all, by: route, requests: 2, per: 1h}";
    let service = Service::new("notes")
        .rest(rest(limits), routes())
        .transcode(rest(limits), TranscodeConfig::default());
    let running = start(service).await;
    let door = running.address("notes.rest").unwrap();
    assert_eq!(ask(door, "GET /ping", "").await, (200, json!("pong")));
    assert_eq!(ask(door, "GET /ping", "").await.0, 429);
    let writes = [
        write(&running).await.0,
        write(&running).await.0,
        write(&running).await.0,
    ];
    assert_eq!(writes, [200, 200, 429]);
    assert_eq!(ask(door, "GET /nowhere", "").await.0, 404);
}
