//! The door over real sockets: callers who leave, uploads that are refused.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

#[path = "support/door.rs"]
mod door;

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use tenon_core::{Context, Lifecycle};
use tenon_net::Options;
use tenon_rest::{Method, Route, Routes, with_fallbacks};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::Instant,
};

static WAITS: Route = Route::new(Method::Get, "/waits", "waits");
static ONE: Route = Route::new(Method::Post, "/one", "one").max_in_flight(1);
static TAKES: Route = Route::new(Method::Post, "/takes", "takes");

/// A server whose operations hand out their contexts and then wait for their end.
async fn start() -> (SocketAddr, mpsc::UnboundedReceiver<Context>) {
    let (contexts, seen) = mpsc::unbounded_channel();
    let routes = Routes::new(contexts)
        .route(&WAITS, |contexts, cx: Context, _req: ()| async move {
            let _ = contexts.send(cx);
            std::future::pending::<()>().await;
            Ok(())
        })
        .route(&ONE, |contexts, cx: Context, _body: Value| async move {
            let _ = contexts.send(cx);
            std::future::pending::<()>().await;
            Ok(())
        })
        .route(&TAKES, |_, _, body: Value| async move { Ok(body) });
    let router = with_fallbacks(door::door(routes.build()).router().unwrap());
    let listener = tenon_net::bind("127.0.0.1:0".parse().unwrap(), "rest.listen")
        .await
        .unwrap();
    let addr = listener.local_addr().unwrap();
    let options = Options::rest(&door::config());
    tokio::spawn(tenon_net::serve(
        listener,
        router,
        options,
        Lifecycle::new(),
    ));
    (addr, seen)
}

async fn read_all(mut tcp: TcpStream) -> String {
    let mut text = Vec::new();
    let _ = tcp.read_to_end(&mut text).await;
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_caller_who_leaves_cancels_the_context() {
    let (addr, mut seen) = start().await;
    let mut waits = Vec::new();
    for round in 0..20 {
        let mut tcp = TcpStream::connect(addr).await.unwrap();
        tcp.write_all(b"GET /waits HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let cx = seen.recv().await.unwrap();
        if round % 2 == 1 {
            tcp.write_all(b"GET /waits HTTP/1.1\r\nhost: x\r\n\r\n")
                .await
                .unwrap();
        }
        let left = Instant::now();
        drop(tcp);
        let error = cx.cancelled().await;
        assert_eq!(error.code(), "CANCELLED");
        waits.push(left.elapsed());
    }
    waits.sort_unstable();
    // Usually a fraction of a millisecond; the deadline of the route is five seconds.
    let median = waits[waits.len() / 2];
    println!(
        "from leaving to cancelled: median {median:?}, worst {:?}",
        waits[19]
    );
    assert!(median < Duration::from_millis(200), "{waits:?}");
}

#[tokio::test]
async fn a_large_upload_reads_its_413() {
    let (addr, _seen) = start().await;
    let mut tcp = TcpStream::connect(addr).await.unwrap();
    let body = vec![b' '; 4 << 20];
    let head = format!(
        "POST /takes HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    tcp.write_all(head.as_bytes()).await.unwrap();
    tcp.write_all(&body).await.unwrap();
    let answer = read_all(tcp).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("BODY_TOO_LARGE"), "{answer}");
}

#[tokio::test]
async fn a_chunked_upload_reads_its_413() {
    let (addr, _seen) = start().await;
    let mut tcp = TcpStream::connect(addr).await.unwrap();
    let mut upload = String::from(
        "POST /takes HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
    );
    for _ in 0..1000 {
        upload.push_str("400\r\n");
        upload.push_str(&" ".repeat(1024));
        upload.push_str("\r\n");
    }
    tcp.write_all(upload.as_bytes()).await.unwrap();
    let answer = read_all(tcp).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn a_broken_chunk_is_a_400() {
    let (addr, _seen) = start().await;
    let mut tcp = TcpStream::connect(addr).await.unwrap();
    tcp.write_all(
        b"POST /takes HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n\
          5\r\n{\"a\":\r\nnonsense\r\n",
    )
    .await
    .unwrap();
    let answer = read_all(tcp).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("BODY_MALFORMED"), "{answer}");
}

#[tokio::test]
async fn a_body_that_trickles_ends_with_the_deadline() {
    static HASTY: Route =
        Route::new(Method::Post, "/hasty", "hasty").timeout(Duration::from_millis(100));
    let routes = Routes::new(()).route(&HASTY, |_, _, body: Value| async move { Ok(body) });
    let router = door::door(routes.build()).router().unwrap();
    let listener = tenon_net::bind("127.0.0.1:0".parse().unwrap(), "rest.listen")
        .await
        .unwrap();
    let addr = listener.local_addr().unwrap();
    let options = Options::rest(&door::config());
    tokio::spawn(tenon_net::serve(
        listener,
        router,
        options,
        Lifecycle::new(),
    ));
    let mut tcp = TcpStream::connect(addr).await.unwrap();
    tcp.write_all(
        b"POST /hasty HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
    )
    .await
    .unwrap();
    let mut first = [0; 12];
    tcp.read_exact(&mut first).await.unwrap();
    // Not 504: nothing here was slow but the client.
    assert_eq!(&first, b"HTTP/1.1 408");
}

#[tokio::test]
async fn a_body_that_dawdles_is_ended_before_a_patient_deadline() {
    static PATIENT: Route =
        Route::new(Method::Post, "/patient", "patient").timeout(Duration::from_secs(3600));
    let routes = Routes::new(()).route(&PATIENT, |_, _, body: Value| async move { Ok(body) });
    let router = tenon_rest::with_fallbacks(door::door(routes.build()).router().unwrap());
    tokio::time::pause();
    // A byte each second; the clock stands still otherwise.
    let pieces = futures_util::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((Ok::<_, std::io::Error>(" "), ()))
    });
    let started = tokio::time::Instant::now();
    let request = door::post("/patient")
        .body(axum::body::Body::from_stream(pieces))
        .unwrap();
    let answer = door::send(&router, request).await;
    assert_eq!(answer.status.as_u16(), 408);
    assert!(String::from_utf8_lossy(&answer.body).contains("BODY_TOO_SLOW"));
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "{:?}",
        started.elapsed()
    );
}

/// What is sent in one go, and whether its connection can carry another request.
#[tokio::test]
async fn who_is_answered_before_his_body_was_read_is_told_that_the_connection_closes() {
    let (addr, _seen) = start().await;
    let post = |path: &str, headers: &str, body: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n{headers}\r\n{body}",
            body.len()
        )
    };
    let large = " ".repeat(2 << 20);
    for (request, status, closes) in [
        (post("/takes", "", "{}"), 200, false),
        (post("/takes", "", "{"), 400, false),
        (post("/takes", "", &large), 413, true),
        (post("/takes", "content-encoding: br\r\n", "{}"), 415, true),
        (post("/nowhere", "", "{}"), 404, true),
        (post("/waits", "", "{}"), 405, true),
        (
            "GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
            404,
            false,
        ),
    ] {
        let mut tcp = TcpStream::connect(addr).await.unwrap();
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            assert_ne!(tcp.read_buf(&mut answer).await.unwrap(), 0);
        }
        let answer = String::from_utf8(answer).unwrap();
        let start = request.get(..60).unwrap_or(&request);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{start}: {answer}"
        );
        assert_eq!(
            answer.contains("connection: close\r\n"),
            closes,
            "{start}: {answer}"
        );
    }
}

/// A refusal under load must not cost the client its connection, if its body is short and there.
#[tokio::test]
async fn who_is_refused_keeps_his_connection_if_his_body_is_short() {
    let (addr, mut seen) = start().await;
    let post = |length: usize, headers: &str, body: &str| {
        format!(
            "POST /one HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n{headers}\r\n{body}"
        )
    };
    let mut first = TcpStream::connect(addr).await.unwrap();
    first.write_all(post(2, "", "{}").as_bytes()).await.unwrap();
    let _only = seen.recv().await.unwrap();
    let long = " ".repeat(65 << 10);
    for (request, closes) in [
        (post(2, "", "{}"), false),
        (post(2, "expect: 100-continue\r\n", ""), true),
        (post(2, "", "{"), true),
        (post(long.len(), "", &long), true),
    ] {
        let mut tcp = TcpStream::connect(addr).await.unwrap();
        // Twice over one connection, where it stays.
        for _ in 0..if closes { 1 } else { 2 } {
            tcp.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"}") {
                assert_ne!(tcp.read_buf(&mut answer).await.unwrap(), 0);
            }
            let answer = String::from_utf8(answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
            let told = answer.contains("connection: close\r\n");
            assert_eq!(told, closes, "{} bytes: {answer}", request.len());
        }
    }
}
