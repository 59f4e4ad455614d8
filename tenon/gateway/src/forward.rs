//! A route that is forwarded: the request goes to an instance of the service, the answer comes
//! back, both streamed. Another instance is asked only when nothing of the request was sent.

use std::{error::Error as StdError, net::IpAddr, sync::Arc, time::Duration};

use axum::body::Body;
use http::{Method, Uri, header, request, uri};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::{
    client::legacy::{
        Client, Error as ClientError,
        connect::{CaptureConnection, capture_connection},
    },
    rt::{TokioExecutor, TokioTimer},
};
use tenon_core::{Code, Entry, Error, Result, TraceContext, catalogue};
use tenon_rest::{ByMethod, Request, Response};
use tokio::time::Instant;

use crate::balance::{Lease, Targets};

mod connector;
pub(crate) mod headers;
mod rules;
mod tunnel;
mod upload;
mod watched;

pub(crate) use connector::Connector;
pub(crate) use rules::HeaderRules;
use upload::Upload;
use watched::Watched;

/// How long a connection to a service is kept unused: below the 60 s after which a service closes
/// it, so that no request runs into the close.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How many unused connections to one instance are kept.
const IDLE_MAX: usize = 256;
/// How many instances one request is tried at: the dead among them are ejected by the first
/// requests that meet them, so that more are never needed for long.
const ATTEMPTS_MAX: usize = 8;

/// The service broke the connection after it had the request. Unlike [`catalogue::UNAVAILABLE`],
/// nobody knows whether the work was done.
pub static UPSTREAM_BROKEN: Entry = Entry::new(
    "UPSTREAM_BROKEN",
    Code::Unavailable,
    "the service broke off before it answered; whether it did the work is not known",
    "后端服务在应答前中断，处理结果未知",
)
.http(502);

/// What requests to one upstream are forwarded with. Cheap to clone; all clones share the
/// connections.
#[derive(Clone)]
pub(crate) struct HttpClient(Client<Connector, Body>);

impl HttpClient {
    pub(crate) fn new(connector: Connector) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_MAX)
            .build(connector);
        Self(client)
    }
}

/// One route, ready.
pub(crate) struct Forward {
    /// The name of the upstream.
    pub(crate) upstream: String,
    /// Without a slash at its end.
    pub(crate) prefix: String,
    /// What stands in its place for the service.
    pub(crate) rewrite: Option<String>,
    /// Empty for all.
    pub(crate) methods: Vec<Method>,
    /// What logs and metrics call it.
    pub(crate) template: String,
    pub(crate) timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) websocket: bool,
    pub(crate) request_rules: Vec<HeaderRules>,
    pub(crate) response_rules: Vec<HeaderRules>,
    pub(crate) targets: Arc<Targets>,
    pub(crate) client: HttpClient,
    pub(crate) metrics: Option<ByMethod>,
    /// The number of its guard in the table.
    pub(crate) place: usize,
}

impl Forward {
    /// Whether the path is the prefix or stands below it.
    pub(crate) fn covers(&self, path: &str) -> bool {
        path.strip_prefix(&self.prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// As rate limits name it: the methods and the template, `* /api/v1/patient/*`.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.verbs(), self.template)
    }

    /// The methods as the table of routes shows them.
    pub(crate) fn verbs(&self) -> String {
        let methods: Vec<&str> = self.methods.iter().map(Method::as_str).collect();
        match methods.as_slice() {
            [] => "*".to_owned(),
            methods => methods.join(", "),
        }
    }

    pub(crate) fn takes(&self, method: &Method) -> bool {
        self.methods.is_empty() || self.methods.contains(method)
    }

    /// Sends the request of `client` on, within `patience`.
    ///
    /// # Errors
    /// `DEADLINE_EXCEEDED`; `UNAVAILABLE` when no instance could be connected; `UPSTREAM_BROKEN`
    /// when one had the request and broke off; `CANCELLED` when the caller's upload broke off.
    pub(crate) async fn send(
        &self,
        mut request: Request,
        client: Option<IpAddr>,
        trace: &TraceContext,
        patience: Duration,
    ) -> Result<Response> {
        let until = Instant::now() + patience;
        let upgrade = self.upgrade(&mut request);
        let (mut head, body) = request.into_parts();
        headers::prepare(&mut head, client, trace, patience);
        for rules in &self.request_rules {
            rules.apply(&mut head.headers);
        }
        if upgrade.is_some() {
            headers::open_websocket(&mut head.headers);
        }
        head.version = http::Version::HTTP_11;
        // What the server knows of the connection is not the next connection's affair.
        head.extensions.clear();
        let upload = Upload::new(body);
        let (response, lease) = self.exchange(&head, &upload, until).await?;
        Ok(self.answer(response, !upload.is_empty(), upgrade, lease))
    }

    /// The client's half of a WebSocket, if one is asked for and may pass.
    fn upgrade(&self, request: &mut Request) -> Option<OnUpgrade> {
        let wanted = self.websocket && headers::opens_websocket(request.headers());
        wanted.then(|| hyper::upgrade::on(request))
    }

    /// Asks one instance after another until one has the request.
    async fn exchange(
        &self,
        head: &request::Parts,
        upload: &Upload,
        until: Instant,
    ) -> Result<(http::Response<Incoming>, Lease)> {
        let mut tried: Vec<Lease> = Vec::new();
        let mut last = None;
        while tried.len() < ATTEMPTS_MAX {
            let (Some(lease), Some(body)) = (self.targets.pick(&tried), upload.attempt()) else {
                break;
            };
            let mut head = head.clone();
            head.uri = self.target(&head.uri, lease.authority())?;
            let mut request = http::Request::from_parts(head, body);
            let connection = capture_connection(&mut request);
            let sent = self.client.0.request(request);
            match tokio::time::timeout_at(until, sent).await {
                Ok(Ok(response)) => {
                    self.targets.answered(&lease);
                    return Ok((response, lease));
                }
                Ok(Err(cause)) if never_sent(&cause) => {
                    self.targets.unreachable(&lease);
                    tried.push(lease);
                    last = Some(cause);
                }
                Ok(Err(cause)) if caller_broke_off(&cause) => {
                    return Err(catalogue::CANCELLED.error().cause(cause));
                }
                Ok(Err(cause)) => {
                    self.targets.broke_off(&lease);
                    return Err(UPSTREAM_BROKEN.error().cause(cause));
                }
                Err(_elapsed) => {
                    self.late(&connection, &lease);
                    return Err(upload.late());
                }
            }
        }
        let error = catalogue::UNAVAILABLE.error();
        Err(match last {
            Some(cause) => error.cause(cause),
            None => error.cause(format!("{} has no instances", self.upstream)),
        })
    }

    /// An instance that did not even take the connection in the time is not there.
    fn late(&self, connection: &CaptureConnection, lease: &Lease) {
        if connection.connection_metadata().is_none() {
            self.targets.unreachable(lease);
        }
    }

    fn answer(
        &self,
        response: http::Response<Incoming>,
        has_body: bool,
        upgrade: Option<OnUpgrade>,
        lease: Lease,
    ) -> Response {
        let (mut head, body) = response.into_parts();
        let switches = head.status == http::StatusCode::SWITCHING_PROTOCOLS
            && headers::opens_websocket(&head.headers);
        let unread = has_body && headers::closes(&head.headers);
        headers::without_hops(&mut head.headers);
        for rules in &self.response_rules {
            rules.apply(&mut head.headers);
        }
        if let (true, Some(client)) = (switches, upgrade) {
            let mut response = http::Response::from_parts(head, body);
            let service = hyper::upgrade::on(&mut response);
            headers::open_websocket(response.headers_mut());
            tunnel::open(client, service, self.idle_timeout, lease);
            return response.map(|_| Body::empty());
        }
        if unread {
            // The service did not read all of it; then neither did we.
            headers::close(&mut head.headers);
        }
        let body = Body::new(Watched::new(body, self.idle_timeout, lease));
        Response::from_parts(head, body)
    }

    /// The same path and query at an instance.
    fn target(&self, uri: &Uri, authority: &uri::Authority) -> Result<Uri> {
        let whole = uri.path_and_query().map_or("/", uri::PathAndQuery::as_str);
        let rewritten = self.rewrite.as_ref().map(|rewrite| {
            let rest = whole.strip_prefix(&self.prefix).unwrap_or(whole);
            match (rewrite.is_empty(), rest.starts_with('/')) {
                (true, false) => format!("/{rest}"),
                _ => format!("{rewrite}{rest}"),
            }
        });
        Uri::builder()
            .scheme(uri::Scheme::HTTP)
            .authority(authority.clone())
            .path_and_query(rewritten.as_deref().unwrap_or(whole))
            .build()
            .map_err(|cause| Error::internal("address the service", cause))
    }
}

/// Whether nothing of the request can have reached the service: the connection was never made,
/// or was gone before the request was written.
fn never_sent(cause: &ClientError) -> bool {
    cause.is_connect() || any(cause, hyper::Error::is_canceled)
}

/// Whether it was the caller's upload that ended too soon, and not the service.
fn caller_broke_off(cause: &ClientError) -> bool {
    any(cause, hyper::Error::is_user)
}

fn any(cause: &(dyn StdError + 'static), is: fn(&hyper::Error) -> bool) -> bool {
    let mut next = Some(cause);
    while let Some(cause) = next {
        if cause.downcast_ref::<hyper::Error>().is_some_and(is) {
            return true;
        }
        next = cause.source();
    }
    false
}

/// What a caller is told of the methods that a path takes.
pub(crate) fn allow(methods: &[Method]) -> Option<(header::HeaderName, http::HeaderValue)> {
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    let value = http::HeaderValue::from_str(&names.join(", ")).ok()?;
    Some((header::ALLOW, value))
}
