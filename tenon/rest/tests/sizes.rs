//! How large a request may be, over real sockets: what is as large as may be passes, and what is
//! larger by one is told which limit it met.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

use std::net::SocketAddr;

use serde_json::Value;
use tenon_core::{Lifecycle, config::RestConfig};
use tenon_net::Options;
use tenon_rest::{Door, Method, Route, Routes, with_fallbacks};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

static TAKES: Route = Route::new(Method::Post, "/takes", "takes");

fn config() -> RestConfig {
    RestConfig {
        max_bytes: 300,
        max_head_bytes: 1024,
        max_uri_bytes: 100,
        max_json_depth: 3,
        ..RestConfig::default()
    }
}

async fn start(config: RestConfig) -> SocketAddr {
    let routes = Routes::new(()).route(&TAKES, |_, _, body: Value| async move { Ok(body) });
    let door = Door::new("takes", config.clone(), routes.build());
    let listener = tenon_net::bind("127.0.0.1:0".parse().unwrap(), "rest.listen")
        .await
        .unwrap();
    let addr = listener.local_addr().unwrap();
    let router = with_fallbacks(door.router().unwrap());
    let options = Options::rest(&config);
    tokio::spawn(tenon_net::serve(
        listener,
        router,
        options,
        Lifecycle::new(),
    ));
    addr
}

/// The status and the body that come back.
async fn post(addr: SocketAddr, target: &str, lines: &str, body: &str) -> (u16, String) {
    let length = body.len();
    let request = format!(
        "POST {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{lines}\r\n{body}"
    );
    let mut tcp = TcpStream::connect(addr).await.unwrap();
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn a_head_as_large_as_may_be_passes_and_one_byte_more_is_431() {
    let addr = start(config()).await;
    let rest = "POST /takes HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 2\r\nx: \r\n\r\n";
    let fill = |bytes: usize| format!("x: {}\r\n", "a".repeat(bytes - rest.len()));
    let (status, body) = post(addr, "/takes", &fill(1024), "[]").await;
    assert_eq!((status, body.as_str()), (200, "[]"));
    let (status, _) = post(addr, "/takes", &fill(1025), "[]").await;
    assert_eq!(status, 431);
}

#[tokio::test]
async fn a_head_may_be_larger_than_what_is_read_at_once() {
    let config = RestConfig {
        max_head_bytes: 1 << 20,
        ..config()
    };
    let addr = start(config).await;
    let lines = format!("x: {}\r\n", "a".repeat(900 << 10));
    assert_eq!(post(addr, "/takes", &lines, "[]").await.0, 200);
    let lines = format!("x: {}\r\n", "a".repeat(1 << 20));
    assert_eq!(post(addr, "/takes", &lines, "[]").await.0, 431);
}

#[tokio::test]
async fn a_target_as_long_as_may_be_passes_and_one_byte_more_is_414() {
    let addr = start(config()).await;
    let target = |bytes: usize| format!("/takes?{}", "q".repeat(bytes - "/takes?".len()));
    assert_eq!(post(addr, &target(100), "", "[]").await.0, 200);
    assert_eq!(post(addr, &target(101), "", "[]").await.0, 414);
}

#[tokio::test]
async fn json_as_deep_as_may_be_passes_and_one_level_more_is_400() {
    let addr = start(config()).await;
    let good = r#"[{"a[{":["[[[["]},[{}],"\"[[[[",[[]]]"#;
    let (status, body) = post(addr, "/takes", "", good).await;
    assert_eq!(status, 200, "{body}");
    let (status, body) = post(addr, "/takes", "", r#"[{"a":[[]]}]"#).await;
    assert_eq!(status, 400);
    let problem: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(problem["code"], "BODY_MALFORMED");
    assert_eq!(problem["errors"][0]["rule"], "depth");
    assert_eq!(
        problem["errors"][0]["expected"],
        "at most 3 levels of nesting"
    );
}

#[tokio::test]
async fn a_body_as_large_as_may_be_passes_and_one_byte_more_is_413() {
    let addr = start(config()).await;
    let body = |bytes: usize| format!("\"{}\"", "a".repeat(bytes - 2));
    assert_eq!(post(addr, "/takes", "", &body(300)).await.0, 200);
    let (status, body) = post(addr, "/takes", "", &body(301)).await;
    assert_eq!(status, 413);
    assert!(body.contains("BODY_TOO_LARGE"), "{body}");
}

#[tokio::test]
async fn by_default_the_parser_alone_says_how_deep() {
    let addr = start(RestConfig::default()).await;
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(post(addr, "/takes", "", &nested(127)).await.0, 200);
    let (status, body) = post(addr, "/takes", "", &nested(128)).await;
    assert_eq!(status, 400);
    assert!(body.contains("at most 127 levels"), "{body}");
}

#[test]
fn sizes_that_do_not_fit_each_other_open_no_door() {
    let config = RestConfig {
        max_uri_bytes: 2000,
        ..config()
    };
    let door = Door::new("takes", config, Routes::new(()).build());
    let problem = door.guards().unwrap_err().to_string();
    assert!(
        problem.contains("maxUriBytes is 2000, more than the 1024 of maxHeadBytes"),
        "{problem}"
    );
}
