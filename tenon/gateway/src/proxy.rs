//! The proxy: a request goes to the service whose prefix its path has, and its answer comes back,
//! both streamed.

use std::{
    convert::Infallible,
    error::Error as StdError,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use axum::{Router, body::Body};
use http::{Uri, uri};
use http_body::Body as _;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tenon_core::{Code, Entry, Error, Result, catalogue, config::ConfigError};
use tenon_rest::{ByMethod, Journal, Request, Response, deadline, problem, trace};
use tenon_telemetry::Metrics;
use tokio::time::Instant;
use tower::Service;

use crate::{
    Guard,
    forward::{self, Watched},
};

/// What logs and metrics call the gateway.
const SERVICE: &str = "gateway";
/// How long connecting to a service may take: it is near, or it is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a connection to a service is kept unused: below the 60 s after which a service closes
/// it, so that no request runs into the close.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How many unused connections to one service are kept.
const IDLE_MAX: usize = 256;

/// The service broke the connection after it had the request. Unlike [`catalogue::UNAVAILABLE`],
/// nobody knows whether the work was done.
pub static UPSTREAM_BROKEN: Entry = Entry::new(
    "UPSTREAM_BROKEN",
    Code::Unavailable,
    "the service broke off before it answered; whether it did the work is not known",
    "后端服务在应答前中断，处理结果未知",
)
.http(502);

/// A service behind the gateway.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// The start of the paths that it serves, `/api/v1/patient`: itself and everything below it,
    /// not `/api/v1/patients`.
    pub prefix: String,
    /// The `host:port` of each instance; requests take turns.
    pub endpoints: Vec<String>,
    /// How long a request may take at most until its answer begins, and how long the answer may
    /// pause. The caller's own deadline shortens it; the service has its routes' times besides.
    pub timeout: Duration,
}

/// Forwards requests to services. Cheap to clone; a tower service, to stand as a router's
/// fallback. A path without a service is answered 404.
#[derive(Clone)]
pub struct Proxy {
    inner: Arc<Inner>,
    guard: Option<Guard>,
}

struct Inner {
    /// Longest prefix first.
    places: Vec<Place>,
    /// What has no service.
    nowhere: Option<ByMethod>,
    client: Client<HttpConnector, Body>,
}

/// An [`Upstream`], ready.
struct Place {
    prefix: String,
    /// What logs and metrics call the forwarded route.
    template: String,
    endpoints: Vec<uri::Authority>,
    turn: AtomicUsize,
    timeout: Duration,
    metrics: Option<ByMethod>,
}

impl Proxy {
    /// A proxy to these services. Nothing is connected before the first request.
    ///
    /// # Errors
    /// A prefix that does not start with a slash or stands twice, an endpoint that is no
    /// `host:port`, none at all, or a timeout of zero.
    pub fn new(
        upstreams: impl IntoIterator<Item = Upstream>,
        metrics: Option<&Metrics>,
    ) -> Result<Self, ConfigError> {
        let places: Result<Vec<_>, _> = upstreams
            .into_iter()
            .map(|upstream| Place::new(upstream, metrics))
            .collect();
        let mut places = places?;
        places.sort_by(|one, other| {
            let longest_first = other.prefix.len().cmp(&one.prefix.len());
            longest_first.then_with(|| one.prefix.cmp(&other.prefix))
        });
        if let Some(pair) = places
            .windows(2)
            .find(|pair| pair[0].prefix == pair[1].prefix)
        {
            return Err(refused(
                &pair[0].prefix,
                "the prefix stands twice; remove one of them",
            ));
        }
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_MAX)
            .build(connector);
        Ok(Self {
            inner: Arc::new(Inner {
                places,
                nowhere: metrics.map(|metrics| ByMethod::new(metrics, SERVICE, "")),
                client,
            }),
            guard: None,
        })
    }

    /// Asks this guard before anything is forwarded.
    #[must_use]
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guard = Some(guard);
        self
    }

    /// A router of the proxy alone.
    pub fn router(&self) -> Router {
        Router::new().fallback_service(self.clone())
    }

    async fn serve(self, request: Request) -> Response {
        let trace = trace::incoming(request.headers());
        let language = problem::language(request.headers());
        let place = self.inner.place(request.uri().path());
        let method = request.method().clone();
        let template = place.map_or("", |place| place.template.as_str());
        let metrics = place.map_or(&self.inner.nowhere, |place| &place.metrics);
        let metrics = metrics.as_ref().map(|metrics| metrics.of(&method));
        let journal = Journal::open(SERVICE, template, method, trace, metrics);
        let has_body = !request.body().is_end_stream();
        let outcome = match place {
            Some(place) => match self.admit(&request) {
                Ok(()) => self.inner.forward(place, request, trace).await,
                Err(refused) => Err(refused),
            },
            None => Err(catalogue::ROUTE_NOT_FOUND.error()),
        };
        let mut response = outcome.unwrap_or_else(|error| {
            let mut response = problem::response(error, language, &trace);
            if has_body {
                // Nobody may have read it to its end.
                forward::close(response.headers_mut());
            }
            response
        });
        problem::harden(response.headers_mut());
        trace::mark(response.headers_mut(), &trace);
        journal.close(&response);
        response
    }

    fn admit(&self, request: &Request) -> Result<()> {
        match &self.guard {
            Some(guard) => guard.admit(request),
            None => Ok(()),
        }
    }
}

impl Inner {
    fn place(&self, path: &str) -> Option<&Place> {
        self.places.iter().find(|place| {
            path.strip_prefix(&place.prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    async fn forward(
        &self,
        place: &Place,
        request: Request,
        trace: tenon_core::TraceContext,
    ) -> Result<Response> {
        let patience = deadline::patience(request.headers(), place.timeout);
        if patience.is_zero() {
            return Err(catalogue::DEADLINE_EXCEEDED.error());
        }
        let until = Instant::now() + patience;
        let has_body = !request.body().is_end_stream();
        let (mut head, body) = request.into_parts();
        head.uri = place.target(&head.uri)?;
        head.version = http::Version::HTTP_11;
        forward::prepare(&mut head, &trace, patience);
        let request = Request::from_parts(head, body);
        let response = match tokio::time::timeout_at(until, self.client.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(cause)) => return Err(failed(cause)),
            Err(_elapsed) => return Err(catalogue::DEADLINE_EXCEEDED.error()),
        };
        let (mut head, body) = response.into_parts();
        let unread = has_body && forward::closes(&head.headers);
        forward::without_hops(&mut head.headers);
        if unread {
            // The service did not read all of it; then neither did we.
            forward::close(&mut head.headers);
        }
        let body = Body::new(Watched::new(body, place.timeout));
        Ok(Response::from_parts(head, body))
    }
}

impl Place {
    fn new(upstream: Upstream, metrics: Option<&Metrics>) -> Result<Self, ConfigError> {
        let prefix = upstream.prefix.trim_end_matches('/').to_owned();
        if !upstream.prefix.starts_with('/') {
            return Err(refused(&upstream.prefix, "a prefix starts with a slash"));
        }
        if upstream.timeout.is_zero() {
            return Err(refused(
                &prefix,
                "a timeout of zero would refuse every request",
            ));
        }
        let endpoints: Vec<_> = upstream
            .endpoints
            .iter()
            .map(|endpoint| authority(&prefix, endpoint))
            .collect::<Result<_, _>>()?;
        if endpoints.is_empty() {
            return Err(refused(
                &prefix,
                "the service has no endpoint; give at least one host:port",
            ));
        }
        let template = format!("{prefix}/*");
        let metrics = metrics.map(|metrics| ByMethod::new(metrics, SERVICE, &template));
        Ok(Self {
            prefix,
            template,
            endpoints,
            turn: AtomicUsize::new(0),
            timeout: upstream.timeout,
            metrics,
        })
    }

    /// The same path and query at the next instance.
    fn target(&self, uri: &Uri) -> Result<Uri> {
        let turn = self.turn.fetch_add(1, Relaxed) % self.endpoints.len();
        let path = uri.path_and_query().map_or("/", uri::PathAndQuery::as_str);
        Uri::builder()
            .scheme(uri::Scheme::HTTP)
            .authority(self.endpoints[turn].clone())
            .path_and_query(path)
            .build()
            .map_err(|cause| Error::internal("address the service", cause))
    }
}

impl Service<Request> for Proxy {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let proxy = self.clone();
        Box::pin(async move { Ok(proxy.serve(request).await) })
    }
}

/// A service that could not be asked, or did not answer.
fn failed(cause: hyper_util::client::legacy::Error) -> Error {
    let entry = if cause.is_connect() {
        &catalogue::UNAVAILABLE
    } else if caller_broke_off(&cause) {
        &catalogue::CANCELLED
    } else {
        &UPSTREAM_BROKEN
    };
    entry.error().cause(cause)
}

/// Whether it was the caller's upload that ended too soon, and not the service.
fn caller_broke_off(cause: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(cause);
    while let Some(cause) = next {
        if let Some(broken) = cause.downcast_ref::<hyper::Error>()
            && broken.is_user()
        {
            return true;
        }
        next = cause.source();
    }
    false
}

fn authority(prefix: &str, endpoint: &str) -> Result<uri::Authority, ConfigError> {
    let parsed = endpoint.parse::<uri::Authority>();
    match parsed {
        Ok(authority) if authority.port().is_some() && !endpoint.contains('@') => Ok(authority),
        _ => Err(refused(prefix, &format!("`{endpoint}` is not host:port"))),
    }
}

fn refused(prefix: &str, problem: &str) -> ConfigError {
    ConfigError::new("gateway", format!("upstream {prefix}: {problem}"))
}
