//! How a `grpc` upstream is called: its settings are held against its contract, change under the
//! connections that are open, and are shown.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

#[path = "support/library.rs"]
mod library;
#[path = "support/shelf.rs"]
mod shelf;

use std::{fmt::Write, net::SocketAddr, path::PathBuf};

use axum::body::Body;
use http_body_util::BodyExt;
use library::Library;
use serde_json::Value;
use tempfile::TempDir;
use tenon_core::{
    Lifecycle,
    config::{ConfigError, GatewayConfig, RpcConfig},
};
use tenon_gateway::Gateway;
use tenon_net::Options;
use tower::ServiceExt;

/// A library, and the descriptors of its contract.
struct Town {
    _library: Library,
    address: SocketAddr,
    folder: TempDir,
}

impl Town {
    async fn new() -> Self {
        let library = Library::new();
        let any = "127.0.0.1:0".parse().unwrap();
        let listener = tenon_net::bind(any, "rpc.listen").await.unwrap();
        let address = listener.local_addr().unwrap();
        let options = Options::rpc(&RpcConfig::default());
        let door = library.door.clone();
        tokio::spawn(tenon_net::serve(listener, door, options, Lifecycle::new()));
        let folder = tempfile::tempdir().unwrap();
        let town = Self {
            _library: library,
            address,
            folder,
        };
        std::fs::write(town.file(), shelf::descriptors()).unwrap();
        town
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("shelf.binpb")
    }

    /// A gateway before the library, with more keys of `grpc`.
    fn config(&self, more: &str) -> GatewayConfig {
        let (address, file) = (self.address, self.file());
        let mut text = "upstreams: { library: { ".to_owned();
        write!(
            text,
            "grpc: {{ endpoints: ['{address}'], {more} }}, transcode: {{ descriptors: ['{}'] }} }} }}",
            file.display()
        )
        .unwrap();
        tenon_core::config::parse(&text, "gateway.yaml".as_ref()).unwrap()
    }

    fn gateway(&self, more: &str) -> Result<Gateway, ConfigError> {
        Gateway::new(&self.config(more), None)
    }
}

/// How many milliseconds the service is given for a message. Its door gives three seconds at most.
async fn given(gateway: &Gateway) -> u64 {
    let request = http::Request::get("/v1/messages/time").body(Body::empty());
    let response = gateway.router().oneshot(request.unwrap()).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    body["text"].as_str().unwrap().parse().unwrap()
}

fn row(gateway: &Gateway, path: &str) -> Value {
    let mut rows = gateway.routes().into_iter();
    rows.find(|row| row["path"] == path).unwrap()
}

#[tokio::test]
async fn a_method_that_the_contract_does_not_have_is_refused_with_the_nearest() {
    let town = Town::new().await;
    for (more, words) in [
        (
            "timeouts: { GetMesage: 1s }",
            ["library", "grpc.timeouts", "`GetMesage`", "`GetMessage`"],
        ),
        (
            "retry: { methods: [ListBook] }",
            ["library", "grpc.retry.methods", "`ListBook`", "`ListBooks`"],
        ),
        (
            "retry: { methods: [CreateBook] }",
            [
                "library",
                "grpc.retry.methods",
                "`CreateBook`",
                "idempotency_level",
            ],
        ),
    ] {
        let problem = town.gateway(more).map(|_| ()).unwrap_err().to_string();
        println!("{problem}");
        assert!(words.iter().all(|word| problem.contains(word)), "{problem}");
    }
    // Also of a table that is to take the place of another, which stays.
    let gateway = town.gateway("timeout: 2500ms").unwrap();
    let misspelt = town.config("timeout: 500ms, timeouts: { GetMesage: 1s }");
    let problem = gateway.reload(&misspelt).unwrap_err().to_string();
    assert!(problem.contains("`GetMesage`"), "{problem}");
    assert!((501..=2500).contains(&given(&gateway).await));
}

#[tokio::test]
async fn an_http_upstream_has_no_methods_to_name() {
    for more in ["timeouts: { Get: 1s }", "retry: { methods: [Get] }"] {
        let text = format!(
            "upstreams: {{ shop: {{ http: {{ endpoints: ['127.0.0.1:1'], {more} }}, \
             routes: [{{ prefix: /shop }}] }} }}"
        );
        let config = tenon_core::config::parse(&text, "gateway.yaml".as_ref()).unwrap();
        let problem = Gateway::new(&config, None).map(|_| ()).unwrap_err();
        assert!(problem.to_string().contains("shop"), "{problem}");
        assert!(problem.to_string().contains("grpc"), "{problem}");
    }
}

#[tokio::test]
async fn the_time_of_one_method_may_be_longer_than_that_of_all_and_ends_streams() {
    let town = Town::new().await;
    let named = "timeout: 500ms, timeouts: { GetMessage: 2500ms, WatchBooks: 100ms }";
    let gateway = town.gateway(named).unwrap();
    let given = given(&gateway).await;
    assert!((501..=2500).contains(&given), "{given} ms");
    assert_eq!(
        row(&gateway, "/v1/messages/{message_id}")["timeoutMs"],
        2_500
    );
    assert_eq!(row(&gateway, "/files/{path=**}")["timeoutMs"], 500);
    let watch = "/v1/{parent=shelves/*}/books:watch";
    assert_eq!(row(&gateway, watch)["timeoutMs"], 100);
    // The library says one book and then nothing any more.
    let target = "/v1/shelves/7/books:watch?pageSize=1&authors=silent";
    let request = http::Request::get(target).body(Body::empty()).unwrap();
    let response = gateway.router().oneshot(request).await.unwrap();
    let (mut body, mut text) = (response.into_body(), String::new());
    // Broken behind the error, so that it does not look whole.
    while let Some(Ok(frame)) = body.frame().await {
        text += &String::from_utf8_lossy(frame.data_ref().unwrap());
    }
    assert!(text.contains("Volume 0"), "{text}");
    assert!(text.contains("DEADLINE_EXCEEDED"), "{text}");
}

#[tokio::test]
async fn settings_change_under_a_connection_that_stays() {
    let town = Town::new().await;
    let gateway = town.gateway("timeout: 1s").unwrap();
    given(&gateway).await;
    let [before] = gateway.clients().try_into().unwrap();
    assert_eq!(before["client"], "library");
    assert_eq!(before["instances"][0]["connection"], "ready");
    assert!(before.to_string().contains("breaker"));
    let changed = town.config("timeout: 2500ms, breaker: false, timeouts: { ListBooks: 3s }");
    gateway.reload(&changed).unwrap();
    let [after] = gateway.clients().try_into().unwrap();
    assert_eq!(
        after["instances"][0]["connection"], "ready",
        "no new channel"
    );
    assert!(!after.to_string().contains("breaker"));
    let list = after["methods"].as_array().unwrap().iter();
    let list = list.filter(|row| row["method"] == "/shelf.v1.ShelfService/ListBooks");
    assert!(list.count() == 1 && after.to_string().contains("3s, also of a whole stream"));
    assert!((1001..=2500).contains(&given(&gateway).await));
}
