//! What passing the gateway costs, in CPU time of this process: client, gateway and service
//! together, so that the difference to the direct way is the gateway's.
//!
//! `cargo run --release -p tenon-gateway --example figures`
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "figures are what it is for, and whoever runs it sees where it failed"
)]

#[path = "../tests/support/library.rs"]
mod library;
#[path = "../tests/support/shelf.rs"]
mod shelf;

use std::{net::SocketAddr, time::Duration};

use axum::{Router, body::Body};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use library::Library;
use tenon_core::{
    Context, Lifecycle,
    config::{ClientConfig, GatewayConfig, RestConfig, RouteConfig, RpcConfig, UpstreamConfig},
};
use tenon_gateway::Gateway;
use tenon_net::Options;
use tenon_rpc::{Channel, Method, Metrics};

const WARM_UP: u32 = 500;
const REQUESTS: u32 = 20_000;

static GET_BOOK: Method = Method::new("/shelf.v1.ShelfService/GetBook");

async fn serve(router: Router) -> SocketAddr {
    let address = "127.0.0.1:0".parse().unwrap();
    let listener = tenon_net::bind(address, "rest.listen").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = Options::admin();
    tokio::spawn(tenon_net::serve(
        listener,
        router,
        options,
        Lifecycle::new(),
    ));
    address
}

fn config(upstream: UpstreamConfig) -> GatewayConfig {
    GatewayConfig {
        upstreams: [("one".to_owned(), upstream)].into(),
    }
}

/// User and system time of this process so far, to the tick of 10 ms.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit_once(") ").unwrap().1;
    let fields: Vec<&str> = after_name.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

async fn cost<F: AsyncFnMut()>(name: &str, mut work: F) -> f64 {
    for _ in 0..WARM_UP {
        work().await;
    }
    let before = cpu();
    for _ in 0..REQUESTS {
        work().await;
    }
    let each = (cpu() - before).as_secs_f64() * 1e6 / f64::from(REQUESTS);
    println!("{name:<44} {each:>7.1} us CPU a request");
    each
}

fn at(address: SocketAddr, path: &str) -> http::Uri {
    format!("http://{address}{path}").parse().unwrap()
}

async fn get(client: &Client<HttpConnector, Body>, uri: &http::Uri) {
    let request = http::Request::get(uri.clone()).body(Body::empty()).unwrap();
    let response = client.request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    response.into_body().collect().await.unwrap();
}

fn client() -> Client<HttpConnector, Body> {
    Client::builder(TokioExecutor::new()).build_http()
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    what_forwarding_costs().await;
    what_transcoding_costs().await;
}

async fn what_forwarding_costs() {
    let client = client();
    let service = serve(Router::new().fallback(|| async { "hello" })).await;
    let gateway = Gateway::new(
        &config(UpstreamConfig {
            http: Some(ClientConfig::to([service.to_string()])),
            routes: vec![RouteConfig::new("/")],
            ..UpstreamConfig::default()
        }),
        None,
    );
    let gateway = serve(gateway.unwrap().router()).await;
    let (direct, forwarded) = (at(service, "/x"), at(gateway, "/x"));
    let one = cost("HTTP, direct", async || get(&client, &direct).await).await;
    let two = cost("HTTP, through the gateway", async || {
        get(&client, &forwarded).await
    })
    .await;
    println!(
        "a forwarded request costs {:.1} us more, {:.2} times",
        two - one,
        two / one
    );
}

async fn what_transcoding_costs() {
    let (client, library) = (client(), Library::new());
    let listener = tenon_net::bind("127.0.0.1:0".parse().unwrap(), "rpc.listen")
        .await
        .unwrap();
    let to = ClientConfig::to([listener.local_addr().unwrap().to_string()]);
    let options = Options::rpc(&RpcConfig::default());
    let door = library.door.clone();
    tokio::spawn(tenon_net::serve(
        listener,
        door.clone(),
        options,
        Lifecycle::new(),
    ));
    let channel = Channel::new("library", &to, &Metrics::new()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shelf.binpb");
    std::fs::write(&file, shelf::descriptors()).unwrap();
    let mut upstream = UpstreamConfig {
        grpc: Some(to),
        ..UpstreamConfig::default()
    };
    upstream.transcode.descriptors = vec![file];
    let transcode = upstream.transcode.clone();
    let remote = serve(Gateway::new(&config(upstream), None).unwrap().router()).await;
    let local = Gateway::transcode(
        "library",
        door,
        &[&shelf::descriptors()],
        &transcode,
        &RestConfig::default().guards(),
        None,
    );
    let local = serve(local.unwrap().router()).await;
    // `name: "shelves/1/books/2"`
    let message = Bytes::from_static(b"\x0a\x11shelves/1/books/2");
    let cx = Context::background();
    let direct = cost("gRPC, direct", async || {
        let call = channel.unary_bytes(&cx, &GET_BOOK, message.clone());
        call.await.unwrap();
    })
    .await;
    let path = "/v1/shelves/1/books/2";
    let (remote, local) = (at(remote, path), at(local, path));
    let far = cost("JSON to gRPC, through the gateway", async || {
        get(&client, &remote).await
    })
    .await;
    let near = cost("JSON to gRPC, in one process", async || {
        get(&client, &local).await
    })
    .await;
    let (far, near) = (far / direct, near / direct);
    println!(
        "a transcoded call costs {far:.2} times a direct one over the network, {near:.2} times in one process"
    );
}
