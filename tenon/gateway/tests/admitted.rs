//! A call that is transcoded in its own process passes two doors, and the share of what has waited
//! too long for a thread is taken once. In simulated time.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

#[path = "support/shelf.rs"]
mod shelf;

use std::time::Duration;

use axum::{Router, body::Body};
use prost::Message;
use tenon_core::config::{RestConfig, RpcConfig, TranscodeConfig};
use tenon_gateway::Gateway;
use tenon_net::Readable;
use tenon_rpc::{Method, Server, Service};
use tenon_telemetry::Metrics;
use tokio::time::{Instant, advance};
use tower::ServiceExt;

static GET_MESSAGE: Method = Method::new("/shelf.v1.ShelfService/GetMessage");

/// The runtime looks at its timers so often while it is busy.
const TURN: Duration = Duration::from_millis(40);
/// So many requests come in that time, and each has waited so long.
const CAME: usize = 40;
const WAITED: Duration = Duration::from_millis(200);

#[derive(Clone, PartialEq, Message)]
struct Text {
    #[prost(string, tag = "1")]
    text: String,
}

/// The router of a service that opens its methods itself, with a section `rest` of these keys.
fn router(rest: &str, metrics: &Metrics) -> Router {
    let service = Service::builder("shelf.v1.ShelfService", ());
    let service = service.unary(&GET_MESSAGE, |_, _, asked: Text| async move { Ok(asked) });
    let door = Server::new("shelf", RpcConfig::default())
        .metrics(metrics)
        .service(service.build())
        .into_service()
        .unwrap();
    let rest: RestConfig = tenon_core::config::parse(rest, "shelf.yaml".as_ref()).unwrap();
    let (descriptors, config) = (shelf::descriptors(), TranscodeConfig::default());
    let gateway = Gateway::transcode(
        "shelf",
        door,
        &[&descriptors],
        &config,
        &rest.guards(),
        Some(metrics),
    );
    gateway.unwrap().router()
}

/// Presses the routers for a while.
async fn press(routers: &[&Router]) {
    for _ in 0..250 {
        advance(TURN).await;
        for router in routers.repeat(CAME) {
            let mut request = http::Request::new(Body::empty());
            *request.uri_mut() = "/v1/messages/hello".parse().unwrap();
            let readable = Readable(Instant::now() - WAITED);
            request.extensions_mut().insert(readable);
            let response = router.clone().oneshot(request).await.unwrap();
            let status = response.status().as_u16();
            assert!(matches!(status, 200 | 503), "{status}");
        }
    }
}

/// How many a door refused for their wait.
fn refused_at(door: &str, metrics: &Metrics) -> usize {
    let text = metrics.encode();
    let text = String::from_utf8(text.into()).unwrap();
    let lines = text.lines().filter(|line| {
        line.starts_with("resilience_refused_requests_total")
            && line.contains(&format!("door=\"{door}\""))
            && line.contains("reason=\"wait\"")
    });
    lines
        .map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap())
        .sum()
}

#[tokio::test(start_paused = true)]
async fn what_one_door_lets_in_the_other_does_not_refuse_for_its_wait() {
    let metrics = Metrics::new();
    press(&[&router("{}", &metrics)]).await;
    assert!(refused_at("rest", &metrics) > 0, "nothing was shed");
    assert_eq!(refused_at("rpc", &metrics), 0);
}

#[tokio::test(start_paused = true)]
async fn where_the_first_door_does_not_shed_the_second_does() {
    let (shedding, open) = (Metrics::new(), Metrics::new());
    let first = router("{}", &shedding);
    let second = router("{shedding: {enabled: false}}", &open);
    // Both stand before the same threads: what waits at the one is refused at the other.
    press(&[&first, &second]).await;
    assert_eq!(refused_at("rest", &open), 0);
    assert!(refused_at("rpc", &open) > 0, "nothing was shed");
}
