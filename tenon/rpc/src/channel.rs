//! A channel to a service across the network: its instances, and the calls that go to them.
//!
//! One HTTP/2 connection to each instance, made when the first call needs it and made again when
//! it breaks. [`crate::balance`] says which instance takes a call; breaker and adaptive limit of
//! that instance may refuse it; [`crate::retry`] says when a failed one is made again.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use prost::Message;
use tenon_core::{
    Context, Error, Live, Messages, Result,
    config::{ClientConfig, ConfigError},
};
use tenon_discovery::Instances;
use tenon_telemetry::{Metrics, RpcClient, Side};

use crate::{
    Method, Received,
    balance::Node,
    calling::{self, Breach, Call, Sending},
    catalogue as own,
    frame::{self, Encoding, Problem, Receiver},
    observe::{Calling, Meter},
    outcome,
    retry::{self, Retries},
    status,
};

mod dialing;
mod endpoint;
mod fault;
mod greeting;
pub(crate) mod outgoing;
mod pool;
pub(crate) mod request;
pub mod rows;
mod settings;
mod watch;

use fault::Fault;
use outgoing::Outgoing;
use pool::{Place, Pool, Reached};
pub use settings::{Named, Prepared, check_methods};
use watch::{Following, Refusals, Watch};

/// The largest reply that is taken, counted after decompression.
const MAX_REPLY: u64 = 4 << 20;

/// A channel to a service. Cheap to clone; all clones share the connections.
#[derive(Clone)]
pub struct Channel {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    pool: Arc<Pool>,
    /// What holds now; where the service is and how it is connected to never changes.
    config: Live<ClientConfig>,
    /// The methods of its contract, once somebody named them.
    contract: Mutex<Arc<[&'static Method]>>,
    retries: Retries,
    meter: Meter,
    metrics: RpcClient,
}

/// What a call got.
enum Answer {
    /// Its one message.
    Whole(Bytes),
    /// The head; its messages follow, and the instance is judged by them.
    Begun(Response<Incoming>, Following),
}

/// The same before anybody watches what follows.
enum Head {
    Whole(Bytes),
    Stream(Response<Incoming>),
}

/// One call, however often it is made.
struct Errand<'a> {
    cx: &'a Context,
    method: &'static Method,
    /// Whether the answer is one message.
    is_whole: bool,
}

impl Channel {
    /// A channel to the service `name`, as the section `clients` places it. Connects to nothing
    /// yet; calls are counted in `metrics`.
    ///
    /// # Errors
    /// Not exactly one source of instances is given, or it is not sound; an endpoint is not
    /// `host:port`, or not on this machine and neither `tls` nor `plaintext: allowed` is written;
    /// files of `tls` cannot be used.
    pub fn new(
        name: impl Into<String>,
        config: &ClientConfig,
        metrics: &Metrics,
    ) -> Result<Self, ConfigError> {
        let name = name.into();
        let instances = tenon_discovery::follow(&name, config)?;
        Self::over(name, instances, config, metrics)
    }

    /// The same over instances that somebody else follows; the source in `config` is only checked.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn over(
        name: impl Into<String>,
        instances: Instances,
        config: &ClientConfig,
        metrics: &Metrics,
    ) -> Result<Self, ConfigError> {
        let name = name.into();
        let section = format!("clients.{name}");
        let dialer = dialing::dialer(&section, config)?;
        let handles = metrics.rpc_client(&name);
        let live = Live::new(config.clone());
        let pool = Pool::new(
            name.clone(),
            live.clone(),
            instances,
            dialer,
            handles.clone(),
        );
        Ok(Self {
            inner: Arc::new(Inner {
                name,
                pool,
                retries: Retries::new(live.clone()),
                config: live,
                contract: Mutex::new(Arc::from([])),
                meter: Meter::new(metrics.clone(), Side::Client),
                metrics: handles,
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
        // Framed inside, so that a call that fails at once is counted as well.
        let input = move || encode(&req).map(Input::Message);
        decode(self.one(cx, method, input).await?)
    }

    /// Calls a method that answers one message with a stream. The stream ends with the context of
    /// the call, or when the time is over that `timeouts` gives the method for all of it; dropping
    /// it resets the call. The general timeout is for calls with one answer and does not count
    /// here.
    ///
    /// # Errors
    /// As [`Self::unary`]; once the stream has begun, they are its last item.
    pub async fn server_stream<Req, Resp>(
        &self,
        cx: &Context,
        method: &'static Method,
        req: Req,
    ) -> Result<Messages<Resp>>
    where
        Req: Message,
        Resp: Message + Default + 'static,
    {
        let input = move || encode(&req).map(Input::Message);
        let replies = self.many(cx, method, input).await?;
        Ok(replies.try_map(decode))
    }

    /// Calls a method that answers a stream with one message. A failure among the messages is
    /// the caller's own and ends the call with it: the stream is reset, never ended, so that the
    /// service does not take half of it for the whole.
    ///
    /// # Errors
    /// As [`Self::unary`], or the failure of what the caller sends.
    pub async fn client_stream<Req, Resp>(
        &self,
        cx: &Context,
        method: &'static Method,
        requests: Messages<Req>,
    ) -> Result<Resp>
    where
        Req: Message + 'static,
        Resp: Message + Default,
    {
        let input = move || Ok(Input::Stream(requests.try_map(|req| encode(&req))));
        decode(self.one(cx, method, input).await?)
    }

    /// Calls a method with a stream each way.
    ///
    /// # Errors
    /// As [`Self::server_stream`] and [`Self::client_stream`].
    pub async fn bidi<Req, Resp>(
        &self,
        cx: &Context,
        method: &'static Method,
        requests: Messages<Req>,
    ) -> Result<Messages<Resp>>
    where
        Req: Message + 'static,
        Resp: Message + Default + 'static,
    {
        let input = move || Ok(Input::Stream(requests.try_map(|req| encode(&req))));
        let replies = self.many(cx, method, input).await?;
        Ok(replies.try_map(decode))
    }

    /// [`Self::unary`] with messages that somebody else encodes and decodes.
    ///
    /// # Errors
    /// As [`Self::unary`].
    pub async fn unary_bytes(
        &self,
        cx: &Context,
        method: &'static Method,
        req: Bytes,
    ) -> Result<Bytes> {
        self.one(cx, method, move || wrap(&req).map(Input::Message))
            .await
    }

    /// [`Self::server_stream`] with messages that somebody else encodes and decodes.
    ///
    /// # Errors
    /// As [`Self::server_stream`].
    pub async fn server_stream_bytes(
        &self,
        cx: &Context,
        method: &'static Method,
        req: Bytes,
    ) -> Result<Messages<Bytes>> {
        self.many(cx, method, move || wrap(&req).map(Input::Message))
            .await
    }

    /// [`Self::client_stream`] with messages that somebody else encodes and decodes.
    ///
    /// # Errors
    /// As [`Self::client_stream`].
    pub async fn client_stream_bytes(
        &self,
        cx: &Context,
        method: &'static Method,
        requests: Messages<Bytes>,
    ) -> Result<Bytes> {
        let input = move || Ok(Input::Stream(requests.try_map(|req| wrap(&req))));
        self.one(cx, method, input).await
    }

    /// [`Self::bidi`] with messages that somebody else encodes and decodes.
    ///
    /// # Errors
    /// As [`Self::bidi`].
    pub async fn bidi_bytes(
        &self,
        cx: &Context,
        method: &'static Method,
        requests: Messages<Bytes>,
    ) -> Result<Messages<Bytes>> {
        let input = move || Ok(Input::Stream(requests.try_map(|req| wrap(&req))));
        self.many(cx, method, input).await
    }

    /// A call with one answer.
    async fn one(
        &self,
        cx: &Context,
        method: &'static Method,
        input: impl FnOnce() -> Result<Input>,
    ) -> Result<Bytes> {
        let handle = self.inner.meter.of(method);
        let (calling, cx) = Calling::client(&handle, method, cx);
        let cx = match method.is_endless() {
            true => cx.clone(),
            false => cx.with_timeout(self.inner.timeout_of(method)),
        };
        let exchange = async {
            let (breach, body, _guard) = match input()? {
                message @ Input::Message(_) => (None, message.body(cx.clone()).1, None),
                streamed @ Input::Stream(_) => {
                    // What a caller still streams ends with the call, however it ends.
                    let (cx, guard) = cx.with_cancel();
                    let (breach, body) = streamed.body(cx);
                    (breach, body, Some(guard))
                }
            };
            let errand = Errand {
                cx: &cx,
                method,
                is_whole: true,
            };
            let answer = async {
                match self.inner.run(&errand, body).await? {
                    Answer::Whole(message) => Ok(message),
                    Answer::Begun(response, _) => self.inner.read(response).await,
                }
            };
            match breach {
                Some(breach) => breach.or(answer).await,
                None => answer.await,
            }
        };
        let result = outcome::contain(&cx, exchange)
            .await
            .map_err(|error| outcome::seen_by_caller(&cx, error));
        let elapsed = calling.finish(&result);
        self.inner.tell(method, &cx, result.as_ref().err(), elapsed);
        result
    }

    /// A call that is answered with a stream.
    async fn many(
        &self,
        cx: &Context,
        method: &'static Method,
        input: impl FnOnce() -> Result<Input>,
    ) -> Result<Messages<Bytes>> {
        let handle = self.inner.meter.of(method);
        let (calling, cx) = Calling::client(&handle, method, cx);
        let cx = match self.inner.stream_timeout_of(method) {
            Some(timeout) => cx.with_timeout(timeout),
            None => cx,
        };
        let (cx, guard) = cx.with_cancel();
        let begun = async {
            let (breach, body) = input()?.body(cx.clone());
            let errand = Errand {
                cx: &cx,
                method,
                is_whole: false,
            };
            let answer = self.inner.run(&errand, body);
            let answer = match &breach {
                Some(breach) => breach.or(answer).await?,
                None => answer.await?,
            };
            Ok((breach, answer))
        };
        let begun = outcome::contain(&cx, begun)
            .await
            .and_then(|(breach, answer)| {
                let replies = self.inner.replies(answer, &cx, breach.clone())?;
                Ok((breach, replies))
            })
            .map_err(|error| outcome::seen_by_caller(&cx, error));
        let inner = self.inner.clone();
        match begun {
            Ok((breach, replies)) => {
                let told = cx.clone();
                let call = Call {
                    cx,
                    guard,
                    breach,
                    calling: Some(calling),
                    told: Some(Box::new(move |ended, elapsed| {
                        inner.tell(method, &told, ended.as_ref().err(), elapsed);
                    })),
                };
                Ok(calling::watched(replies, call))
            }
            Err(error) => {
                let elapsed = calling.finish::<()>(&Err(error.clone()));
                inner.tell(method, &cx, Some(&error), elapsed);
                Err(error)
            }
        }
    }
}

/// What a caller sends, framed.
enum Input {
    Message(Bytes),
    Stream(Messages<Bytes>),
}

impl Input {
    /// The body of a call, and what watches it for a breach. It ends with `cx`.
    fn body(self, cx: Context) -> (Option<Arc<Breach>>, Outgoing) {
        match self {
            Self::Message(message) => (None, Outgoing::message(message)),
            Self::Stream(items) => {
                let (sending, breach) = Sending::new(items);
                (Some(breach), Outgoing::stream(sending, cx))
            }
        }
    }
}

impl Inner {
    /// How long a call with one answer may take.
    fn timeout_of(&self, method: &Method) -> Duration {
        self.config.with(|config| {
            let own = config.timeouts.0.get(method.name());
            own.copied().unwrap_or(config.timeout)
        })
    }

    /// How long a whole stream may take, where that is said of the method by its name.
    fn stream_timeout_of(&self, method: &Method) -> Option<Duration> {
        self.config
            .with(|config| config.timeouts.0.get(method.name()).copied())
    }

    /// Makes the call, and makes it again where that may help and does no harm.
    async fn run(&self, errand: &Errand<'_>, mut body: Outgoing) -> Result<Answer> {
        let may_repeat = self.retries.begin(errand.cx, errand.method);
        let mut last = None;
        let mut failed = 0;
        loop {
            let again = if may_repeat { body.again() } else { None };
            let error = match self.attempt(errand, body, failed, &mut last).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            failed += 1;
            let Some(same) = again else {
                return Err(error);
            };
            let Some(wait) = self.retries.wait(failed, &error, errand.cx) else {
                return Err(retry::used_up(error, failed));
            };
            let method = errand.method;
            self.metrics
                .method(method.service(), method.name())
                .retried();
            tokio::time::sleep(wait).await;
            body = same;
        }
    }

    /// One attempt. A call that an instance never began with goes to another; whatever may have
    /// begun is not sent twice here. `last` is the instance that failed before, and then this one.
    async fn attempt(
        &self,
        errand: &Errand<'_>,
        mut body: Outgoing,
        failed: u32,
        last: &mut Option<Arc<Node<Reached>>>,
    ) -> Result<Answer> {
        let Errand { cx, method, .. } = *errand;
        let key = self.pool.key(cx)?;
        let mut refusals = Refusals::new(&self.metrics, method);
        let mut begun_nowhere = 0;
        loop {
            let place = self.pool.place(key.as_deref(), last.as_deref()).await?;
            let Place {
                mut connection,
                mut in_flight,
            } = place;
            let node = in_flight.node().clone();
            *last = Some(node.clone());
            let breaker = node.target().breaker(&self.pool, method);
            let watch = Watch::begin(&self.pool, &node, breaker.as_deref(), cx, &mut refusals)?;
            let Some(watch) = watch else {
                continue;
            };
            let again = body.again();
            let request = request::request(cx, method, &connection, body, failed)?;
            let (fault, unsent) = match connection.send(request).await {
                Ok(response) => {
                    in_flight.answered();
                    return match self.answer(errand, response).await {
                        Ok(Head::Stream(response)) => {
                            watch.begun();
                            let pool = self.pool.clone();
                            let following = Following::new(pool, in_flight, breaker.clone());
                            Ok(Answer::Begun(response, following))
                        }
                        Ok(Head::Whole(message)) => {
                            watch.ended(&Ok(()));
                            Ok(Answer::Whole(message))
                        }
                        Err(error) => {
                            let result = Err(error);
                            watch.ended(&result);
                            result
                        }
                    };
                }
                Err(failed) => failed,
            };
            begun_nowhere += 1;
            // A stream can be sent on another connection only while none of it was taken.
            match (fault, unsent.map(Request::into_body).or(again)) {
                (Fault::NotBegun(_), Some(same)) if begun_nowhere <= self.pool.tries() => {
                    watch.not_begun();
                    body = same;
                }
                (fault, _) => {
                    let result = Err(fault.error(&self.name, connection.address()));
                    watch.ended(&result);
                    return result;
                }
            }
        }
    }

    async fn answer(&self, errand: &Errand<'_>, response: Response<Incoming>) -> Result<Head> {
        if let Some(received) = errand.cx.value::<Received>() {
            received.keep(response.headers());
        }
        if let Some(answer) = status::read(response.headers()) {
            answer?;
        } else if response.status() != StatusCode::OK {
            return Err(status::of_http(response.status()));
        }
        match errand.is_whole {
            true => Ok(Head::Whole(self.read(response).await?)),
            false => Ok(Head::Stream(response)),
        }
    }

    /// The one message of an answer.
    async fn read(&self, response: Response<Incoming>) -> Result<Bytes> {
        let (parts, body) = response.into_parts();
        let encoding = Encoding::of(&parts.headers).ok_or_else(|| self.unasked())?;
        let (message, trailers) = frame::read_one(body, encoding, MAX_REPLY)
            .await
            .map_err(|problem| unread(&self.name, problem))?;
        let outcome = trailers
            .as_ref()
            .and_then(status::read)
            .or_else(|| status::read(&parts.headers));
        outcome.ok_or_else(|| broken(&self.name, "it ended without a status"))??;
        message.ok_or_else(|| broken(&self.name, "it holds no message"))
    }

    /// The messages of an answer, and the status in its trailers. What a caller brought about who
    /// has left, or broke off, says nothing about the instance.
    fn replies(
        self: &Arc<Self>,
        answer: Answer,
        cx: &Context,
        breach: Option<Arc<Breach>>,
    ) -> Result<Messages<Bytes>> {
        let (response, following) = match answer {
            Answer::Begun(response, following) => (response, following),
            Answer::Whole(_) => return Err(broken(&self.name, "it is one message")),
        };
        let (parts, body) = response.into_parts();
        let encoding = Encoding::of(&parts.headers).ok_or_else(|| self.unasked())?;
        let receiver = Receiver::new(body, encoding, MAX_REPLY);
        // Without trailers the head has said it all.
        let said = status::read(&parts.headers).is_some();
        let (inner, cx) = (self.clone(), cx.clone());
        let is_left = move || {
            let broke = breach.as_ref().is_some_and(|breach| breach.has_been());
            broke || cx.check().is_err()
        };
        let state = (receiver, following, is_left);
        let replies = stream::unfold(Some(state), move |state| {
            let inner = inner.clone();
            async move {
                let (mut receiver, mut following, is_left) = state?;
                let ended = match poll_fn(|cx| receiver.poll_message(cx)).await {
                    Some(Ok(message)) => {
                        following.went_on();
                        return Some((Ok(message), Some((receiver, following, is_left))));
                    }
                    Some(Err(problem)) => {
                        let is_its_own = matches!(problem, Problem::Malformed(_));
                        let error = unread(&inner.name, problem);
                        if !is_its_own {
                            return Some((Err(error), None));
                        }
                        Err(error)
                    }
                    None => match receiver.trailers().and_then(status::read) {
                        Some(ended) => ended,
                        None if said => Ok(()),
                        None => Err(broken(&inner.name, "it ended without a status")),
                    },
                };
                if !is_left() {
                    following.ended(ended.as_ref().err());
                }
                ended.err().map(|error| (Err(error), None))
            }
        });
        Ok(Messages::results(replies))
    }

    fn unasked(&self) -> Error {
        broken(&self.name, "its encoding was not asked for")
    }

    fn tell(
        &self,
        method: &'static Method,
        cx: &Context,
        error: Option<&Error>,
        elapsed: Duration,
    ) {
        tracing::debug!(
            target: "rpc",
            service = self.name,
            method = method.path(),
            status = error.map_or(0, |error| error.status() as u8),
            cause = error.and_then(Error::cause_chain),
            duration_ms = elapsed.as_secs_f64() * 1000.0,
            trace_id = %cx.trace().trace_id(),
        );
    }
}

fn broken(service: &str, problem: &str) -> Error {
    Error::internal(
        "read the reply of the service",
        format!("{service}: {problem}"),
    )
}

fn unread(service: &str, problem: Problem) -> Error {
    match problem {
        Problem::TooLarge => own::MESSAGE_TOO_LARGE.error().param("limit", MAX_REPLY),
        Problem::Malformed(why) => broken(service, why),
        Problem::Broken(cause) => Fault::of(cause).error(service, "its connection"),
    }
}

fn encode<M: Message>(message: &M) -> Result<Bytes> {
    frame::encode(message).ok_or_else(too_large)
}

fn wrap(message: &Bytes) -> Result<Bytes> {
    frame::wrap(message).ok_or_else(too_large)
}

fn too_large() -> Error {
    Error::internal("send the request", "a message is larger than 4 GiB")
}

fn decode<M: Message + Default>(message: Bytes) -> Result<M> {
    M::decode(message).map_err(|cause| Error::internal("read the reply of the service", cause))
}
