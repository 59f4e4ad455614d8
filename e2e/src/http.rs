//! The client of the suite. Every answer of the gateway is held against the OpenAPI document,
//! and every problem document against what all of them promise.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

use crate::{contract, secrets, world::World};

/// How long an answer may take. No route of the platform has more time than a few seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Connects anew for each request: a process that was killed leaves no stale connection behind.
pub(crate) struct Client(legacy::Client<HttpConnector, Full<Bytes>>);

impl Client {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let builder = legacy::Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        Self(builder)
    }

    /// `GET` without anything else: status and body.
    pub(crate) async fn plain(&self, base: &str, path: &str) -> (u16, Bytes) {
        let request = Request::get(format!("{base}{path}")).body(Full::default());
        let answer = self.send(request.unwrap()).await.unwrap();
        (answer.status, answer.body)
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let exchange = async {
            let response = self
                .0
                .request(request)
                .await
                .map_err(|cause| told(&cause))?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.map_err(|cause| told(&cause))?;
            Ok(Answer::new(
                head.status.as_u16(),
                head.headers,
                body.to_bytes(),
            ))
        };
        let exchange = tokio::time::timeout(PATIENCE, exchange);
        exchange
            .await
            .unwrap_or_else(|_| panic!("no answer within {PATIENCE:?}"))
    }
}

fn told(cause: &dyn std::error::Error) -> String {
    let mut text = cause.to_string();
    let mut next = cause.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// A request in the making.
#[must_use]
pub(crate) struct Call<'w> {
    world: &'w World,
    base: String,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl World {
    /// A request to the gateway.
    pub(crate) fn call(&self, method: &str, path: impl Into<String>) -> Call<'_> {
        Call {
            world: self,
            base: self.gateway(),
            method: method.parse().unwrap(),
            path: path.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// `GET` in somebody's name.
    pub(crate) async fn get(&self, token: &str, path: impl Into<String>) -> Answer {
        self.call("GET", path).token(token).send().await
    }

    /// `POST` of a JSON value in somebody's name.
    pub(crate) async fn post(&self, token: &str, path: &str, body: &Value) -> Answer {
        self.call("POST", path).token(token).json(body).send().await
    }
}

impl Call<'_> {
    /// Sends it to another address than the gateway's.
    pub(crate) fn at(mut self, base: String) -> Self {
        self.base = base;
        self
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().unwrap();
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        self.headers.insert(name, value);
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.bytes("application/json", body.to_string())
    }

    pub(crate) fn bytes(mut self, media_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", media_type)
    }

    /// The body without saying what it is.
    pub(crate) fn untyped(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends the request; the answer must come and be as documented.
    pub(crate) async fn send(self) -> Answer {
        let shown = format!("{} {}", self.method, self.path);
        let answer = self.try_send().await;
        answer.unwrap_or_else(|problem| panic!("{shown}: {problem}"))
    }

    /// Sends the request. An error is a connection that could not be had or broke.
    pub(crate) async fn try_send(self) -> Result<Answer, String> {
        let Self {
            world,
            base,
            method,
            path,
            headers,
            body,
        } = self;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method.clone();
        *request.uri_mut() = format!("{base}{path}").parse().unwrap();
        *request.headers_mut() = headers;
        let answer = world.client().send(request).await?;
        if base == world.gateway() {
            let document = world.document().await;
            let plain = path.split('?').next().unwrap_or_default();
            if let Err(problem) = contract::check(document, method.as_str(), plain, &answer) {
                panic!("{method} {path} is answered {answer}: {problem}");
            }
        }
        if answer.status >= 400 {
            secrets::assert_absent(&answer.body, &format!("the problem document of {path}"));
        }
        Ok(answer)
    }
}

/// An answer with its body.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The body where it is JSON, else null.
    pub(crate) json: Value,
}

impl Answer {
    fn new(status: u16, headers: HeaderMap, body: Bytes) -> Self {
        let json = serde_json::from_slice(&body).unwrap_or_default();
        Self {
            status,
            headers,
            body,
            json,
        }
    }

    /// The body of an answer that must have this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self}");
        self.json
    }

    /// Status and code of a problem document.
    pub(crate) fn problem(&self) -> (u16, &str) {
        (self.status, self.json["code"].as_str().unwrap_or_default())
    }

    /// Where the violations of a problem document are, sorted.
    pub(crate) fn faulty(&self) -> Vec<&str> {
        let errors = self.json["errors"].as_array();
        let errors = errors.into_iter().flatten();
        let mut paths: Vec<&str> = errors.filter_map(|error| error["path"].as_str()).collect();
        paths.sort_unstable();
        paths
    }

    pub(crate) fn header(&self, name: impl header::AsHeaderName) -> &str {
        let value = self.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        let start: String = body.chars().take(600).collect();
        write!(f, "{} {start}", self.status)
    }
}

/// A text member that must be there.
#[track_caller]
pub(crate) fn text(value: &Value, name: &str) -> String {
    let text = value[name].as_str();
    text.unwrap_or_else(|| panic!("{name} is missing in {value}"))
        .to_owned()
}
