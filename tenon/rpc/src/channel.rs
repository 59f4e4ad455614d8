//! A channel to a service across the network: its instances, and the calls that go to them.
//!
//! One HTTP/2 connection to each instance, made when the first call needs it and made again when
//! it breaks. Calls go round the instances that are connected.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use futures_util::future::select_ok;
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version, header, uri};
use http_body_util::Full;
use hyper::body::Incoming;
use prost::Message;
use tenon_core::{
    Context, Error, Result, catalogue,
    config::{ClientConfig, ConfigError},
};
use tenon_telemetry::{Metrics, Side};

use crate::{
    Method, catalogue as own,
    frame::{self, Encoding, Problem},
    observe::{Calling, Meter},
    outcome, status, timeout,
};

mod endpoint;
mod fault;

use endpoint::{Connection, Endpoint};
use fault::Fault;

/// The largest reply that is taken, counted after decompression.
const MAX_REPLY: u64 = 4 << 20;

/// A channel to a service. Cheap to clone; all clones share the connections.
#[derive(Clone)]
pub struct Channel {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    endpoints: Vec<Arc<Endpoint>>,
    next: AtomicUsize,
    timeout: std::time::Duration,
    meter: Meter,
}

impl Channel {
    /// A channel to the service `name`, as the section `clients` places it. Connects to nothing
    /// yet; calls are counted in `metrics`.
    ///
    /// # Errors
    /// There is no endpoint, or one is not `host:port`.
    pub fn new(
        name: impl Into<String>,
        config: &ClientConfig,
        metrics: &Metrics,
    ) -> Result<Self, ConfigError> {
        let name = name.into();
        let refused = |problem: String| ConfigError::new(format!("clients.{name}"), problem);
        if config.endpoints.is_empty() {
            return Err(refused(
                "no endpoints; expected host:port of each instance".to_owned(),
            ));
        }
        let endpoints = config
            .endpoints
            .iter()
            .map(|address| Endpoint::new(address).map(Arc::new).map_err(refused))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            inner: Arc::new(Inner {
                name,
                endpoints,
                next: AtomicUsize::new(0),
                timeout: config.timeout,
                meter: Meter::new(metrics.clone(), Side::Client),
            }),
        })
    }

    /// Calls a method with one message each way. The call ends when its context or the configured
    /// timeout does, whichever is sooner; a call that is dropped resets its stream, so that the
    /// service stops working on it.
    ///
    /// # Errors
    /// What the service answers; `DEADLINE_EXCEEDED` or `CANCELLED` when the context ends first;
    /// `UNAVAILABLE` when no instance can be reached, or its connection breaks under the call.
    pub async fn unary<Req, Resp>(
        &self,
        cx: &Context,
        method: &'static Method,
        req: Req,
    ) -> Result<Resp>
    where
        Req: Message,
        Resp: Message + Default,
    {
        let handle = self.inner.meter.of(method);
        let calling = Calling::start(&handle);
        let cx = cx.with_timeout(self.inner.timeout);
        let result = outcome::contain(&cx, self.inner.exchange(&cx, method, req))
            .await
            .map_err(|error| outcome::seen_by_caller(&cx, error));
        let elapsed = calling.finish(&result);
        tracing::debug!(
            target: "rpc",
            service = self.inner.name,
            method = method.path(),
            status = result.as_ref().err().map_or(0, |error| error.status() as u8),
            cause = result.as_ref().err().and_then(Error::cause_chain),
            duration_ms = elapsed.as_secs_f64() * 1000.0,
            trace_id = %cx.trace().trace_id(),
        );
        result
    }
}

impl Inner {
    async fn exchange<Req, Resp>(
        &self,
        cx: &Context,
        method: &'static Method,
        req: Req,
    ) -> Result<Resp>
    where
        Req: Message,
        Resp: Message + Default,
    {
        let message = frame::encode(&req)
            .ok_or_else(|| Error::internal("send the request", "a message is larger than 4 GiB"))?;
        let response = self.send(cx, method, message).await?;
        if let Some(answer) = status::read(response.headers()) {
            answer?;
        } else if response.status() != StatusCode::OK {
            return Err(status::of_http(response.status()));
        }
        let reply = self.read(response).await?;
        Resp::decode(reply).map_err(|cause| Error::internal("read the reply of the service", cause))
    }

    /// Sends the request on a live connection. One that the peer never began with goes to
    /// another; whatever may have begun is never sent twice.
    async fn send(
        &self,
        cx: &Context,
        method: &'static Method,
        message: Bytes,
    ) -> Result<Response<Incoming>> {
        let mut attempts = self.endpoints.len() + 1;
        loop {
            attempts -= 1;
            let mut connection = self.pick().await?;
            let request = request(cx, method, &connection, message.clone())?;
            match connection.send(request).await {
                Ok(response) => return Ok(response),
                Err(Fault::NotBegun(_)) if attempts > 0 => {}
                Err(fault) => return Err(fault.error(&self.name, connection.address())),
            }
        }
    }

    /// The next connection in turn; when there is none, the first that can be made.
    async fn pick(&self) -> Result<Connection> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        for step in 0..self.endpoints.len() {
            let at = turn.wrapping_add(step) % self.endpoints.len();
            if let Some(connection) = self.endpoints[at].ready() {
                return Ok(connection);
            }
        }
        let connecting = self
            .endpoints
            .iter()
            .map(|endpoint| Box::pin(endpoint.connected()));
        match select_ok(connecting).await {
            Ok((connection, _)) => Ok(connection),
            Err(problem) => Err(catalogue::UNAVAILABLE
                .error()
                .cause(format!("{}: {problem}", self.name))),
        }
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Bytes> {
        let broken = |problem: &str| {
            Error::internal(
                "read the reply of the service",
                format!("{}: {problem}", self.name),
            )
        };
        let (parts, body) = response.into_parts();
        let encoding =
            Encoding::of(&parts.headers).ok_or_else(|| broken("its encoding was not asked for"))?;
        let (message, trailers) =
            frame::read_one(body, encoding, MAX_REPLY)
                .await
                .map_err(|problem| match problem {
                    Problem::TooLarge => own::MESSAGE_TOO_LARGE.error().param("limit", MAX_REPLY),
                    Problem::Malformed(why) => broken(why),
                    Problem::Broken(cause) => Fault::of(cause).error(&self.name, "its connection"),
                })?;
        let outcome = trailers
            .as_ref()
            .and_then(status::read)
            .or_else(|| status::read(&parts.headers));
        outcome.ok_or_else(|| broken("it ended without a status"))??;
        message.ok_or_else(|| broken("it holds no message"))
    }
}

fn request(
    cx: &Context,
    method: &'static Method,
    connection: &Connection,
    message: Bytes,
) -> Result<Request<Full<Bytes>>> {
    let mut parts = uri::Parts::default();
    parts.scheme = Some(uri::Scheme::HTTP);
    parts.authority = Some(connection.authority().clone());
    parts.path_and_query = Some(uri::PathAndQuery::from_static(method.path()));
    let mut request = Request::new(Full::new(message));
    *request.method_mut() = http::Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() =
        Uri::from_parts(parts).map_err(|cause| Error::internal("address the call", cause))?;
    let headers = request.headers_mut();
    headers.reserve(8);
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    headers.insert(
        header::USER_AGENT,
        HeaderValue::from_static(concat!("tenon/", env!("CARGO_PKG_VERSION"))),
    );
    headers.insert(
        frame::GRPC_ACCEPT_ENCODING,
        HeaderValue::from_static(frame::ACCEPTED),
    );
    if let Some(remaining) = cx.remaining() {
        let sent = timeout::format(timeout::less_margin(remaining));
        insert(headers, "grpc-timeout", sent)?;
    }
    insert(headers, "traceparent", cx.trace().child().to_string())?;
    if let Some(token) = cx.principal().and_then(|principal| principal.token()) {
        let mut value = text(format!("Bearer {token}"))?;
        // Kept out of the compression tables of the connection.
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(request)
}

fn insert(headers: &mut http::HeaderMap, name: &'static str, value: String) -> Result<()> {
    headers.insert(name, text(value)?);
    Ok(())
}

fn text(value: String) -> Result<HeaderValue> {
    HeaderValue::try_from(value).map_err(|_| {
        // The value itself may be a token.
        Error::internal("send the request", "a header value is not printable")
    })
}
