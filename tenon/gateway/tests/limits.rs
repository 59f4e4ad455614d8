//! What guards the routes of a gateway: rate limits, places in flight and breakers.

#![expect(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

#[path = "support/serve.rs"]
mod serve;

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, body::Body, http::HeaderMap};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use serve::serve;
use tenon_core::config::{GatewayConfig, Guards, RestConfig};
use tenon_gateway::Gateway;
use tenon_telemetry::Metrics;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Notify, mpsc},
};

/// A service that answers with the address that it is told its caller has.
fn telling() -> Router {
    Router::new().fallback(|headers: HeaderMap| async move {
        let client = headers.get("x-forwarded-for");
        client.map_or("nobody".to_owned(), |it| it.to_str().unwrap().to_owned())
    })
}

fn upstream(prefix: &str, service: SocketAddr) -> GatewayConfig {
    let text = format!(
        "upstreams: {{one: {{http: {{endpoints: ['{service}']}}, routes: [{{prefix: {prefix}}}]}}}}"
    );
    tenon_core::config::parse(&text, "gateway.yaml".as_ref()).unwrap()
}

/// The guards of a section `rest`.
fn guards(text: &str) -> Guards {
    let rest: RestConfig = tenon_core::config::parse(text, "gateway.yaml".as_ref()).unwrap();
    rest.guards()
}

fn client() -> Client<HttpConnector, Body> {
    Client::builder(TokioExecutor::new()).build_http()
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |it| it.to_str().unwrap())
    }

    fn code(&self) -> String {
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        problem["code"].as_str().unwrap().to_owned()
    }
}

async fn ask(gateway: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::get(format!("http://{gateway}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    let response = client().request(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: head.status,
        headers: head.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

#[tokio::test]
async fn who_asks_too_often_is_told_so_and_no_header_helps() {
    let (service, metrics) = (serve(telling()).await, Metrics::new());
    let limits = guards("rateLimits: [{name: all, by: route, requests: 2, per: 1h}]");
    let gateway = Gateway::guarded(&upstream("/a", service), &limits, Some(&metrics)).unwrap();
    let address = serve(gateway.router()).await;
    for left in ["1", "0"] {
        let answer = ask(address, "/a", &[]).await;
        assert_eq!(answer.status, StatusCode::OK);
        let state = answer.header("ratelimit");
        assert!(state.starts_with(&format!("\"all\";r={left}")), "{state}");
    }
    for headers in [
        &[][..],
        &[("x-forwarded-for", "203.0.113.7")],
        &[("x-request-timeout-ms", "1"), ("priority", "u=0")],
        &[("x-criticality", "critical"), ("upgrade", "websocket")],
    ] {
        let answer = ask(address, "/a", headers).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{headers:?}");
        assert_eq!(answer.code(), "RATE_LIMITED");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let after: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1700..=1800).contains(&after), "{after}");
    }
    let shown = metrics.encode();
    let counted = shown.lines().find(|line| {
        line.starts_with("resilience_refused_requests_total")
            && line.contains("route=\"* /a/*\"")
            && line.contains("reason=\"rate-route\"")
    });
    let counted = counted.unwrap_or_else(|| panic!("{shown}"));
    assert!(counted.contains("service=\"gateway\""), "{counted}");
    assert!(counted.ends_with(" 4"), "{counted}");
    let breaker =
        "resilience_breaker_refusing_ratio{door=\"rest\",service=\"gateway\",route=\"* /a/*\"";
    assert!(shown.contains(breaker), "{shown}");
    // A route that is gone has no breaker.
    gateway.reload(&upstream("/b", service)).unwrap();
    assert!(!metrics.encode().contains(breaker));
    gateway.reload(&upstream("/a", service)).unwrap();
    // What has no route is not counted against anybody.
    assert_eq!(ask(address, "/b", &[]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn addresses_are_those_of_callers_through_trusted_proxies_only() {
    let service = serve(telling()).await;
    let limit = "rateLimits: [{name: each, by: address, requests: 1, per: 1h}]";
    let address = |text: &str| {
        let gateway = Gateway::guarded(&upstream("/a", service), &guards(text), None).unwrap();
        serve(gateway.router())
    };
    let alone = address(limit).await;
    let (one, other) = (
        [("x-forwarded-for", "203.0.113.1")],
        [("x-forwarded-for", "203.0.113.2")],
    );
    let answer = ask(alone, "/a", &one).await;
    assert_eq!(
        (answer.status, &*answer.body),
        (StatusCode::OK, "127.0.0.1")
    );
    let answer = ask(alone, "/a", &other).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);

    let behind = address(&format!("{limit}\ntrustedProxies: [127.0.0.1]")).await;
    for claim in [one, other] {
        let answer = ask(behind, "/a", &claim).await;
        assert_eq!(answer.status, StatusCode::OK);
        // The service is told whom the proxy spoke for.
        assert_eq!(answer.body, claim[0].1);
        let answer = ask(behind, "/a", &claim).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    }
}

#[tokio::test]
async fn a_route_has_so_many_places_and_no_more() {
    let (started, mut starts) = mpsc::unbounded_channel();
    let go = Arc::new(Notify::new());
    let waiting = go.clone();
    let slow = Router::new().fallback(move || {
        let (started, go) = (started.clone(), waiting.clone());
        async move {
            started.send(()).unwrap();
            go.notified().await;
            "done"
        }
    });
    let (slow, quick) = (serve(slow).await, serve(telling()).await);
    let text = format!(
        "upstreams:
           slow: {{http: {{endpoints: ['{slow}']}}, routes: [{{prefix: /slow, maxInFlight: 1}}]}}
           quick: {{http: {{endpoints: ['{quick}']}}, routes: [{{prefix: /quick}}]}}"
    );
    let config: GatewayConfig = tenon_core::config::parse(&text, "gateway.yaml".as_ref()).unwrap();
    let address = serve(Gateway::new(&config, None).unwrap().router()).await;
    let first = tokio::spawn(async move { ask(address, "/slow", &[]).await });
    starts.recv().await.unwrap();
    let answer = ask(address, "/slow", &[]).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.code(), "OVERLOADED");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(ask(address, "/quick", &[]).await.status, StatusCode::OK);
    go.notify_one();
    assert_eq!(first.await.unwrap().body, "done");
    // The place is free again.
    let next = tokio::spawn(async move { ask(address, "/slow", &[]).await });
    starts.recv().await.unwrap();
    go.notify_one();
    assert_eq!(next.await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn limits_change_while_it_runs_and_buckets_stay() {
    let service = serve(telling()).await;
    let config = upstream("/a", service);
    let strict = guards("rateLimits: [{name: all, by: route, requests: 1, per: 1h}]");
    let gateway = Gateway::guarded(&config, &strict, None).unwrap();
    let address = serve(gateway.router()).await;
    assert_eq!(ask(address, "/a", &[]).await.status, StatusCode::OK);
    // Another table with the same limit: what was used up stays used up.
    let mut wider = upstream("/a", service);
    wider.upstreams.extend([("two".to_owned(), {
        let mut two = upstream("/b", service).upstreams.remove("one").unwrap();
        two.routes[0].criticality = Some("critical".to_owned());
        two
    })]);
    gateway.reload(&wider).unwrap();
    let refused = StatusCode::TOO_MANY_REQUESTS;
    assert_eq!(ask(address, "/a", &[]).await.status, refused);
    assert_eq!(ask(address, "/b", &[]).await.status, StatusCode::OK);
    assert_eq!(ask(address, "/b", &[]).await.status, refused);
    // A limit on the new route alone, and fewer places.
    let loose = guards(
        "maxInFlight: 7\nbreaker: false\nrateLimits: [{name: b, by: route, requests: 1, per: 1h, routes: ['* /b/*']}]",
    );
    gateway.prepare(&wider, &loose).unwrap().apply();
    assert_eq!(ask(address, "/a", &[]).await.status, StatusCode::OK);
    let rows = gateway.routes();
    let of = |path: &str| rows.iter().find(|row| row["path"] == path).unwrap();
    let has = |path: &str, name: &str, settings: &str| {
        let layers = of(path)["layers"].as_array().unwrap();
        let layer = layers.iter().find(|layer| layer["name"] == name);
        let layer = layer.unwrap_or_else(|| panic!("{path} has no {name}: {layers:?}"));
        let shown = layer["settings"].as_str().unwrap_or_default();
        assert!(shown.contains(settings), "{path} {name}: {shown}");
    };
    has("/b/*", "rate-limit", "b by route 1/3600s");
    has("/a/*", "in-flight", "at most 7");
    has("/b/*", "shedding", "critical");
    assert_eq!(of("/b/*")["criticality"], json!("critical"));
    let names = of("/a/*")["layers"].to_string();
    assert!(!names.contains("rate-limit") && !names.contains("breaker"));
    // What names no route changes nothing.
    let wrong = guards("rateLimits: [{name: c, by: route, requests: 9, routes: ['GET /c/*']}]");
    let problem = gateway.prepare(&wider, &wrong).map(drop).unwrap_err();
    assert!(problem.to_string().contains("`GET /c/*`"), "{problem}");
    assert_eq!(gateway.guards().unwrap().config().max_in_flight, 7);
}

#[tokio::test]
async fn a_service_that_is_gone_opens_the_breaker_and_one_that_answers_errors_does_not() {
    let gone = "127.0.0.1:1".parse().unwrap();
    let failing = Router::new().fallback(|| async { StatusCode::INTERNAL_SERVER_ERROR });
    let failing = serve(failing).await;
    for (service, expected) in [(gone, true), (failing, false)] {
        let gateway = Gateway::new(&upstream("/a", service), None).unwrap();
        let address = serve(gateway.router()).await;
        let mut opened = false;
        for _ in 0..100 {
            let answer = ask(address, "/a", &[]).await;
            if answer.status == StatusCode::SERVICE_UNAVAILABLE && answer.code() == "CIRCUIT_OPEN" {
                assert!(!answer.header("retry-after").is_empty());
                opened = true;
            }
        }
        assert_eq!(opened, expected, "{service}");
    }
}

#[tokio::test]
async fn who_is_refused_keeps_the_connection() {
    let service = serve(telling()).await;
    let limits = guards("rateLimits: [{name: all, by: route, requests: 1, per: 1h}]");
    let gateway = Gateway::guarded(&upstream("/a", service), &limits, None).unwrap();
    let address = serve(gateway.router()).await;
    let mut tcp = TcpStream::connect(address).await.unwrap();
    for expected in ["200", "429", "429"] {
        let request = b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello";
        tcp.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        // The head, and a body that is smaller than the rest of the buffer.
        while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut piece = [0; 2048];
            let read = tcp.read(&mut piece).await.unwrap();
            assert_ne!(read, 0, "the connection was closed");
            answer.extend_from_slice(&piece[..read]);
        }
        let text = String::from_utf8_lossy(&answer);
        assert!(text.starts_with(&format!("HTTP/1.1 {expected}")), "{text}");
        assert!(!text.contains("connection: close"), "{text}");
        let (head, rest) = text.split_once("\r\n\r\n").unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let mut left = length.unwrap().parse::<usize>().unwrap() - rest.len();
        while left > 0 {
            let mut piece = vec![0; left];
            left -= tcp.read(&mut piece).await.unwrap();
        }
    }
}

/// A body that does not come is its client's doing: forty of them close the route for nobody.
#[tokio::test]
async fn clients_that_stall_their_bodies_close_no_route() {
    let reading = Router::new().fallback(|body: axum::body::Bytes| async move { body });
    let (service, metrics) = (serve(reading).await, Metrics::new());
    let text = format!(
        "upstreams: {{one: {{http: {{endpoints: ['{service}']}}, \
         routes: [{{prefix: /a, timeout: 500ms}}]}}}}"
    );
    let config = tenon_core::config::parse(&text, "gateway.yaml".as_ref()).unwrap();
    let gateway = Gateway::guarded(&config, &guards("{}"), Some(&metrics)).unwrap();
    let address = serve(gateway.router()).await;
    let stalled = (0..40).map(|_| async move {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let head = b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf";
        socket.write_all(head).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    });
    for answer in futures_util::future::join_all(stalled).await {
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(answer.contains("BODY_TOO_SLOW"), "{answer}");
    }
    for _ in 0..40 {
        assert_eq!(ask(address, "/a", &[]).await.status, StatusCode::OK);
    }
}
