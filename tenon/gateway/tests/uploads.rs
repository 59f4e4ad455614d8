//! Streams of messages over HTTP: lines of JSON up, and down again, across the network and in one
//! process.
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

use std::net::SocketAddr;

use library::Library;
use serde_json::{Value, json};
use serve::serve;
use tenon_core::{
    Lifecycle,
    config::{ClientConfig, GatewayConfig, RestConfig, RpcConfig, UpstreamConfig},
};
use tenon_gateway::Gateway;
use tenon_net::Options;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A gateway before a library.
struct Edge {
    address: SocketAddr,
    library: Library,
}

/// Both ways to the library: over the network, and in the process.
async fn edges(change: impl Fn(&mut UpstreamConfig)) -> [Edge; 2] {
    let mut upstream = UpstreamConfig::default();
    change(&mut upstream);
    [remote(upstream.clone()).await, local(&upstream).await]
}

async fn remote(mut upstream: UpstreamConfig) -> Edge {
    let library = Library::new();
    let listener = tenon_net::bind("127.0.0.1:0".parse().unwrap(), "rpc.listen").await;
    let listener = listener.unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let (door, options) = (library.door.clone(), Options::rpc(&RpcConfig::default()));
    tokio::spawn(tenon_net::serve(listener, door, options, Lifecycle::new()));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shelf.binpb");
    std::fs::write(&file, shelf::descriptors()).unwrap();
    upstream.grpc = Some(ClientConfig::to([to]));
    upstream.transcode.descriptors = vec![file];
    let config = GatewayConfig {
        upstreams: [("library".to_owned(), upstream)].into(),
    };
    let gateway = Gateway::new(&config, None).unwrap();
    Edge {
        address: serve(gateway.router()).await,
        library,
    }
}

async fn local(upstream: &UpstreamConfig) -> Edge {
    let library = Library::new();
    let descriptors = shelf::descriptors();
    let gateway = Gateway::transcode(
        "library",
        library.door.clone(),
        &[&descriptors],
        &upstream.transcode,
        &RestConfig::default().guards(),
        None,
    );
    Edge {
        address: serve(gateway.unwrap().router()).await,
        library,
    }
}

/// A request whose body is sent piece by piece.
struct Sender(TcpStream);

impl Edge {
    async fn begin(&self, target: &str, media_type: &str) -> Sender {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "POST {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {media_type}\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        Sender(socket)
    }

    /// Sends lines at once; the status and the body as JSON or text.
    async fn lines(&self, target: &str, lines: &str) -> (u16, Value) {
        let mut sender = self.begin(target, "application/x-ndjson").await;
        sender.send(lines).await;
        sender.end().await;
        sender.answer().await
    }
}

impl Sender {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        if !bytes.is_empty() {
            let length = format!("{:x}\r\n", bytes.len());
            let chunk = [length.as_bytes(), bytes, b"\r\n"].concat();
            self.0.write_all(&chunk).await.unwrap();
        }
    }

    async fn end(&mut self) {
        self.0.write_all(b"0\r\n\r\n").await.unwrap();
    }

    /// Reads until `end` was read.
    async fn read_until(&mut self, end: &str) -> String {
        let mut seen = Vec::new();
        while !seen.ends_with(end.as_bytes()) {
            let mut byte = [0];
            assert_eq!(self.0.read(&mut byte).await.unwrap(), 1, "{seen:?}");
            seen.push(byte[0]);
        }
        String::from_utf8(seen).unwrap()
    }

    async fn answer(mut self) -> (u16, Value) {
        let mut answer = Vec::new();
        // A stream that breaks off is reset.
        let _ = self.0.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let text = || Value::String(body.to_owned());
        let body = serde_json::from_str(body).unwrap_or_else(|_| text());
        (head[9..12].parse().unwrap(), body)
    }
}

fn violation(problem: &Value) -> (&str, &str) {
    let first = &problem["errors"][0];
    (
        first["path"].as_str().unwrap(),
        first["rule"].as_str().unwrap(),
    )
}

#[tokio::test]
async fn each_line_is_a_message_with_what_path_and_query_say() {
    for edge in edges(|_| {}).await {
        // Blank lines are none, a carriage return is none, and the last needs no end.
        let lines = "{\"title\": \"War\"}\r\n\n  \n{\"title\": \"Peace\"}";
        let (status, body) = edge.lines("/v1/shelves/7/books:shelve", lines).await;
        assert_eq!(status, 200, "{body}");
        let expected = json!({"books": [
            {"name": "shelves/7/books/0", "title": "War"},
            {"name": "shelves/7/books/1", "title": "Peace"},
        ]});
        let stripped = body["books"].as_array().unwrap().iter();
        let stripped: Vec<_> = stripped
            .map(|book| json!({"name": book["name"], "title": book["title"]}))
            .collect();
        assert_eq!(json!({ "books": stripped }), expected);
        // The whole message, by the additional rule.
        let line = r#"{"parent": "shelves/1", "book": {"title": "Whole"}}"#;
        let (status, body) = edge.lines("/v1/books:shelve", line).await;
        assert_eq!(
            (status, &body["books"][0]["name"]),
            (200, &json!("shelves/1/books/0"))
        );
        // No line is no message.
        let (status, body) = edge.lines("/v1/books:shelve", "").await;
        assert_eq!((status, &body["books"]), (200, &json!([])));
    }
}

#[tokio::test]
async fn what_does_not_fit_names_its_line() {
    for edge in edges(|_| {}).await {
        let good = "{\"title\": \"War\"}\n";
        for (bad, code, expected) in [
            (
                "{\"title\": 7}",
                "REQUEST_INVALID",
                ("line[3].title", "type"),
            ),
            ("{\"ttl\": 7}", "REQUEST_INVALID", ("line[3]", "unknown")),
            ("{\"title\": ", "BODY_MALFORMED", ("line[3]", "syntax")),
        ] {
            let lines = format!("{good}\n{bad}\n{good}");
            let (status, problem) = edge.lines("/v1/shelves/7/books:shelve", &lines).await;
            assert_eq!((status, &problem["code"]), (400, &json!(code)), "{problem}");
            assert_eq!(violation(&problem), expected, "{problem}");
        }
        // Path and query are looked at before anything is called.
        let (status, problem) = edge.lines("/v1/shelves/7/books:shelve?x=1", good).await;
        assert_eq!((status, violation(&problem).1), (400, "unknown"));
    }
}

#[tokio::test]
async fn a_line_has_a_limit_and_the_body_has_none() {
    for edge in edges(|upstream| upstream.transcode.max_bytes = 64).await {
        let line = |bytes: usize| format!("{{\"title\": \"{}\"}}\n", "a".repeat(bytes - 13));
        let many = line(64).repeat(200);
        let (status, body) = edge.lines("/v1/shelves/7/books:shelve", &many).await;
        assert_eq!(status, 200);
        assert_eq!(body["books"].as_array().unwrap().len(), 200);
        let lines = format!("{}{}", line(64), line(65));
        let (status, problem) = edge.lines("/v1/shelves/7/books:shelve", &lines).await;
        assert_eq!((status, &problem["code"]), (413, &json!("BODY_TOO_LARGE")));
        assert_eq!(violation(&problem), ("line[2]", "length"));
        // One that never ends is refused before it is all there.
        let mut sender = edge
            .begin("/v1/shelves/7/books:shelve", "application/x-ndjson")
            .await;
        sender.send(&"a".repeat(65)).await;
        assert_eq!(sender.answer().await.0, 413);
    }
}

#[tokio::test]
async fn what_is_no_lines_is_a_415_and_pieces_may_be_anything() {
    for edge in edges(|_| {}).await {
        for (media_type, status) in [
            ("application/json", 415),
            ("application/x-ndjson; charset=latin1", 415),
            ("application/x-ndjson; charset=UTF-8", 200),
            ("application/jsonl", 200),
        ] {
            let mut sender = edge.begin("/v1/books:shelve", media_type).await;
            sender.send("{}\n").await;
            sender.end().await;
            let (answered, problem) = sender.answer().await;
            assert_eq!(answered, status, "{media_type}: {problem}");
        }
        let mut sender = edge.begin("/v1/scales", "audio/ogg").await;
        for _ in 0..3 {
            sender.send(&"\n".repeat(1000)).await;
        }
        sender.end().await;
        let (status, body) = sender.answer().await;
        assert_eq!(
            (status, &body["text"]),
            (200, &json!("3000 of {\"audio/ogg\"}"))
        );
    }
}

#[tokio::test]
async fn a_packed_body_is_unpacked_as_it_comes() {
    // Two lines of `{"title": "Packed"}`.
    const PACKED: &[u8] = &[
        31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 86, 42, 201, 44, 201, 73, 85, 178, 82, 80, 10, 72,
        76, 206, 78, 77, 81, 170, 229, 170, 198, 34, 6, 0, 95, 69, 17, 185, 40, 0, 0, 0,
    ];
    let gzip = "application/x-ndjson\r\ncontent-encoding: gzip";
    for edge in edges(|_| {}).await {
        let mut sender = edge.begin("/v1/shelves/7/books:shelve", gzip).await;
        for piece in PACKED.chunks(7) {
            sender.send(piece).await;
        }
        sender.end().await;
        let (status, body) = sender.answer().await;
        assert_eq!(
            (status, &body["books"][1]["title"]),
            (200, &json!("Packed"))
        );
        let mut sender = edge.begin("/v1/shelves/7/books:shelve", gzip).await;
        sender.send(PACKED.get(..PACKED.len() - 9).unwrap()).await;
        sender.end().await;
        let (status, problem) = sender.answer().await;
        assert_eq!((status, &problem["code"]), (400, &json!("BODY_MALFORMED")));
    }
}

#[tokio::test]
async fn answers_come_while_questions_are_asked() {
    for edge in edges(|_| {}).await {
        let mut sender = edge.begin("/v1/conversation", "application/x-ndjson").await;
        sender.send("{\"text\": \"one\"}\n").await;
        let head = sender.read_until("\r\n\r\n").await;
        assert!(head.contains("application/x-ndjson"), "{head}");
        sender.read_until("{\"result\":{\"text\":\"ONE\"}}\n").await;
        // A line in two pieces is one.
        sender.send("{\"text\":").await;
        sender.send(" \"two\"}\n").await;
        sender.read_until("{\"result\":{\"text\":\"TWO\"}}\n").await;
        sender.send("{\"text\": 3}\n").await;
        let rest = sender.read_until("}}\n").await;
        assert!(
            rest.contains("{\"error\":") || rest.contains("REQUEST_INVALID"),
            "{rest}"
        );
        assert!(rest.contains("line[3].text"), "{rest}");
    }
}

#[tokio::test]
async fn a_conversation_ends_as_the_service_says() {
    for edge in edges(|_| {}).await {
        let (status, body) = edge.lines("/v1/conversation", "{\"text\":\"a\"}\n").await;
        assert_eq!(status, 200);
        assert!(
            body.as_str()
                .unwrap()
                .contains("{\"result\":{\"text\":\"A\"}}")
        );
        // Before the first answer a failure has a status of its own.
        let (status, problem) = edge
            .lines("/v1/conversation", "{\"text\":\"rude\"}\n")
            .await;
        assert_eq!((status, &problem["code"]), (423, &json!("SHELF_CLOSED")));
        let lines = "{\"text\":\"a\"}\n{\"text\":\"rude\"}\n";
        let (status, body) = edge.lines("/v1/conversation", lines).await;
        assert_eq!(status, 200);
        assert!(body.as_str().unwrap().contains("SHELF_CLOSED"), "{body}");
    }
}

#[tokio::test]
async fn a_service_that_refuses_does_not_wait_for_the_rest() {
    for edge in edges(|_| {}).await {
        let mut sender = edge
            .begin("/v1/shelves/7/books:shelve", "application/x-ndjson")
            .await;
        sender.send("{\"title\": \"closed\"}\n").await;
        let (status, problem) = sender.answer().await;
        assert_eq!((status, &problem["code"]), (423, &json!("SHELF_CLOSED")));
    }
}

#[tokio::test]
async fn a_client_that_is_faster_than_the_service_is_held_up() {
    for edge in edges(|_| {}).await {
        let mut sender = edge
            .begin("/v1/shelves/7/books:shelve", "application/x-ndjson")
            .await;
        sender.send("{\"title\": \"heavy\"}\n").await;
        let lines = "{\"title\": \"War and Peace\"}\n".repeat(40_000);
        let mut sent = 0;
        let second = std::time::Duration::from_secs(1);
        while tokio::time::timeout(second, sender.send(&lines))
            .await
            .is_ok()
        {
            sent += lines.len();
            assert!(sent < 64 << 20, "{sent} bytes were taken that nobody reads");
        }
    }
}

#[tokio::test]
async fn who_leaves_ends_the_work_and_the_service_sees_no_end() {
    for mut edge in edges(|_| {}).await {
        let mut sender = edge.begin("/v1/conversation", "application/x-ndjson").await;
        sender.send("{\"text\": \"one\"}\n").await;
        sender.read_until("ONE\"}}\n").await;
        drop(sender);
        edge.library.dropped.recv().await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_keeps_the_call_waiting_is_told_408() {
    let short = |upstream: &mut UpstreamConfig| {
        upstream.idle_timeout = std::time::Duration::from_millis(100);
    };
    let edge = remote({
        let mut upstream = UpstreamConfig::default();
        short(&mut upstream);
        upstream
    });
    let edge = edge.await;
    let mut sender = edge
        .begin("/v1/shelves/7/books:shelve", "application/x-ndjson")
        .await;
    sender.send("{\"title\": \"War\"}\n").await;
    let (status, problem) = sender.answer().await;
    assert_eq!((status, &problem["code"]), (408, &json!("BODY_TOO_SLOW")));
    // The deadline of the caller, while its own body is waited for.
    for edge in edges(|_| {}).await {
        let mut socket = TcpStream::connect(edge.address).await.unwrap();
        let head = "POST /v1/books:shelve HTTP/1.1\r\nhost: x\r\nx-request-timeout-ms: 100\r\ncontent-type: application/x-ndjson\r\ncontent-length: 9\r\n\r\n";
        socket.write_all(head.as_bytes()).await.unwrap();
        let (status, problem) = Sender(socket).answer().await;
        assert_eq!(
            (status, &problem["code"]),
            (408, &json!("BODY_TOO_SLOW")),
            "{problem}"
        );
    }
}
