//! A channel to a service across the network: its instances, and the calls that go to them.
//!
//! One HTTP/2 connection to each instance, made when the first call needs it and made again when
//! it breaks. Calls go round the instances that are connected.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{future::select_ok, stream};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use prost::Message;
use tenon_core::{
    Context, Error, Messages, Result, catalogue,
    config::{ClientConfig, ConfigError},
};
use tenon_telemetry::{Metrics, Side};

use crate::{
    Method,
    calling::{self, Breach, Call, Sending},
    catalogue as own,
    frame::{self, Encoding, Problem, Receiver},
    observe::{Calling, Meter},
    outcome, status,
};

mod endpoint;
mod fault;
mod outgoing;
mod request;

use endpoint::{Connection, Endpoint};
use fault::Fault;
use outgoing::Outgoing;

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
    timeout: Duration,
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
        // Framed inside, so that a call that fails at once is counted as well.
        let input = move || encode(&req).map(Input::Message);
        decode(self.one(cx, method, input).await?)
    }

    /// Calls a method that answers one message with a stream. The stream ends with the context of
    /// the call; dropping it resets the call. The configured timeout is for calls with one answer
    /// and does not count here.
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
        let calling = Calling::start(&self.inner.meter.of(method));
        let cx = match method.is_endless() {
            true => cx.clone(),
            false => cx.with_timeout(self.inner.timeout),
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
            let answer = async {
                let response = self.inner.begin(&cx, method, body).await?;
                self.inner.read(response).await
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
        let calling = Calling::start(&self.inner.meter.of(method));
        let (cx, guard) = cx.with_cancel();
        let begun = async {
            let (breach, body) = input()?.body(cx.clone());
            let answer = self.inner.begin(&cx, method, body);
            let response = match &breach {
                Some(breach) => breach.or(answer).await?,
                None => answer.await?,
            };
            Ok((breach, response))
        };
        let begun = outcome::contain(&cx, begun)
            .await
            .and_then(|(breach, response)| Ok((breach, self.inner.replies(response)?)))
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
    /// Sends the call and waits for the head of the answer.
    async fn begin(
        &self,
        cx: &Context,
        method: &'static Method,
        body: Outgoing,
    ) -> Result<Response<Incoming>> {
        let response = self.send(cx, method, body).await?;
        if let Some(answer) = status::read(response.headers()) {
            answer?;
        } else if response.status() != StatusCode::OK {
            return Err(status::of_http(response.status()));
        }
        Ok(response)
    }

    /// Sends the request on a live connection. One that the peer never began with goes to
    /// another; whatever may have begun is never sent twice.
    async fn send(
        &self,
        cx: &Context,
        method: &'static Method,
        mut body: Outgoing,
    ) -> Result<Response<Incoming>> {
        let mut attempts = self.endpoints.len() + 1;
        loop {
            attempts -= 1;
            let mut connection = self.pick().await?;
            let again = body.again();
            let request = request::request(cx, method, &connection, body)?;
            let (fault, unsent) = match connection.send(request).await {
                Ok(response) => return Ok(response),
                Err(failed) => failed,
            };
            // A stream can be sent on another connection only while none of it was taken.
            match (fault, unsent.map(Request::into_body).or(again)) {
                (Fault::NotBegun(_), Some(same)) if attempts > 0 => body = same,
                (fault, _) => return Err(fault.error(&self.name, connection.address())),
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

    /// The messages of an answer, and the status in its trailers.
    fn replies(self: &Arc<Self>, response: Response<Incoming>) -> Result<Messages<Bytes>> {
        let (parts, body) = response.into_parts();
        let encoding = Encoding::of(&parts.headers).ok_or_else(|| self.unasked())?;
        let receiver = Receiver::new(body, encoding, MAX_REPLY);
        // Without trailers the head has said it all.
        let said = status::read(&parts.headers).is_some();
        let inner = self.clone();
        let replies = stream::unfold(Some(receiver), move |receiver| {
            let inner = inner.clone();
            async move {
                let mut receiver = receiver?;
                let error = match poll_fn(|cx| receiver.poll_message(cx)).await {
                    Some(Ok(message)) => return Some((Ok(message), Some(receiver))),
                    Some(Err(problem)) => unread(&inner.name, problem),
                    None => match receiver.trailers().and_then(status::read) {
                        Some(Ok(())) => return None,
                        Some(Err(error)) => error,
                        None if said => return None,
                        None => broken(&inner.name, "it ended without a status"),
                    },
                };
                Some((Err(error), None))
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
