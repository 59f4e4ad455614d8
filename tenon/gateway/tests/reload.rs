//! A table of routes that is replaced while requests run.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

#[path = "support/serve.rs"]
mod serve;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use axum::{Router, body::Body};
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serve::serve;
use tenon_core::config::GatewayConfig;
use tenon_gateway::Gateway;
use tokio::sync::{Notify, mpsc};

fn named(name: &'static str) -> Router {
    Router::new().fallback(move || async move { name })
}

fn text(routes: &[(&str, SocketAddr)]) -> String {
    let mut text = "upstreams:\n".to_owned();
    for (at, (prefix, address)) in routes.iter().enumerate() {
        text += &format!(
            "  u{at}: {{http: {{endpoints: ['{address}']}}, routes: [{{prefix: {prefix}}}]}}\n"
        );
    }
    text
}

fn config(routes: &[(&str, SocketAddr)]) -> GatewayConfig {
    tenon_core::config::parse(&text(routes), "gateway.yaml".as_ref()).unwrap()
}

fn client() -> Client<HttpConnector, Body> {
    Client::builder(TokioExecutor::new()).build_http()
}

async fn ask(
    client: &Client<HttpConnector, Body>,
    address: SocketAddr,
    path: &str,
) -> (u16, String) {
    let uri = format!("http://{address}{path}");
    let request = http::Request::get(uri).body(Body::empty()).unwrap();
    let response = client.request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_changes_under_load_fails_no_request() {
    let (one, other) = (serve(named("one")).await, serve(named("other")).await);
    let gateway = Gateway::new(&config(&[("/a", one), ("/b", other)]), None).unwrap();
    let address = serve(gateway.router()).await;
    let (done, sent) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let callers: Vec<_> = (0..4)
        .map(|caller| {
            let (done, sent) = (done.clone(), sent.clone());
            tokio::spawn(async move {
                let client = client();
                let path = ["/a/x", "/b/y"][caller % 2];
                let mut failed = Vec::new();
                while !done.load(Relaxed) {
                    let (status, body) = ask(&client, address, path).await;
                    sent.fetch_add(1, Relaxed);
                    if status != 200 || !["one", "other"].contains(&body.as_str()) {
                        failed.push((status, body));
                    }
                }
                failed
            })
        })
        .collect();
    let mut reloads = 0;
    while sent.load(Relaxed) < 2000 {
        let swapped = [("/a", other), ("/b", one), ("/new", one)];
        let back = [("/a", one), ("/b", other)];
        let next = if reloads % 2 == 0 {
            &swapped[..]
        } else {
            &back
        };
        gateway.reload(&config(next)).unwrap();
        reloads += 1;
        // A bad table changes nothing.
        let bad = [("/a", one), ("/a/", other)];
        assert!(gateway.reload(&config(&bad)).is_err());
        tokio::task::yield_now().await;
    }
    done.store(true, Relaxed);
    let mut failed = Vec::new();
    for caller in callers {
        failed.extend(caller.await.unwrap());
    }
    let sent = sent.load(Relaxed);
    println!(
        "failed requests over {reloads} reloads: {} of {sent}",
        failed.len()
    );
    assert!(failed.is_empty(), "{failed:?}");
}

#[tokio::test]
async fn requests_in_flight_end_on_the_table_they_began_on() {
    let (started, mut starts) = mpsc::unbounded_channel();
    let go = Arc::new(Notify::new());
    let waiting = go.clone();
    let slow = Router::new().fallback(move || {
        let (started, go) = (started.clone(), waiting.clone());
        async move {
            started.send(()).unwrap();
            go.notified().await;
            "old"
        }
    });
    let (old, new) = (serve(slow).await, serve(named("new")).await);
    let gateway = Gateway::new(&config(&[("/a", old)]), None).unwrap();
    let address = serve(gateway.router()).await;
    let first = tokio::spawn(async move { ask(&client(), address, "/a").await });
    starts.recv().await.unwrap();
    gateway.reload(&config(&[("/b", new)])).unwrap();
    let client = client();
    assert_eq!(ask(&client, address, "/a").await.0, 404);
    assert_eq!(ask(&client, address, "/b").await, (200, "new".to_owned()));
    assert_eq!(gateway.routes()[0]["path"], "/b/*");
    go.notify_one();
    assert_eq!(first.await.unwrap(), (200, "old".to_owned()));
}
