//! The guard before a proxy: what it lets pass, and that the rest reaches no service.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, body::Body};
use http::{Method, Request, StatusCode, header};
use serde_json::json;
use tenon_auth::{Signer, Verifier};
use tenon_core::{
    Lifecycle, SystemClock,
    config::{AuthConfig, GatewayConfig, KeyConfig},
};
use tenon_gateway::{Gateway, Guard};
use tenon_net::Options;
use tower::ServiceExt;

struct Edge {
    gateway: Gateway,
    token: String,
    calls: Arc<AtomicUsize>,
}

impl Edge {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (signer, file) = (Signer::generate().unwrap(), folder.path().join("jwks.json"));
        signer.write_jwks(&file).unwrap();
        let config = AuthConfig {
            keys: vec![KeyConfig { file }],
            ..AuthConfig::default()
        };
        let verifier = Verifier::new(&config, Arc::new(SystemClock)).unwrap();
        let claims = json!({"sub": "account-1", "exp": 4_000_000_000_i64});
        let document = json!({"openapi": "3.1.0", "paths": {
            "/api/v1/login": {"post": {}},
            "/api/v1/thing/{id}/picture": {
                "parameters": [],
                "get": {"security": [{}, {"bearer": []}]},
                "put": {"security": [{"bearer": []}]},
            },
            "/api/v1/thing/{id}": {"get": {"security": [{"bearer": []}]}},
        }});
        let calls = Arc::new(AtomicUsize::new(0));
        let service = service(calls.clone()).await;
        let text = format!(
            "upstreams: {{all: {{http: {{endpoints: ['{service}']}}, routes: [{{prefix: /api/v1}}]}}}}"
        );
        let config: GatewayConfig =
            tenon_core::config::parse(&text, "gateway.yaml".as_ref()).unwrap();
        let guard = Guard::new(verifier.unwrap(), &document, 1000);
        Self {
            gateway: Gateway::new(&config, None).unwrap().guard(guard),
            token: format!("Bearer {}", signer.sign(&claims).unwrap()),
            calls,
        }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(header::HeaderName, &str)],
    ) -> StatusCode {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        self.gateway
            .clone()
            .oneshot(request)
            .await
            .unwrap()
            .status()
    }
}

/// A service that counts its calls; its address.
async fn service(calls: Arc<AtomicUsize>) -> String {
    let router = Router::new().fallback(move || {
        calls.fetch_add(1, Ordering::Relaxed);
        async { StatusCode::OK }
    });
    let any = "127.0.0.1:0".parse().unwrap();
    let listener = tenon_net::bind(any, "rest.listen").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(tenon_net::serve(
        listener,
        router,
        Options::admin(),
        Lifecycle::new(),
    ));
    address
}

#[tokio::test]
async fn only_open_operations_pass_without_a_token() {
    let edge = Edge::start().await;
    let open = [
        (Method::POST, "/api/v1/login"),
        (Method::GET, "/api/v1/thing/7/picture"),
        (Method::HEAD, "/api/v1/thing/7/picture?size=2"),
    ];
    for (method, path) in open {
        assert_eq!(edge.ask(method, path, &[]).await, StatusCode::OK, "{path}");
    }
    assert_eq!(edge.calls.load(Ordering::Relaxed), 3);
    let closed = [
        (Method::GET, "/api/v1/login"),
        (Method::POST, "/api/v1/login/"),
        (Method::POST, "/api/v1/login/x"),
        (Method::PUT, "/api/v1/thing/7/picture"),
        (Method::GET, "/api/v1/thing//picture"),
        (Method::GET, "/api/v1/thing/7"),
        (Method::GET, "/api/v1/unknown"),
    ];
    for (method, path) in closed {
        let forged = [(header::AUTHORIZATION, "Bearer a.b.c")];
        for headers in [&[] as &[_], &forged] {
            let status = edge.ask(method.clone(), path, headers).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
        }
    }
    assert_eq!(
        edge.calls.load(Ordering::Relaxed),
        3,
        "a refused request was forwarded"
    );
    let token = [(header::AUTHORIZATION, edge.token.as_str())];
    assert_eq!(
        edge.ask(Method::GET, "/api/v1/thing/7", &token).await,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_body_that_is_announced_as_too_large_is_not_forwarded() {
    let edge = Edge::start().await;
    let large = [(header::CONTENT_LENGTH, "1001")];
    let status = edge.ask(Method::POST, "/api/v1/login", &large).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(edge.calls.load(Ordering::Relaxed), 0);
}
