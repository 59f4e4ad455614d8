//! A small service behind a door, and requests to it, for the tests of the door.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

use std::{fmt::Write, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tenon_auth::{Signer, Verifier};
use tenon_core::{
    SystemClock,
    config::{AuthConfig, KeyConfig, RestConfig},
};
use tenon_rest::{Door, Method, Response, Route, Routes};
use tower::ServiceExt;

/// A trace that a caller brings, so that documents are the same in every run.
pub(crate) const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Limits that no test meets unless it sets them.
pub(crate) fn config() -> RestConfig {
    RestConfig {
        timeout: Duration::from_secs(5),
        max_bytes: 1024,
        ..RestConfig::default()
    }
}

pub(crate) fn door(routes: Routes) -> Door {
    Door::new("patient", config(), routes)
}

/// The router of a single route that answers any JSON body with its length.
pub(crate) fn length_router() -> Router {
    static LENGTH: Route = Route::new(Method::Post, "/length", "length");
    let routes = Routes::new(()).route(&LENGTH, |_, _, body: Value| async move {
        Ok(body.to_string().len())
    });
    tenon_rest::with_fallbacks(door(routes.build()).router().unwrap())
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        let (head, body) = response.into_parts();
        Self {
            status: head.status,
            headers: head.headers,
            body: body.collect().await.unwrap().to_bytes().to_vec(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Status, headers and body as text; the span of the server is new in each run.
    pub(crate) fn document(&self) -> String {
        let mut text = format!("HTTP {}\n", self.status.as_u16());
        let mut names: Vec<_> = self.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        for name in names.into_iter().filter(|name| *name != "traceparent") {
            writeln!(text, "{name}: {}", self.header(name).unwrap()).unwrap();
        }
        let body = serde_json::to_string_pretty(&self.json()).unwrap();
        format!("{text}\n{body}")
    }
}

pub(crate) fn get(path: &str) -> http::request::Builder {
    Request::get(path).header("traceparent", TRACE)
}

pub(crate) fn post(path: &str) -> http::request::Builder {
    Request::post(path)
        .header("traceparent", TRACE)
        .header("content-type", "application/json")
}

pub(crate) async fn ask(router: &Router, request: http::request::Builder) -> Answer {
    send(router, request.body(Body::empty()).unwrap()).await
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answer {
    Answer::of(router.clone().oneshot(request).await.unwrap()).await
}

/// An issuer of tokens and what verifies them.
pub(crate) struct Issuer {
    signer: Signer,
    pub(crate) verifier: Arc<Verifier>,
    _folder: tempfile::TempDir,
}

impl Issuer {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let signer = Signer::generate().unwrap();
        let file = folder.path().join("keys.json");
        signer.write_jwks(&file).unwrap();
        let config = AuthConfig {
            keys: vec![KeyConfig { file }],
            ..AuthConfig::default()
        };
        let verifier = Verifier::new(&config, Arc::new(SystemClock))
            .unwrap()
            .unwrap();
        Self {
            signer,
            verifier,
            _folder: folder,
        }
    }

    /// The value of an `authorization` header.
    pub(crate) fn bearer(&self, subject: &str) -> HeaderValue {
        self.until(subject, jiff::Timestamp::now().as_second() + 600)
    }

    pub(crate) fn expired(&self, subject: &str) -> HeaderValue {
        self.until(subject, jiff::Timestamp::now().as_second() - 600)
    }

    fn until(&self, subject: &str, exp: i64) -> HeaderValue {
        let token = self
            .signer
            .sign(&json!({"sub": subject, "exp": exp}))
            .unwrap();
        HeaderValue::from_str(&format!("Bearer {token}")).unwrap()
    }
}
