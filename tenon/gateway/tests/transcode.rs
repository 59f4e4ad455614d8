//! JSON over HTTP to a gRPC service: across the network, by its descriptors or its reflection,
//! and in one process. All over real sockets.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

#[path = "support/library.rs"]
mod library;
#[path = "support/serve.rs"]
mod serve;
#[path = "support/shelf.rs"]
mod shelf;

use std::{net::SocketAddr, time::Duration};

use axum::body::Body;
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use library::Library;
use serde_json::{Value, json};
use serve::serve;
use tenon_core::{
    Context, Lifecycle,
    config::{ClientConfig, GatewayConfig, RestConfig, RpcConfig, TranscodeConfig, UpstreamConfig},
};
use tenon_gateway::Gateway;
use tenon_net::Options;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The gRPC door of the library, listening.
async fn listening(library: &Library) -> SocketAddr {
    let address = "127.0.0.1:0".parse().unwrap();
    let listener = tenon_net::bind(address, "rpc.listen").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = Options::rpc(&RpcConfig::default());
    let door = library.door.clone();
    tokio::spawn(tenon_net::serve(listener, door, options, Lifecycle::new()));
    address
}

/// Where calls go.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// Over the network.
    Remote,
    /// Within the process.
    Local,
}

/// A gateway before a library.
struct Edge {
    gateway: Gateway,
    address: SocketAddr,
    library: Library,
}

impl Edge {
    async fn start(way: Way) -> Self {
        Self::with(way, |_| {}).await
    }

    async fn with(way: Way, change: impl FnOnce(&mut UpstreamConfig)) -> Self {
        let library = Library::new();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shelf.binpb");
        std::fs::write(&file, shelf::descriptors()).unwrap();
        let mut upstream = UpstreamConfig {
            grpc: Some(ClientConfig::to([listening(&library).await.to_string()])),
            ..UpstreamConfig::default()
        };
        upstream.transcode.descriptors = vec![file];
        change(&mut upstream);
        let gateway = match way {
            Way::Local => {
                let (door, descriptors) = (library.door.clone(), shelf::descriptors());
                Gateway::transcode(
                    "library",
                    door,
                    &[&descriptors],
                    &upstream.transcode,
                    &RestConfig::default().guards(),
                    None,
                )
            }
            Way::Remote => Gateway::new(&config(upstream), None),
        };
        let gateway = gateway.unwrap();
        Self {
            address: serve(gateway.router()).await,
            gateway,
            library,
        }
    }

    async fn get(&self, target: &str) -> (u16, Value) {
        let (status, body, _) = self.send(http::Request::get(target), "").await;
        (status, body)
    }

    async fn send(
        &self,
        request: http::request::Builder,
        body: &str,
    ) -> (u16, Value, http::HeaderMap) {
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let (mut head, body) = request.into_parts();
        head.uri = format!("http://{}{}", self.address, head.uri)
            .parse()
            .unwrap();
        let client: Client<HttpConnector, Body> =
            Client::builder(TokioExecutor::new()).build_http();
        let response = client
            .request(http::Request::from_parts(head, body))
            .await
            .unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
        (head.status.as_u16(), body, head.headers)
    }

    /// Everything that a raw connection reads, and whether it ended in order.
    async fn raw(&self, head: &str) -> (String, bool) {
        let mut tcp = TcpStream::connect(self.address).await.unwrap();
        let head = format!("{head}\r\nhost: x\r\nconnection: close\r\n\r\n");
        tcp.write_all(head.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let outcome = tcp.read_to_end(&mut bytes).await;
        (
            String::from_utf8_lossy(&bytes).into_owned(),
            outcome.is_ok(),
        )
    }
}

fn config(upstream: UpstreamConfig) -> GatewayConfig {
    GatewayConfig {
        upstreams: [("library".to_owned(), upstream)].into(),
    }
}

fn post(target: &str) -> http::request::Builder {
    http::Request::post(target).header("content-type", "application/json")
}

const WAYS: [Way; 2] = [Way::Remote, Way::Local];

#[tokio::test]
async fn requests_become_calls_and_replies_become_json() {
    for way in WAYS {
        let edge = Edge::start(way).await;
        let (status, body) = edge.get("/v1/shelves/1/books/2").await;
        assert_eq!(
            (status, &body["name"], &body["genre"]),
            (
                200,
                &json!("shelves/1/books/2"),
                &json!("GENRE_UNSPECIFIED")
            ),
            "{way:?}"
        );
        let (status, body, headers) = edge
            .send(post("/v1/shelves/1/books?bookId=7"), r#"{"title": "T"}"#)
            .await;
        assert_eq!(
            (status, &body["name"], &body["title"]),
            (200, &json!("shelves/1/books/7"), &json!("T"))
        );
        assert_eq!(headers["content-type"], "application/json");
        let (_, body) = edge.get("/v1/shelves/1/books:all?pageSize=2").await;
        assert_eq!(body[1]["title"], "Volume 1");
        assert_eq!(body.as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn bodies_that_are_no_json_pass_as_they_are() {
    for way in WAYS {
        let edge = Edge::start(way).await;
        let odd = http::Request::post("/v1/bindery").header("content-type", "image/x-odd; a=b");
        let (status, body, headers) = edge.send(odd, "{not json").await;
        assert_eq!((status, body), (200, json!("[{not json]")), "{way:?}");
        assert_eq!(headers["content-type"], "image/x-odd; a=b");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        // Nothing is known of a body that says nothing of itself, and an empty one is one too.
        let bare = http::Request::post("/v1/bindery");
        let (status, body, headers) = edge.send(bare, "").await;
        assert_eq!((status, body), (200, json!([])), "{way:?}");
        assert_eq!(headers["content-type"], "application/octet-stream");
        // One field of the message is the body, the others come by path and query.
        let cover = http::Request::put("/v1/shelves/1/books/2/cover?edition=3")
            .header("content-type", "image/png");
        let (status, body, headers) = edge.send(cover, "PNG").await;
        assert_eq!((status, body), (200, json!("[PNG]")), "{way:?}");
        assert_eq!(headers["content-type"], "image/png");
        let large = http::Request::post("/v1/bindery");
        let (status, body, _) = edge.send(large, &"x".repeat((1 << 20) + 1)).await;
        assert_eq!((status, &body["code"]), (413, &json!("BODY_TOO_LARGE")));
    }
}

#[tokio::test]
async fn pieces_of_a_body_stand_one_after_the_other() {
    for way in WAYS {
        let edge = Edge::start(way).await;
        let events = http::Request::get("/v1/shelves/1/books:read?pageSize=3")
            .header("accept", "text/event-stream");
        let (status, body, headers) = edge.send(events, "").await;
        assert_eq!((status, body), (200, json!("<0><1><2>")), "{way:?}");
        assert_eq!(headers["content-type"], "audio/ogg");
        let (status, body) = edge.get("/v1/shelves/1/books:read").await;
        assert_eq!((status, body), (200, json!("")));
        // A failure adds nothing to the body, and breaks the connection.
        let broken = "GET /v1/shelves/1/books:read?pageSize=1&authors=x HTTP/1.1";
        let (text, ended) = edge.raw(broken).await;
        assert!(
            text.contains("<0>") && !text.contains("SHELF_CLOSED"),
            "{text}"
        );
        assert!(!ended || !text.ends_with("0\r\n\r\n"), "{text}");
        let (status, body) = edge.get("/v1/shelves/1/books:read?authors=x").await;
        assert_eq!((status, &body["code"]), (423, &json!("SHELF_CLOSED")));
    }
}

#[tokio::test]
async fn a_reply_that_the_contract_has_no_json_for_is_told_as_such() {
    for way in WAYS {
        let edge = Edge::start(way).await;
        let (status, body) = edge.get("/v1/parcels/known").await;
        let expected = json!({"@type": "type.googleapis.com/shelf.v1.Message", "text": "a letter"});
        assert_eq!((status, &body["content"]), (200, &expected), "{way:?}");
        for id in ["unknown", "nameless", "broken", "empty"] {
            let (status, body) = edge.get(&format!("/v1/parcels/{id}")).await;
            assert_eq!(
                (status, &body["code"]),
                (502, &json!("REPLY_UNMAPPABLE")),
                "{way:?} {id}"
            );
            assert!(!body.to_string().contains("Stamp"), "{body}");
            let target = format!("GET /v1/parcels/{id}:watch HTTP/1.1");
            let (text, ended) = edge.raw(&target).await;
            assert!(text.contains(r#"{"result":{"content":{"@type""#), "{text}");
            assert!(text.contains(r#"{"error":{"#), "{text}");
            assert!(text.contains("REPLY_UNMAPPABLE"), "{text}");
            assert!(!ended || !text.ends_with("0\r\n\r\n"), "{text}");
        }
        // It goes on with others.
        assert_eq!(edge.get("/v1/parcels/known").await.0, 200);
    }
}

#[tokio::test]
async fn token_deadline_and_trace_travel() {
    for way in WAYS {
        let edge = Edge::start(way).await;
        let ask = |id: &str| http::Request::get(format!("/v1/messages/{id}"));
        let text = |body: Value| body["text"].as_str().unwrap().to_owned();
        assert_eq!(edge.get("/v1/messages/caller").await.1["text"], "nobody");
        let known = ask("caller").header("authorization", &edge.library.token);
        assert_eq!(text(edge.send(known, "").await.1), "account-1", "{way:?}");
        let unknown = ask("caller").header("authorization", "Bearer forged");
        let (status, body, headers) = edge.send(unknown, "").await;
        assert_eq!(status, 401, "{body}");
        let challenge = r#"Bearer error="invalid_token""#;
        assert_eq!(headers["www-authenticate"], challenge);
        for (name, value) in [("grpc-timeout", "900m"), ("x-request-timeout-ms", "900")] {
            let hasty = ask("time").header(name, value);
            let left: u64 = text(edge.send(hasty, "").await.1).parse().unwrap();
            assert!((1..900).contains(&left), "{left}");
        }
        let traced = ask("trace").header("traceparent", TRACE);
        let (_, body, headers) = edge.send(traced, "").await;
        assert_eq!(
            (text(body).as_str(), &headers["x-trace-id"]),
            (
                &TRACE[3..35],
                &http::HeaderValue::from_static(&TRACE[3..35])
            )
        );
    }
}

#[tokio::test]
async fn failures_are_problem_documents_with_code_and_violations() {
    for way in WAYS {
        let edge = Edge::start(way).await;
        let (status, body, headers) = edge
            .send(
                http::Request::get("/v1/messages/closed").header("accept-language", "zh"),
                "",
            )
            .await;
        assert_eq!(
            (status, &body["code"]),
            (423, &json!("SHELF_CLOSED")),
            "{way:?}"
        );
        assert_eq!(headers["content-type"], "application/problem+json");
        assert_eq!(body["detail"], "书架 7 已关闭");
        assert_eq!(body["errors"][0]["path"], "messageId");
        let (status, body) = edge.get("/v1/messages/panic").await;
        assert_eq!((status, &body["code"]), (500, &json!("INTERNAL")));
        assert!(!body.to_string().contains("Wang"), "{body}");
        let (status, body) = edge.get("/v1/shelves/1/books?pageSize=x&what=1").await;
        assert_eq!((status, body["errors"].as_array().unwrap().len()), (400, 2));
        let (status, body, _) = edge
            .send(post("/v1/shelves/1/books"), r#"{"title": 5, "x": 1}"#)
            .await;
        assert_eq!(
            (status, body["errors"].as_array().unwrap().len()),
            (400, 2),
            "{body}"
        );
        let (status, body, _) = edge.send(post("/v1/shelves/1/books"), "{").await;
        assert_eq!((status, &body["code"]), (400, &json!("BODY_MALFORMED")));
        let plain = http::Request::post("/v1/shelves/1/books").header("content-type", "text/plain");
        assert_eq!(edge.send(plain, "{}").await.0, 415);
        let large = format!(r#"{{"title": "{}"}}"#, "x".repeat(2 << 20));
        assert_eq!(edge.send(post("/v1/shelves/1/books"), &large).await.0, 413);
        // The method is in the contract and not in the library.
        let (status, body, _) = edge
            .send(http::Request::delete("/v1/shelves/1/books/2"), "")
            .await;
        assert_eq!(status, 501, "{body}");
        // A method without a rule is no path at all.
        assert_eq!(edge.get("/shelf.v1.ShelfService/Secret").await.0, 404);
        let (status, _, headers) = edge.send(http::Request::put("/v1/messages/1"), "").await;
        assert_eq!(
            (status, &headers["allow"]),
            (405, &http::HeaderValue::from_static("GET"))
        );
    }
}

#[tokio::test]
async fn time_that_runs_out_is_a_504_and_a_caller_who_leaves_ends_the_call() {
    for way in WAYS {
        let mut edge = Edge::start(way).await;
        let hasty =
            http::Request::get("/v1/shelves/1/books/slow").header("x-request-timeout-ms", "80");
        let (status, body, _) = edge.send(hasty, "").await;
        assert_eq!(
            (status, &body["code"]),
            (504, &json!("DEADLINE_EXCEEDED")),
            "{way:?}"
        );
        edge.library.dropped.recv().await.unwrap();
        let mut tcp = TcpStream::connect(edge.address).await.unwrap();
        tcp.write_all(
            b"GET /v1/shelves/1/books:watch?pageSize=1&authors=silent HTTP/1.1\r\nhost: x\r\n\r\n",
        )
        .await
        .unwrap();
        let mut seen = String::new();
        while !seen.contains("Volume 0") {
            let mut buffer = [0; 1024];
            let read = tcp.read(&mut buffer).await.unwrap();
            seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        drop(tcp);
        edge.library.dropped.recv().await.unwrap();
    }
}

#[tokio::test]
async fn streams_are_lines_or_events() {
    for way in WAYS {
        let edge = Edge::start(way).await;
        let target = "/v1/shelves/1/books:watch?pageSize=2";
        let (_, body, headers) = edge.send(http::Request::get(target), "").await;
        assert_eq!(headers["content-type"], "application/x-ndjson");
        let text = body.as_str().unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1]["result"]["title"], "Volume 1");
        let events = http::Request::get(target).header("accept", "text/event-stream");
        let (_, body, headers) = edge.send(events, "").await;
        assert_eq!(headers["content-type"], "text/event-stream");
        let text = body.as_str().unwrap();
        assert_eq!(text.matches("data: {\"name\"").count(), 2, "{text}");
        assert!(text.ends_with("}\n\n"), "{text}");
        let (status, body) = edge.get("/v1/shelves/1/books:watch?authors=refused").await;
        assert_eq!((status, &body["code"]), (423, &json!("SHELF_CLOSED")));
    }
}

#[tokio::test]
async fn a_failure_in_mid_stream_is_the_last_element_and_the_answer_does_not_look_whole() {
    for way in WAYS {
        let edge = Edge::start(way).await;
        for (accept, mark) in [
            ("*/*", "{\"error\":{"),
            ("text/event-stream", "event: error\ndata: {"),
        ] {
            let head = format!(
                "GET /v1/shelves/1/books:watch?pageSize=2&authors=broken HTTP/1.1\r\naccept: {accept}"
            );
            let (text, whole) = edge.raw(&head).await;
            assert!(
                text.contains("Volume 1") && text.contains(mark),
                "{way:?}: {text}"
            );
            let last = &text[text.find(mark).unwrap()..];
            assert!(
                last.contains("SHELF_CLOSED") && !last.contains("Volume"),
                "{text}"
            );
            assert!(
                !whole && !text.ends_with("0\r\n\r\n"),
                "it looks whole: {text}"
            );
        }
    }
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_ended() {
    let edge = Edge::with(Way::Remote, |upstream| {
        upstream.idle_timeout = Duration::from_millis(80);
    })
    .await;
    let (text, whole) = edge
        .raw("GET /v1/shelves/1/books:watch?pageSize=1&authors=silent HTTP/1.1")
        .await;
    assert!(text.contains("DEADLINE_EXCEEDED") && !whole, "{text}");
}

#[tokio::test]
async fn a_contract_comes_from_the_service_itself() {
    let edge = Edge::with(Way::Remote, |upstream| {
        upstream.transcode = TranscodeConfig {
            reflection: true,
            ..TranscodeConfig::default()
        };
    })
    .await;
    assert_eq!(edge.get("/v1/shelves/1/books/2").await.0, 404);
    assert!(edge.gateway.ready().is_err());
    edge.gateway.reflect(&Context::background()).await.unwrap();
    edge.gateway.ready().unwrap();
    let (status, body) = edge.get("/v1/shelves/1/books/2").await;
    assert_eq!((status, &body["name"]), (200, &json!("shelves/1/books/2")));
}

/// A gRPC door that tells this contract by reflection and has nothing behind it; its address.
async fn telling(descriptors: Vec<u8>) -> SocketAddr {
    let service = tenon_rpc::Service::builder("shelf.v1.ShelfService", ());
    let service = service.descriptor(descriptors.leak()).build();
    let config = RpcConfig::default();
    let door = tenon_rpc::Server::new("other", config.clone()).service(service);
    let listener = tenon_net::bind("127.0.0.1:0".parse().unwrap(), "rpc.listen").await;
    let listener = listener.unwrap();
    let address = listener.local_addr().unwrap();
    let (door, options) = (door.into_service().unwrap(), Options::rpc(&config));
    tokio::spawn(tenon_net::serve(listener, door, options, Lifecycle::new()));
    address
}

#[tokio::test]
async fn a_contract_that_cannot_be_opened_stands_in_nobodys_way() {
    let streamed = shelf::changed(
        "rpc GetBook(GetBookRequest)",
        "rpc GetBook(stream GetBookRequest)",
    );
    let (library, other) = (Library::new(), telling(streamed).await);
    let library = listening(&library).await;
    let text = |timeout: &str| {
        let reflected = "transcode: {reflection: true}";
        format!(
            "upstreams:
               a-other: {{grpc: {{endpoints: ['{other}'], timeout: {timeout}}}, {reflected}}}
               library: {{grpc: {{endpoints: ['{library}'], timeout: {timeout}}}, {reflected}}}"
        )
    };
    let config = |timeout: &str| -> GatewayConfig {
        tenon_core::config::parse(&text(timeout), "gateway.yaml".as_ref()).unwrap()
    };
    let gateway = Gateway::new(&config("2s"), None).unwrap();
    let problem = gateway.reflect(&Context::background()).await.unwrap_err();
    let cause = problem.cause_chain().unwrap();
    assert!(
        cause.contains("a-other: shelf.v1.ShelfService.GetBook"),
        "{cause}"
    );
    let address = serve(gateway.router()).await;
    let uri = format!("http://{address}/v1/shelves/1/books/2");
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let answer = client.get(uri.parse().unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    // Nor in the way of another configuration.
    gateway.reload(&config("3s")).unwrap();
    assert!(gateway.ready().is_err());
}

#[tokio::test]
async fn settings_are_kept_and_shown() {
    let edge = Edge::with(Way::Remote, |upstream| {
        let transcode = &mut upstream.transcode;
        transcode.print_defaults = false;
        transcode.ignore_unknown_fields = true;
        transcode.mappings = vec![tenon_core::config::MappingConfig {
            rpc: "shelf.v1.ShelfService/GetBook".into(),
            method: "get".into(),
            path: "/books/{name=**}".into(),
            body: String::new(),
            response_body: "title".into(),
        }];
    })
    .await;
    let (status, body) = edge.get("/v1/shelves/1/books/2?what=1").await;
    assert_eq!(
        (status, body),
        (
            200,
            json!({"name": "shelves/1/books/2", "title": "War and Peace"})
        )
    );
    assert_eq!(
        edge.get("/books/any/of/them").await,
        (200, json!("War and Peace"))
    );
    let rows = edge.gateway.routes();
    let row = rows
        .iter()
        .find(|row| row["path"] == "/v1/{name=shelves/*}:open")
        .unwrap();
    assert_eq!(
        (&row["method"], &row["handler"]),
        (&json!("POST"), &json!("/shelf.v1.ShelfService/OpenShelf"))
    );
    assert!(
        row["layers"]
            .as_array()
            .unwrap()
            .iter()
            .any(|layer| layer["name"] == "transcode")
    );
}

#[tokio::test]
async fn contracts_that_do_not_hold_refuse_to_start() {
    let clash = shelf::changed("get: \"/files/{path=**}\"", "get: \"/v1/messages/{path}\"");
    let streamed = shelf::changed(
        "rpc GetFile(GetFileRequest)",
        "rpc GetFile(stream GetFileRequest)",
    );
    let lost = shelf::changed("get: \"/files/{path=**}\"", "get: \"/files/{pth=**}\"");
    let none = TranscodeConfig {
        services: vec!["shelf.v1.Other".into()],
        ..TranscodeConfig::default()
    };
    let all = TranscodeConfig::default();
    let door = Library::new().door;
    for (descriptors, config, expected) in [
        (&b"nothing"[..], &all, "cannot be used"),
        (&clash, &all, "takes the same requests as"),
        (
            &streamed,
            &all,
            "upstream library: shelf.v1.ShelfService.GetFile: the method takes a stream",
        ),
        (&streamed, &all, "write `body: \"*\"`"),
        (&lost, &all, "no field `pth`"),
        (&shelf::descriptors(), &none, "no service `shelf.v1.Other`"),
    ] {
        let outcome = Gateway::transcode(
            "library",
            door.clone(),
            &[descriptors],
            config,
            &RestConfig::default().guards(),
            None,
        );
        let problem = outcome.map(|_| ()).unwrap_err().to_string();
        assert!(problem.contains(expected), "{problem}");
    }
}
