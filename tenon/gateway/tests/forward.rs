//! Forwarding between a client and services, all over real sockets.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

#[path = "support/serve.rs"]
mod serve;

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, body::Body, extract::Request, response::Response};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use serve::serve;
use tenon_core::{
    Lifecycle,
    config::{ClientConfig, ConfigError, GatewayConfig, RouteConfig, UpstreamConfig},
};
use tenon_gateway::Gateway;
use tenon_net::{Options, Peer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// An upstream with one route, and a short pause so that silence shows.
fn upstream(prefix: &str, endpoints: &[SocketAddr]) -> UpstreamConfig {
    let endpoints: Vec<String> = endpoints.iter().map(SocketAddr::to_string).collect();
    of(prefix, &endpoints, Duration::from_secs(5))
}

fn of(prefix: &str, endpoints: &[String], timeout: Duration) -> UpstreamConfig {
    UpstreamConfig {
        http: Some(ClientConfig {
            timeout,
            ..ClientConfig::to(endpoints)
        }),
        routes: vec![RouteConfig::new(prefix)],
        ..UpstreamConfig::default()
    }
}

fn config(upstreams: impl IntoIterator<Item = UpstreamConfig>) -> GatewayConfig {
    let named = upstreams.into_iter().enumerate();
    GatewayConfig {
        upstreams: named.map(|(at, one)| (format!("u{at}"), one)).collect(),
    }
}

async fn gateway(upstreams: impl IntoIterator<Item = UpstreamConfig>) -> SocketAddr {
    let gateway = Gateway::new(&config(upstreams), None).unwrap();
    serve(gateway.router()).await
}

/// A service that answers with what it saw.
fn mirror(name: &'static str) -> Router {
    Router::new().fallback(move |request: Request| async move {
        let (head, body) = request.into_parts();
        let mut headers = serde_json::Map::new();
        for (key, value) in &head.headers {
            headers.insert(key.to_string(), json!(value.to_str().unwrap()));
        }
        let peer = head.extensions.get::<Peer>().unwrap().0;
        let body = body.collect().await.unwrap().to_bytes();
        let seen = json!({
            "service": name,
            "method": head.method.as_str(),
            "uri": head.uri.to_string(),
            "headers": headers,
            "body": String::from_utf8_lossy(&body),
            "peer": peer.to_string(),
        });
        Response::builder()
            .header("connection", "x-of-one-hop")
            .header("x-of-one-hop", "1")
            .header("x-kept", "1")
            .body(Body::from(seen.to_string()))
            .unwrap()
    })
}

fn client() -> Client<HttpConnector, Body> {
    Client::builder(TokioExecutor::new()).build_http()
}

async fn ask(
    addr: SocketAddr,
    request: http::request::Builder,
    path: &str,
) -> (u16, Value, http::HeaderMap) {
    send(addr, request, path, Body::empty()).await
}

async fn send(
    addr: SocketAddr,
    request: http::request::Builder,
    path: &str,
    body: Body,
) -> (u16, Value, http::HeaderMap) {
    let request = request
        .uri(format!("http://{addr}{path}"))
        .body(body)
        .unwrap();
    let response = client().request(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    (head.status.as_u16(), body, head.headers)
}

fn get() -> http::request::Builder {
    http::Request::get("/").header("traceparent", TRACE)
}

#[tokio::test]
async fn the_longest_prefix_at_a_segment_decides() {
    let patient = serve(mirror("patient")).await;
    let status = serve(mirror("status")).await;
    let gateway = gateway([
        upstream("/api/v1/patient", &[patient]),
        upstream("/api/v1/patient/status/", &[status]),
    ])
    .await;
    for (path, expected) in [
        ("/api/v1/patient", Some("patient")),
        ("/api/v1/patient?limit=1", Some("patient")),
        ("/api/v1/patient/P1?a=%2F&b=%20", Some("patient")),
        ("/api/v1/patient/status", Some("status")),
        ("/api/v1/patient/status/1", Some("status")),
        ("/api/v1/patient/statuses", Some("patient")),
        ("/api/v1/patients", None),
        ("/api/v1", None),
        ("/", None),
    ] {
        let (status, body, _) = ask(gateway, get(), path).await;
        match expected {
            Some(service) => {
                assert_eq!(
                    (&body["service"], &body["uri"]),
                    (&json!(service), &json!(path))
                );
            }
            None => assert_eq!((status, &body["code"]), (404, &json!("ROUTE_NOT_FOUND"))),
        }
    }
}

#[tokio::test]
async fn headers_of_one_hop_and_claims_about_the_origin_stay_outside() {
    let service = serve(mirror("patient")).await;
    let gateway = gateway([upstream("/api", &[service])]).await;
    let request = http::Request::post("/")
        .header("traceparent", TRACE)
        .header("authorization", "Bearer x")
        .header("connection", "keep-alive, x-private")
        .header("x-private", "1")
        .header("te", "trailers")
        .header("proxy-authorization", "Basic eDp5")
        .header("x-forwarded-for", "203.0.113.7")
        .header("x-real-ip", "203.0.113.7")
        .header("forwarded", "for=203.0.113.7")
        .header("grpc-timeout", "2S")
        .header("expect", "100-continue");
    let (_, seen, headers) = send(gateway, request, "/api/x", Body::from("hello")).await;
    let of = |name: &str| seen["headers"][name].as_str();
    assert_eq!(seen["method"], "POST");
    assert_eq!(seen["body"], "hello");
    assert_eq!(of("content-length"), Some("5"));
    assert_eq!(of("authorization"), Some("Bearer x"));
    assert_eq!(of("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(of("x-forwarded-host"), Some(gateway.to_string().as_str()));
    assert_eq!(of("host"), Some(service.to_string().as_str()));
    for gone in [
        "x-private",
        "te",
        "proxy-authorization",
        "x-real-ip",
        "forwarded",
        "grpc-timeout",
        "expect",
    ] {
        assert_eq!(of(gone), None, "{gone}");
    }
    let left: u64 = of("x-request-timeout-ms").unwrap().parse().unwrap();
    assert!((1900..2000).contains(&left), "{left}");
    let parent = of("traceparent").unwrap();
    assert!(
        parent.starts_with(&TRACE[..36]) && parent != TRACE,
        "{parent}"
    );
    assert_eq!(headers["x-trace-id"], TRACE[3..35]);
    assert_eq!(headers["x-kept"], "1");
    assert!(!headers.contains_key("x-of-one-hop"));
}

#[tokio::test]
async fn both_bodies_are_streamed() {
    let (arrived, mut arrivals) = mpsc::unbounded_channel::<Bytes>();
    let echo = Router::new().fallback(move |request: Request| {
        let arrived = arrived.clone();
        async move {
            let pieces = request.into_body().into_data_stream();
            let pieces = futures_util::StreamExt::inspect(pieces, move |piece| {
                let _ = arrived.send(piece.as_ref().unwrap().clone());
            });
            Response::new(Body::from_stream(pieces))
        }
    });
    let gateway = gateway([upstream("/", &[serve(echo).await])]).await;
    let (pieces, feed) = mpsc::unbounded_channel::<Result<Bytes, Infallible>>();
    let body = Body::from_stream(stream::unfold(feed, |mut feed| async {
        feed.recv().await.map(|piece| (piece, feed))
    }));
    let request = http::Request::post(format!("http://{gateway}/echo"))
        .body(body)
        .unwrap();
    pieces.send(Ok("one".into())).unwrap();
    let mut response = client().request(request).await.unwrap().into_body();
    // Each piece makes the whole round before the next is sent.
    for piece in ["one", "two", "three"] {
        if piece != "one" {
            pieces.send(Ok(piece.into())).unwrap();
        }
        assert_eq!(arrivals.recv().await.unwrap(), piece);
        let came = response
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap();
        assert_eq!(came, piece);
    }
    drop(pieces);
    assert!(response.frame().await.is_none());
}

#[tokio::test]
async fn a_service_that_is_not_there_is_a_503() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = gone.local_addr().unwrap();
    drop(gone);
    let gateway = gateway([upstream("/", &[addr])]).await;
    let request = get().header("accept-language", "zh");
    let (status, body, headers) = ask(gateway, request, "/x").await;
    assert_eq!((status, &body["code"]), (503, &json!("UNAVAILABLE")));
    assert_eq!(headers["retry-after"], "1");
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(headers["content-language"], "zh-CN");
    assert_eq!(body["traceId"], TRACE[3..35]);
}

#[tokio::test]
async fn a_service_that_breaks_off_before_its_answer_is_a_502() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 1024];
            let _ = tcp.read(&mut buffer).await;
        }
    });
    let gateway = gateway([upstream("/", &[addr])]).await;
    let (status, body, _) = ask(gateway, get(), "/x").await;
    assert_eq!((status, &body["code"]), (502, &json!("UPSTREAM_BROKEN")));
}

/// Tells when it is dropped.
struct Dropped(mpsc::UnboundedSender<Instant>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(Instant::now());
    }
}

/// A service that never answers, and when its handlers start and end.
async fn silent() -> (
    SocketAddr,
    mpsc::UnboundedReceiver<()>,
    mpsc::UnboundedReceiver<Instant>,
) {
    let (started, starts) = mpsc::unbounded_channel();
    let (dropped, drops) = mpsc::unbounded_channel();
    let router = Router::new().fallback(move || {
        let presence = Dropped(dropped.clone());
        let _ = started.send(());
        async move {
            let _presence = presence;
            std::future::pending::<()>().await;
        }
    });
    (serve(router).await, starts, drops)
}

#[tokio::test]
async fn time_that_runs_out_is_a_504_and_stops_the_service() {
    let (service, _starts, mut drops) = silent().await;
    let slow = of("/slow", &[service.to_string()], Duration::from_millis(80));
    let gateway = gateway([slow, upstream("/", &[service])]).await;
    let (status, body, _) = ask(gateway, get(), "/slow/x").await;
    assert_eq!((status, &body["code"]), (504, &json!("DEADLINE_EXCEEDED")));
    drops.recv().await.unwrap();
    let hasty = get().header("x-request-timeout-ms", "50");
    let (status, _, _) = ask(gateway, hasty, "/x").await;
    assert_eq!(status, 504);
    drops.recv().await.unwrap();
}

#[tokio::test]
async fn a_client_who_leaves_stops_the_service() {
    let (service, mut starts, mut drops) = silent().await;
    let gateway = gateway([upstream("/", &[service])]).await;
    let mut waits = Vec::new();
    for _ in 0..20 {
        let mut tcp = TcpStream::connect(gateway).await.unwrap();
        tcp.write_all(b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        starts.recv().await.unwrap();
        let left = Instant::now();
        drop(tcp);
        waits.push(drops.recv().await.unwrap().saturating_duration_since(left));
    }
    waits.sort_unstable();
    println!(
        "from leaving to dropped, over the gateway: median {:?}",
        waits[10]
    );
    assert!(waits[10] < Duration::from_millis(200), "{waits:?}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_reset_and_never_a_clean_end() {
    let broken = Router::new().fallback(|request: Request| async move {
        // The first half is on its way before the second fails.
        let first = stream::iter([Ok(Bytes::from("half"))]);
        let failure = stream::once(async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            Err("the disk went away")
        });
        let pieces = futures_util::StreamExt::chain(first, failure);
        let mut response = Response::new(Body::from_stream(pieces));
        if request.uri().path() == "/sized" {
            response.headers_mut().insert("content-length", 8.into());
        }
        response
    });
    let gateway = gateway([upstream("/", &[serve(broken).await])]).await;
    for head in [
        "GET /chunked HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /sized HTTP/1.1\r\nhost: x\r\n\r\n",
        // Without a length the end of the stream would be the end of the answer.
        "GET /unsized HTTP/1.0\r\nhost: x\r\n\r\n",
    ] {
        let mut tcp = TcpStream::connect(gateway).await.unwrap();
        tcp.write_all(head.as_bytes()).await.unwrap();
        let mut text = Vec::new();
        let outcome = tcp.read_to_end(&mut text).await;
        let text = String::from_utf8_lossy(&text);
        assert!(outcome.is_err(), "{head}{text}");
        assert!(text.contains("half"), "{text}");
        assert!(!text.contains("\r\n0\r\n"), "{text}");
    }
}

#[tokio::test]
async fn a_service_that_falls_silent_in_its_answer_is_cut() {
    let stalled = Router::new().fallback(|| async {
        let first = stream::iter([Ok::<_, Infallible>(Bytes::from("half"))]);
        let never = stream::pending();
        Response::new(Body::from_stream(futures_util::StreamExt::chain(
            first, never,
        )))
    });
    let slow = UpstreamConfig {
        idle_timeout: Duration::from_millis(80),
        ..upstream("/", &[serve(stalled).await])
    };
    let gateway = gateway([slow]).await;
    let mut tcp = TcpStream::connect(gateway).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut text = Vec::new();
    assert!(tcp.read_to_end(&mut text).await.is_err());
}

#[tokio::test]
async fn connections_to_services_are_kept_and_instances_take_turns() {
    let one = serve(mirror("one")).await;
    let two = serve(mirror("two")).await;
    let gateway = gateway([upstream("/pair", &[one, two]), upstream("/", &[one])]).await;
    let mut peers = Vec::new();
    for _ in 0..3 {
        let (_, seen, _) = ask(gateway, get(), "/x").await;
        peers.push(seen["peer"].as_str().unwrap().to_owned());
    }
    peers.dedup();
    assert_eq!(peers.len(), 1, "a connection was not used again: {peers:?}");
    let served: Arc<Mutex<Vec<String>>> = Arc::default();
    for _ in 0..4 {
        let (_, seen, _) = ask(gateway, get(), "/pair").await;
        served
            .lock()
            .unwrap()
            .push(seen["service"].as_str().unwrap().into());
    }
    assert_eq!(*served.lock().unwrap(), ["one", "two", "one", "two"]);
}

#[tokio::test]
async fn what_could_not_work_refuses_to_start() {
    let addr: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let none: &[SocketAddr] = &[];
    let refusal = |upstreams: Vec<UpstreamConfig>| {
        let outcome: Result<Gateway, ConfigError> = Gateway::new(&config(upstreams), None);
        outcome.map(|_| ()).unwrap_err().to_string()
    };
    let no_port = of("/a", &["localhost".into()], Duration::from_secs(1));
    let route = |change: fn(&mut RouteConfig)| {
        let mut upstream = upstream("/a", &[addr]);
        change(&mut upstream.routes[0]);
        vec![upstream]
    };
    for (upstreams, expected) in [
        (vec![upstream("api", &[addr])], "starts with a slash"),
        (vec![upstream("/a", none)], "no endpoints"),
        (vec![no_port], "`localhost` is not host:port"),
        (vec![of("/a", &[addr.to_string()], Duration::ZERO)], "zero"),
        (vec![UpstreamConfig::default()], "one of http and grpc"),
        (
            vec![UpstreamConfig {
                routes: Vec::new(),
                ..upstream("/a", &[addr])
            }],
            "no routes",
        ),
        (
            route(|route| route.prefix = "/a?b".into()),
            "not a plain path",
        ),
        (route(|route| route.rewrite = Some("b".into())), "a slash"),
        (
            route(|route| route.methods = vec!["get".into()]),
            "not an HTTP method",
        ),
        (
            route(|route| route.headers.request.remove = vec!["a b".into()]),
            "not the name of a header",
        ),
        (
            route(|route| {
                let set = &mut route.headers.response.set;
                set.insert("Content-Length".into(), "1".into());
            }),
            "the gateway's own",
        ),
        (
            vec![upstream("/a", &[addr]), upstream("/a/", &[addr])],
            "twice",
        ),
    ] {
        let text = refusal(upstreams);
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn plaintext_to_another_machine_must_be_said() {
    let outcome = |http: &str| {
        let text = format!("upstreams: {{patient: {{http: {http}, routes: [{{prefix: /a}}]}}}}");
        let config = tenon_core::config::parse(&text, "gateway.yaml".as_ref()).unwrap();
        Gateway::new(&config, None).map_err(|problem| problem.to_string())
    };
    for here in ["127.0.0.1:1", "localhost:1", "[::1]:1"] {
        outcome(&format!("{{endpoints: ['{here}']}}")).unwrap();
    }
    for there in ["10.0.0.1:1", "patient:1", "[fe80::1]:1"] {
        let problem = outcome(&format!("{{endpoints: ['127.0.0.1:1', '{there}']}}"))
            .map(drop)
            .unwrap_err();
        for word in ["upstream patient", there, "`tls`", "`plaintext: allowed`"] {
            assert!(problem.contains(word), "{problem}");
        }
        outcome(&format!("{{endpoints: ['{there}'], plaintext: allowed}}")).unwrap();
        let missing = format!("{{endpoints: ['{there}'], tls: {{caFile: /nonexistent.crt}}}}");
        let problem = outcome(&missing).map(drop).unwrap_err();
        assert!(problem.contains("nonexistent"), "{problem}");
    }
    // gRPC is asked for the same, in the same words.
    let text =
        "upstreams: {shelf: {grpc: {endpoints: ['shelf:1']}, transcode: {reflection: true}}}";
    let config = tenon_core::config::parse(text, "gateway.yaml".as_ref()).unwrap();
    let problem = Gateway::new(&config, None).map(drop).unwrap_err();
    assert!(
        problem
            .to_string()
            .contains("upstream shelf: shelf:1 is not loopback")
    );
}

#[tokio::test]
async fn a_table_that_would_speak_plaintext_to_others_leaves_the_old_one() {
    let service = serve(mirror("patient")).await;
    let gateway = Gateway::new(&config([upstream("/api", &[service])]), None).unwrap();
    let address = serve(gateway.router()).await;
    let away = of("/api", &["patient:80".into()], Duration::from_secs(1));
    let problem = gateway.reload(&config([away])).unwrap_err().to_string();
    assert!(problem.contains("plaintext: allowed"), "{problem}");
    let (_, seen, _) = ask(address, get(), "/api/x").await;
    assert_eq!(seen["service"], "patient");
}

#[tokio::test]
async fn headers_are_renamed_removed_and_set_both_ways() {
    let service = serve(mirror("patient")).await;
    let text = format!(
        "upstreams:
           patient:
             http: {{endpoints: ['{service}'], timeout: 2s}}
             headers:
               request: {{set: {{x-edge: one}}, remove: [cookie]}}
               response: {{rename: {{x-kept: x-renamed}}}}
             routes:
               - prefix: /api/v1/patient
                 rewrite: /inner
                 timeout: 1s
                 headers:
                   request: {{rename: {{x-old: x-new}}, set: {{x-route: two}}}}
                   response: {{set: {{x-frame-options: DENY}}}}
         "
    );
    let config: GatewayConfig = tenon_core::config::parse(&text, "gateway.yaml".as_ref()).unwrap();
    let gateway = Gateway::new(&config, None).unwrap();
    let rows = gateway.routes();
    assert_eq!(rows[0]["path"], "/api/v1/patient/*");
    assert_eq!(rows[0]["timeoutMs"], 1000);
    let layers = rows[0]["layers"].as_array().unwrap();
    assert!(layers.iter().any(|layer| layer["name"] == "balance"));
    let gateway = serve(gateway.router()).await;
    let request = get()
        .header("cookie", "a=b")
        .header("x-old", "1")
        .header("x-old", "2")
        .header("x-edge", "forged");
    let (_, seen, headers) = ask(gateway, request, "/api/v1/patient/P1/visits?a=%20").await;
    let of = |name: &str| seen["headers"][name].as_str();
    assert_eq!(seen["uri"], "/inner/P1/visits?a=%20");
    assert_eq!(of("x-edge"), Some("one"));
    assert_eq!(of("x-route"), Some("two"));
    assert_eq!(
        (of("x-new"), of("x-old"), of("cookie")),
        (Some("2"), None, None)
    );
    let left: u64 = of("x-request-timeout-ms").unwrap().parse().unwrap();
    assert!((900..1000).contains(&left), "{left}");
    assert_eq!(headers["x-renamed"], "1");
    assert_eq!(headers["x-frame-options"], "DENY");
    assert!(!headers.contains_key("x-kept"));
}

#[tokio::test]
async fn methods_share_a_prefix_and_others_are_a_405() {
    let (reads, writes) = (serve(mirror("reads")).await, serve(mirror("writes")).await);
    let only = |service: SocketAddr, methods: &[&str]| {
        let mut upstream = upstream("/api", &[service]);
        upstream.routes[0].methods = methods.iter().map(|&name| name.to_owned()).collect();
        upstream
    };
    let gateway = gateway([only(reads, &["GET"]), only(writes, &["POST", "PUT"])]).await;
    let (_, seen, _) = ask(gateway, get(), "/api/x").await;
    assert_eq!(seen["service"], "reads");
    let (_, seen, _) = ask(gateway, http::Request::put("/"), "/api/x").await;
    assert_eq!(seen["service"], "writes");
    let (status, body, headers) = ask(gateway, http::Request::delete("/"), "/api/x").await;
    assert_eq!((status, &body["code"]), (405, &json!("METHOD_NOT_ALLOWED")));
    let allow = headers["allow"].to_str().unwrap();
    for method in ["GET", "POST", "PUT"] {
        assert!(allow.contains(method), "{allow}");
    }
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    gone.local_addr().unwrap()
}

#[tokio::test]
async fn dead_instances_among_live_ones_cost_no_request() {
    let live = serve(mirror("live")).await;
    let (one, other) = (nobody().await, nobody().await);
    let gateway = gateway([upstream("/", &[one, live, other])]).await;
    let mut failed = 0;
    for turn in 0..60 {
        let body = format!("upload {turn}");
        let (status, seen, _) =
            send(gateway, http::Request::post("/"), "/x", body.clone().into()).await;
        failed += usize::from(status != 200 || seen["body"] != body);
    }
    println!("failed requests with two of three instances dead: {failed} of 60");
    assert_eq!(failed, 0);
}

#[tokio::test]
async fn a_dead_instance_that_comes_back_is_asked_again() {
    let (live, dead) = (serve(mirror("live")).await, nobody().await);
    let gateway = gateway([upstream("/", &[dead, live])]).await;
    for _ in 0..4 {
        assert_eq!(ask(gateway, get(), "/x").await.0, 200);
    }
    let listener = tenon_net::bind(dead, "rest.listen").await.unwrap();
    tokio::spawn(tenon_net::serve(
        listener,
        mirror("risen"),
        Options::admin(),
        Lifecycle::new(),
    ));
    let risen = async {
        loop {
            let (_, seen, _) = ask(gateway, get(), "/x").await;
            if seen["service"] == "risen" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), risen)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_event_stream_passes_event_by_event() {
    let (events, feed) = mpsc::unbounded_channel::<Result<Bytes, Infallible>>();
    let feed = Arc::new(Mutex::new(Some(feed)));
    let source = Router::new().fallback(move || {
        let feed = feed.lock().unwrap().take().unwrap();
        let pieces = stream::unfold(feed, |mut feed| async {
            feed.recv().await.map(|piece| (piece, feed))
        });
        let mut response = Response::new(Body::from_stream(pieces));
        let kind = http::HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert("content-type", kind);
        std::future::ready(response)
    });
    let gateway = gateway([upstream("/", &[serve(source).await])]).await;
    let mut tcp = TcpStream::connect(gateway).await.unwrap();
    tcp.write_all(b"GET /events HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    let mut buffer = [0; 4096];
    for event in ["data: one\n\n", "data: two\n\n"] {
        events.send(Ok(event.into())).unwrap();
        while !text.contains(event) {
            let read = tcp.read(&mut buffer).await.unwrap();
            assert!(read > 0, "{text}");
            text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
    }
    assert!(text.contains("content-type: text/event-stream"), "{text}");
    drop(tcp);
    events.closed().await;
}
