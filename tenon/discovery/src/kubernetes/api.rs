//! The two requests that are made of the API server, with the service account of the pod:
//! `GET` of the EndpointSlices of one service, once as a list and once as a watch.

use std::{path::PathBuf, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tenon_core::config::KubernetesConfig;
use tokio::{task::JoinHandle, time::timeout};

use super::slices::{Metadata, Slice};
use crate::connect::{Tls, chain, connect};

/// Where a pod finds its service account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// How long the head of an answer, and a whole list, may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the server is asked to keep a watch; the token is read anew for the next one.
const WATCH: Duration = Duration::from_secs(300);
/// A watch that lasts longer than it was asked for hangs.
const WATCH_OVERDUE: Duration = Duration::from_secs(30);
/// How many slices one answer holds; a slice holds 100 endpoints by default.
const PAGE: u32 = 500;
/// The largest list, and the largest event: a slice has at most 1,000 endpoints of some 500 bytes.
const LIST_BYTES_MAX: usize = 64 << 20;
const EVENT_BYTES_MAX: usize = 4 << 20;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Problem {
    /// The version to go on from is too old.
    Gone,
    /// Anything else.
    Failed(String),
}

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

/// The way to the slices of one service.
pub(super) struct Api {
    address: String,
    authority: String,
    tls: Option<Tls>,
    token_file: PathBuf,
    /// Whether the token must be there: it was named, or this is a pod.
    token_needed: bool,
    path: String,
}

/// All slices at one version.
pub(super) struct Listed {
    pub(super) slices: Vec<Slice>,
    pub(super) version: String,
}

/// What a watch tells.
pub(super) enum Event {
    /// A slice is new or has changed.
    Put(Slice),
    /// A slice is gone.
    Deleted(Slice),
    /// Nothing changed up to this version.
    Bookmark(String),
}

impl Api {
    pub(super) fn new(config: &KubernetesConfig) -> Result<Self, String> {
        let server = match &config.server {
            Some(server) => server.clone(),
            None => of_cluster()?,
        };
        let uri: Uri = server
            .parse()
            .map_err(|_| format!("kubernetes.server: `{server}` is not a URL"))?;
        let host = uri.host().unwrap_or_default();
        let encrypted = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
        let account = PathBuf::from(ACCOUNT);
        let namespace = match &config.namespace {
            Some(namespace) => namespace.clone(),
            None => std::fs::read_to_string(account.join("namespace"))
                .map(|text| text.trim().to_owned())
                .map_err(|_| "kubernetes.namespace is missing, and this is no pod that has one")?,
        };
        let tls = encrypted.then(|| Tls {
            ca: config
                .ca_file
                .clone()
                .unwrap_or_else(|| account.join("ca.crt")),
            identity: None,
            server_name: host.trim_matches(['[', ']']).to_owned(),
            protocol: "http/1.1",
        });
        Ok(Self {
            address: format!("{host}:{port}"),
            authority: uri
                .authority()
                .map_or_else(String::new, ToString::to_string),
            tls,
            token_needed: config.token_file.is_some() || config.server.is_none(),
            token_file: config
                .token_file
                .clone()
                .unwrap_or_else(|| account.join("token")),
            path: format!(
                "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices\
                 ?labelSelector=kubernetes.io%2Fservice-name%3D{}",
                config.service
            ),
        })
    }

    pub(super) async fn list(&self) -> Result<Listed, Problem> {
        let mut slices = Vec::new();
        let mut proceed = String::new();
        loop {
            let path = format!("{}&limit={PAGE}{proceed}", self.path);
            let page = async {
                let (response, _driver) = self.get(&path).await?;
                let body = Limited::new(response.into_body(), LIST_BYTES_MAX)
                    .collect()
                    .await;
                let body = body.map_err(|error| format!("the list broke off: {error}"))?;
                serde_json::from_slice::<List>(&body.to_bytes()).map_err(|error| {
                    Problem::Failed(format!("a list that cannot be read: {error}"))
                })
            };
            let page = match timeout(ANSWER_TIMEOUT, page).await {
                Ok(page) => page?,
                Err(_) => {
                    return Err(Problem::Failed(format!(
                        "no list within {ANSWER_TIMEOUT:?}"
                    )));
                }
            };
            slices.extend(page.items.into_iter().flatten());
            match page.metadata.proceed {
                Some(token) if !token.is_empty() => {
                    proceed = format!("&continue={}", escaped(&token))
                }
                _ => {
                    let version = page.metadata.resource_version;
                    return Ok(Listed { slices, version });
                }
            }
        }
    }

    pub(super) async fn watch(&self, version: &str) -> Result<Watch, Problem> {
        let path = format!(
            "{}&watch=1&allowWatchBookmarks=true&timeoutSeconds={}&resourceVersion={}",
            self.path,
            WATCH.as_secs(),
            escaped(version)
        );
        match timeout(ANSWER_TIMEOUT, self.get(&path)).await {
            Ok(got) => {
                let (response, driver) = got?;
                Ok(Watch {
                    body: response.into_body(),
                    buffer: BytesMut::new(),
                    ends_at: tokio::time::Instant::now() + WATCH + WATCH_OVERDUE,
                    _driver: driver,
                })
            }
            Err(_) => Err(Problem::Failed(format!(
                "no watch within {ANSWER_TIMEOUT:?}"
            ))),
        }
    }

    async fn get(&self, path: &str) -> Result<(Response<Incoming>, Driver), Problem> {
        let connected = connect(&self.address, self.tls.as_ref()).await?;
        let shaken = http1::handshake(TokioIo::new(connected.stream)).await;
        let (mut sender, connection) = shaken.map_err(|error| chain(&error))?;
        let driver = Driver(tokio::spawn(async move {
            // Whoever reads the answer is told how it ended.
            let _ = connection.await;
        }));
        let mut request = Request::builder()
            .uri(path)
            .header(header::HOST, &self.authority)
            .header(header::ACCEPT, "application/json")
            .header(
                header::USER_AGENT,
                concat!("tenon/", env!("CARGO_PKG_VERSION")),
            );
        if let Some(token) = self.token()? {
            request = request.header(header::AUTHORIZATION, token);
        }
        let request = request
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| chain(&error))?;
        match response.status() {
            StatusCode::OK => Ok((response, driver)),
            StatusCode::GONE => Err(Problem::Gone),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Err(Problem::Failed(format!(
                    "the API server answered {status}; let the service account get, list and watch \
                 endpointslices of the namespace"
                )))
            }
            status => Err(Problem::Failed(format!("the API server answered {status}"))),
        }
    }

    fn token(&self) -> Result<Option<HeaderValue>, Problem> {
        let text = match std::fs::read_to_string(&self.token_file) {
            Ok(text) => text,
            Err(_) if !self.token_needed => return Ok(None),
            Err(cause) => {
                let file = self.token_file.display();
                return Err(Problem::Failed(format!(
                    "the token {file} cannot be read: {cause}"
                )));
            }
        };
        let value = HeaderValue::try_from(format!("Bearer {}", text.trim()));
        let mut value = value.map_err(|_| "the token is no text".to_owned())?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// The API server as a pod is told of it.
fn of_cluster() -> Result<String, String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    match (
        variable("KUBERNETES_SERVICE_HOST"),
        variable("KUBERNETES_SERVICE_PORT"),
    ) {
        (Some(host), Some(port)) if host.contains(':') => Ok(format!("https://[{host}]:{port}")),
        (Some(host), Some(port)) => Ok(format!("https://{host}:{port}")),
        _ => Err("kubernetes.server is missing, and this is no pod of a cluster".to_owned()),
    }
}

/// For a query: everything but RFC 3986's unreserved characters is escaped.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The task of a connection; it ends with the answer.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    metadata: ListMetadata,
    items: Option<Vec<Slice>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListMetadata {
    resource_version: String,
    #[serde(rename = "continue")]
    proceed: Option<String>,
}

/// A watch that was begun: one JSON object a line.
pub(super) struct Watch {
    body: Incoming,
    buffer: BytesMut,
    ends_at: tokio::time::Instant,
    _driver: Driver,
}

impl Watch {
    /// The next event; `None` when the server ended the watch in good order.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, Problem> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return read(&line).map(Some);
            }
            if self.buffer.len() > EVENT_BYTES_MAX {
                return Err(Problem::Failed(format!(
                    "an event above {EVENT_BYTES_MAX} bytes"
                )));
            }
            match tokio::time::timeout_at(self.ends_at, self.body.frame()).await {
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Ok(Some(Err(error))) => return Err(Problem::Failed(chain(&error))),
                Ok(None) if self.buffer.is_empty() => return Ok(None),
                Ok(None) => {
                    return Err(Problem::Failed(
                        "the watch broke off in an event".to_owned(),
                    ));
                }
                Err(_) => return Err(Problem::Failed("the watch hangs".to_owned())),
            }
        }
    }
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    object: serde_json::Value,
}

fn read(line: &[u8]) -> Result<Event, Problem> {
    let unread = |error: serde_json::Error| {
        Problem::Failed(format!("an event that cannot be read: {error}"))
    };
    let line: Line = serde_json::from_slice(line).map_err(unread)?;
    match line.kind.as_str() {
        "ADDED" | "MODIFIED" => Ok(Event::Put(
            serde_json::from_value(line.object).map_err(unread)?,
        )),
        "DELETED" => Ok(Event::Deleted(
            serde_json::from_value(line.object).map_err(unread)?,
        )),
        "BOOKMARK" => {
            let metadata = line.object.get("metadata").cloned().unwrap_or_default();
            let metadata: Metadata = serde_json::from_value(metadata).map_err(unread)?;
            Ok(Event::Bookmark(metadata.resource_version))
        }
        "ERROR" => {
            let code = line.object.get("code").and_then(serde_json::Value::as_u64);
            match code {
                Some(410) => Err(Problem::Gone),
                code => Err(Problem::Failed(format!(
                    "the watch failed with {}",
                    code.unwrap_or(0)
                ))),
            }
        }
        other => Err(Problem::Failed(format!(
            "an event of the unknown kind {other}"
        ))),
    }
}
