//! The gRPC door: services behind the steps that every call passes.
//!
//! Outermost first: trace (`traceparent`), access log, metrics, deadline (`grpc-timeout`, and the
//! configured one at most: 4), guards (see `guard`: 8 or 14), token (a bad one is 16; none is no
//! caller), recovery (a panic is 13), handler. The call's context is cancelled when its future is
//! dropped, which is what the accept loop does when the caller resets the stream or goes away.
//!
//! A call that streams passes the same steps, and stays within them until its last message:
//! [`Held`] is what a call holds for as long as it lives.

use std::{
    collections::{HashMap, hash_map},
    convert::Infallible,
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task,
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use tenon_auth::Verifier;
use tenon_core::trace::STATE;
use tenon_core::{
    Context, Error, Lifecycle, Messages, PeerIdentity, Principal, Result, TraceContext,
    catalogue::METHOD_UNIMPLEMENTED,
    config::{ConfigError, Reflection, RpcConfig},
    context::CancelGuard,
};
use tenon_net::Peer;
use tenon_profile::{Label, labelled};
use tenon_resilience::DoorGuards;
use tenon_telemetry::{Metrics, RpcMethod, Side};
use tokio::time::Instant;

use crate::{
    BoxError, BoxFuture, Method, ReplyBody, Service, catalogue, criticality,
    frame::{self, Encoding, Problem, Receiver},
    health, outcome, reflection, retry,
    service::{Answer, Handler, Operation},
    status, timeout,
};

mod flow;
mod guard;
mod record;
mod rows;

pub(crate) use flow::Flow;
use guard::{Guard, Visit};
use record::Record;
pub use rows::MethodRow;

/// What OpenTelemetry calls a method that is not known: its name is the caller's text.
const OTHER: &str = "_OTHER";

/// Collects the services of a process and makes the door to them.
pub struct Server {
    name: String,
    config: RpcConfig,
    verifier: Option<Arc<Verifier>>,
    metrics: Metrics,
    life: Option<Lifecycle>,
    services: Vec<Service>,
}

impl Server {
    /// A door of the service `name`, with its section `rpc`.
    pub fn new(name: impl Into<String>, config: RpcConfig) -> Self {
        Self {
            name: name.into(),
            config,
            verifier: None,
            metrics: Metrics::new(),
            life: None,
            services: Vec::new(),
        }
    }

    /// Checks tokens with `verifier`. Without one no call has a caller.
    #[must_use]
    pub fn verifier(mut self, verifier: Option<Arc<Verifier>>) -> Self {
        self.verifier = verifier;
        self
    }

    /// Counts calls in `metrics`, which the admin server shows.
    #[must_use]
    pub fn metrics(mut self, metrics: &Metrics) -> Self {
        self.metrics = metrics.clone();
        self
    }

    /// Answers `grpc.health.v1` by the stage of the process. Without one the health service
    /// says that everything is served.
    #[must_use]
    pub fn lifecycle(mut self, life: &Lifecycle) -> Self {
        self.life = Some(life.clone());
        self
    }

    /// Serves one more service.
    #[must_use]
    pub fn service(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    /// The door, for `tenon_net::serve` with HTTP/2.
    ///
    /// # Errors
    /// Two services have a method of the same path.
    pub fn into_service(self) -> Result<Door, ConfigError> {
        let names = self.services.iter().map(Service::name).collect();
        let health = health::service(self.life, names);
        let reflection = match self.config.reflection {
            Reflection::Nobody => Vec::new(),
            Reflection::Loopback | Reflection::All => reflection::services(&self.services).into(),
        };
        let near: Vec<_> = match self.config.reflection {
            Reflection::Loopback => reflection.iter().map(Service::name).collect(),
            Reflection::All | Reflection::Nobody => Vec::new(),
        };
        let services = self.services.into_iter().chain([health]).chain(reflection);
        let operations: Vec<_> = services.flat_map(Service::into_methods).collect();
        let guards = guard::guards(&self.name, &self.config, &operations)?;
        let mut routes = HashMap::new();
        for (index, operation) in operations.into_iter().enumerate() {
            let Operation {
                method,
                handler,
                streams,
            } = operation;
            let metrics = self
                .metrics
                .rpc_method(Side::Server, method.service(), method.name());
            let route = Route {
                method,
                handler,
                streams,
                loopback: near.contains(&method.service()),
                metrics,
                guard: Guard::new(&guards, index, method, &self.metrics),
                label: Label::new(method.path()),
            };
            match routes.entry(method.path()) {
                hash_map::Entry::Vacant(vacant) => vacant.insert(Arc::new(route)),
                hash_map::Entry::Occupied(_) => {
                    let path = method.path();
                    let problem = format!("{path} is served twice; add each service once");
                    return Err(ConfigError::new(format!("{} rpc", self.name), problem));
                }
            };
        }
        Ok(Door {
            inner: Arc::new(Inner {
                name: self.name.into(),
                routes,
                unknown: self.metrics.rpc_method(Side::Server, OTHER, OTHER),
                verifier: self.verifier,
                timeout: self.config.timeout,
                stream_timeout: self.config.stream_timeout,
                max_bytes: self.config.max_bytes,
                guards,
            }),
        })
    }
}

/// The gRPC door, a tower service. Cheap to clone.
#[derive(Clone)]
pub struct Door {
    inner: Arc<Inner>,
}

impl Door {
    /// The limits, breakers and shedder of this door, to change them while it is open.
    pub fn guards(&self) -> &DoorGuards {
        &self.inner.guards
    }
}

struct Inner {
    /// The name of the service, in the spans of its answers.
    name: Arc<str>,
    routes: HashMap<&'static str, Arc<Route>>,
    /// Where calls of methods that are not served are counted.
    unknown: RpcMethod,
    verifier: Option<Arc<Verifier>>,
    timeout: Duration,
    stream_timeout: Duration,
    max_bytes: u64,
    guards: DoorGuards,
}

/// A method behind the door.
struct Route {
    method: &'static Method,
    handler: Handler,
    streams: bool,
    /// To peers that are not on this machine it is not there.
    loopback: bool,
    metrics: RpcMethod,
    guard: Option<Guard>,
    label: Label,
}

/// What a call holds until it has ended: until its answer, or until the last message of a stream.
/// Dropped before that, its caller went away.
struct Held {
    record: Record,
    /// The place of a stream.
    place: Option<tenon_resilience::gate::Held>,
    /// The breaker knows that its messages come.
    goes_on: bool,
    /// Cancels the context of the call.
    _guard: CancelGuard,
}

impl Held {
    /// One more message of the stream was given to the connection.
    fn sent(&mut self) {
        self.record.sent();
        if !self.goes_on {
            self.goes_on = true;
            self.judge(None);
        }
    }

    /// The stream has ended. A failure after messages counts beside them: half of it worked.
    fn ended(self, ended: &Result<()>) {
        if ended.is_err() || !self.goes_on {
            self.judge(ended.as_ref().err());
        }
        self.record.finish(ended);
    }

    fn judge(&self, error: Option<&Error>) {
        if let Some(place) = &self.place {
            place.judge(error);
        }
    }
}

impl<B> tower::Service<Request<B>> for Door
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ReplyBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), Infallible>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if let Some(refusal) = not_grpc(&request) {
            record::not_grpc(&trace(request.headers()), refusal.status());
            return Box::pin(ready(Ok(refusal)));
        }
        let route = self.inner.routes.get(request.uri().path()).cloned();
        let route = route.filter(|route| !route.loopback || is_near(&request));
        let Some(route) = route else {
            let error = METHOD_UNIMPLEMENTED.error();
            record::unknown(&trace(request.headers()), &self.inner.unknown, &error);
            return Box::pin(ready(Ok(failure(&error))));
        };
        let inner = self.inner.clone();
        Box::pin(labelled(route.label, async move {
            Ok(inner.answer(&route, request).await)
        }))
    }
}

impl Inner {
    async fn answer<B>(&self, route: &Route, request: Request<B>) -> Response<ReplyBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let headers = request.headers();
        let allowed = self.allowed(route, headers);
        let most = allowed.as_ref().copied().unwrap_or(Some(self.timeout));
        let deadline = most.and_then(|most| Instant::now().checked_add(most));
        let (cx, guard) = Context::incoming(trace(headers), deadline);
        let cx = with_state(cx, headers);
        let cx = match request.extensions().get::<PeerIdentity>() {
            Some(service) => cx.with_value(service.clone()),
            None => cx,
        };
        let cx = retry::incoming(cx, headers);
        let class = criticality::of_call(route.method, headers);
        let cx = cx.with_value(class);
        let mut held = Held {
            record: Record::start(route.method, &route.metrics, cx.trace(), &self.name),
            place: None,
            goes_on: false,
            _guard: guard,
        };
        let visit = Visit::of(&request, most, class);
        let entered = match (&route.guard, &allowed) {
            (Some(guard), Ok(_)) => guard.enter(&visit).await.map(Some),
            _ => Ok(None),
        };
        let caller = allowed.and(entered);
        let caller = caller.and_then(|place| Ok((place, self.caller(request.headers())?)));
        let (cx, result) = match caller {
            Ok((place, caller)) => {
                let cx = match caller {
                    Some(principal) => {
                        held.record.caller(&principal);
                        cx.with_principal(principal)
                    }
                    None => cx,
                };
                let work = self.run(&cx, route, request, &mut held.record);
                let result = outcome::contain(&cx, async {
                    match (&route.guard, place) {
                        (Some(guard), Some(place)) => {
                            let caller = cx.principal().map(Arc::as_ref);
                            guard.around(place, &visit, caller, work).await
                        }
                        _ => work.await.map(|answer| (answer, None)),
                    }
                })
                .await;
                (cx, result)
            }
            Err(refusal) => (cx, Err(refusal)),
        };
        match result {
            Ok((Answer::One(message), _)) => {
                held.record.finish(&Ok(()));
                reply(ReplyBody::message(message))
            }
            Ok((Answer::Many(frames), place)) => {
                held.place = place;
                held.record.sending();
                reply(ReplyBody::stream(Flow::start(frames, cx, held)))
            }
            Err(error) => {
                held.record.finish::<()>(&Err(error.clone()));
                failure(&error)
            }
        }
    }

    /// How long the call may take: what its caller gives it, and the configured time at most.
    /// `None` has no end of its own.
    fn allowed(&self, route: &Route, headers: &HeaderMap) -> Result<Option<Duration>> {
        let most = self.longest(route);
        match headers.get("grpc-timeout") {
            None => Ok(most),
            Some(value) => timeout::parse(value)
                .map(|given| Some(most.map_or(given, |most| given.min(most))))
                .ok_or_else(|| catalogue::TIMEOUT_MALFORMED.error()),
        }
    }

    /// The configured time.
    fn longest(&self, route: &Route) -> Option<Duration> {
        match (route.method.is_endless(), route.streams) {
            (true, _) => None,
            (false, true) => Some(self.stream_timeout),
            (false, false) => Some(self.timeout),
        }
    }

    fn caller(&self, headers: &HeaderMap) -> Result<Option<Arc<Principal>>> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(verifier), Some(value)) = (&self.verifier, values.next()) else {
            return Ok(None);
        };
        // A value that is no text is no bearer token either, and two would leave open who calls.
        let value = match values.next() {
            None => value.to_str().unwrap_or("malformed"),
            Some(_) => "malformed",
        };
        verifier.verify(Some(value)).map(Some)
    }

    /// The handler, with the one place around it where a call may still be refused.
    async fn run<B>(
        &self,
        cx: &Context,
        route: &Route,
        request: Request<B>,
        record: &mut Record,
    ) -> Result<Answer>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        let encoding =
            Encoding::of(&parts.headers).ok_or_else(|| catalogue::ENCODING_UNSUPPORTED.error())?;
        match &route.handler {
            Handler::One(handler) => {
                let message = match frame::read_one(body, encoding, self.max_bytes).await {
                    Ok((Some(message), _)) => message,
                    Ok((None, _)) => return Err(malformed("it holds no message")),
                    Err(problem) => return Err(refused(problem, self.max_bytes)),
                };
                tenon_profile::handler(handler(cx.clone(), message)).await
            }
            Handler::Many(handler) => {
                let receiver = Receiver::new(body, encoding, self.max_bytes);
                let messages = requests(receiver, self.max_bytes, record.receiving());
                tenon_profile::handler(handler(cx.clone(), messages)).await
            }
        }
    }
}

/// The messages that the caller streams, as the handler takes them.
fn requests<B>(receiver: Receiver<B>, limit: u64, count: Arc<AtomicU64>) -> Messages<Bytes>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    Messages::results(stream::unfold(
        (receiver, count),
        move |(mut receiver, count)| async move {
            let next = std::future::poll_fn(|cx| receiver.poll_message(cx)).await?;
            count.fetch_add(u64::from(next.is_ok()), Ordering::Relaxed);
            let next = next.map_err(|problem| refused(problem, limit));
            Some((next, (receiver, count)))
        },
    ))
}

fn refused(problem: Problem, limit: u64) -> Error {
    match problem {
        Problem::TooLarge => catalogue::MESSAGE_TOO_LARGE.error().param("limit", limit),
        Problem::Malformed(why) => malformed(why),
        Problem::Broken(cause) => tenon_core::catalogue::CANCELLED.error().cause(cause),
    }
}

fn malformed(why: &'static str) -> Error {
    catalogue::MESSAGE_MALFORMED.error().param("problem", why)
}

/// Whether the peer is on this machine.
fn is_near<B>(request: &Request<B>) -> bool {
    let peer = request.extensions().get::<Peer>();
    peer.is_some_and(|Peer(address)| address.ip().to_canonical().is_loopback())
}

/// The caller's span becomes the parent of ours.
fn trace(headers: &HeaderMap) -> TraceContext {
    headers
        .get("traceparent")
        .and_then(|value| value.to_str().ok())
        .and_then(TraceContext::parse)
        .map_or_else(TraceContext::new, |parent| parent.child())
}

/// The context with what other tracers keep in the caller's trace.
fn with_state(cx: Context, headers: &HeaderMap) -> Context {
    let known = headers.contains_key(STATE) && headers.contains_key("traceparent");
    let lists = headers.get_all(STATE).iter().map(HeaderValue::as_bytes);
    match known.then(|| tenon_core::trace::state(lists)).flatten() {
        Some(state) => cx.with_trace_state(state),
        None => cx,
    }
}

/// The plain HTTP answer to what is not a gRPC call.
fn not_grpc<B>(request: &Request<B>) -> Option<Response<ReplyBody>> {
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.map_or(&b""[..], HeaderValue::as_bytes);
    let grpc = kind
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')));
    let mut response = Response::new(ReplyBody::empty());
    if request.method() != http::Method::POST {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        let allow = HeaderValue::from_static("POST");
        response.headers_mut().insert(header::ALLOW, allow);
        return Some(response);
    }
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    (!grpc).then_some(response)
}

fn reply(body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// An answer of headers alone.
fn failure(error: &Error) -> Response<ReplyBody> {
    let mut response = reply(ReplyBody::empty());
    response.headers_mut().extend(status::write(error));
    if error.is(&catalogue::ENCODING_UNSUPPORTED) {
        let accepted = HeaderValue::from_static(frame::ACCEPTED);
        response
            .headers_mut()
            .insert(frame::GRPC_ACCEPT_ENCODING, accepted);
    }
    response
}
