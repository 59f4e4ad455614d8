//! Calls of the door of this process, in bytes, for whoever has only descriptors of its methods:
//! everything that the door does for a call from outside is done, and nothing is sent.

use std::{future::poll_fn, sync::Arc};

use bytes::Bytes;
use futures_util::{Stream, stream};
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use http_body::Body;
use http_body_util::Full;
use tenon_core::{Context, Error, Messages, Result, context::CancelGuard};
use tower::{BoxError, Service};

use crate::{
    Door, Method, Received, ReplyBody,
    calling::{Breach, Sending},
    channel::{outgoing::Outgoing, request},
    frame::{self, Encoding, Problem, Receiver},
    status,
};

/// What the door answers is not limited again: it was made in this process.
const LIMIT: u64 = u64::MAX;

/// Says of a call, as a value of its context, that a door of this process has let it in by how long
/// it waited for a thread, so that [`Door`] does not ask for its share of those once more. All that
/// this door asks besides, it asks. No header says so.
#[derive(Debug, Clone, Copy)]
pub struct Admitted;

impl Door {
    /// Calls a method with one message each way.
    ///
    /// # Errors
    /// What the service answers.
    pub async fn unary_bytes(
        &self,
        cx: &Context,
        method: &'static Method,
        message: Bytes,
    ) -> Result<Bytes> {
        self.one(self.begin(cx, method, whole(&message)?).await?)
            .await
    }

    /// Calls a method that takes a stream and answers with one message.
    ///
    /// # Errors
    /// What the service answers; what ended `requests`, if they failed.
    pub async fn client_stream_bytes(
        &self,
        cx: &Context,
        method: &'static Method,
        requests: Messages<Bytes>,
    ) -> Result<Bytes> {
        // What is still streamed ends with the call, however it ends.
        let (cx, _guard) = cx.with_cancel();
        let (breach, body) = streamed(requests, &cx);
        let answer = async { self.one(self.begin(&cx, method, body).await?).await };
        breach.or(answer).await
    }

    async fn one(&self, (encoding, response): (Encoding, Response<ReplyBody>)) -> Result<Bytes> {
        let (parts, body) = response.into_parts();
        let (message, trailers) = frame::read_one(body, encoding, LIMIT).await.map_err(odd)?;
        let outcome = trailers.as_ref().and_then(status::read);
        let outcome = outcome.or_else(|| status::read(&parts.headers));
        outcome.ok_or_else(|| broken("it ended without a status"))??;
        message.ok_or_else(|| broken("it holds no message"))
    }

    /// Calls a method that answers one message with a stream. Dropping the stream ends the call.
    ///
    /// # Errors
    /// What the service answers; once the stream has begun, as its last item.
    pub async fn server_stream_bytes(
        &self,
        cx: &Context,
        method: &'static Method,
        message: Bytes,
    ) -> Result<Messages<Bytes>> {
        let begun = self.begin(cx, method, whole(&message)?).await?;
        Ok(Messages::results(replies(begun, None)))
    }

    /// Calls a method that takes a stream and answers with one. Dropping the replies ends the call.
    ///
    /// # Errors
    /// What the service answers, and what ended `requests`, if they failed; once the stream has
    /// begun, as its last item.
    pub async fn bidi_bytes(
        &self,
        cx: &Context,
        method: &'static Method,
        requests: Messages<Bytes>,
    ) -> Result<Messages<Bytes>> {
        let (cx, guard) = cx.with_cancel();
        let (breach, body) = streamed(requests, &cx);
        let begun = breach.or(self.begin(&cx, method, body)).await?;
        Ok(Messages::results(replies(begun, Some((breach, guard)))))
    }

    async fn begin<B>(
        &self,
        cx: &Context,
        method: &'static Method,
        body: B,
    ) -> Result<(Encoding, Response<ReplyBody>)>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut request = Request::new(body);
        *request.method_mut() = http::Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = http::Uri::from_static(method.path());
        request::of_every_call(request.headers_mut());
        request::of_context(cx, request.headers_mut())?;
        request
            .headers_mut()
            .insert(header::HOST, HeaderValue::from_static("in-process"));
        if cx.value::<Admitted>().is_some() {
            request.extensions_mut().insert(Admitted);
        }
        let mut door = self.clone();
        let response = Service::call(&mut door, request).await;
        let response = response.unwrap_or_else(|never| match never {});
        if let Some(received) = cx.value::<Received>() {
            received.keep(response.headers());
        }
        if let Some(answer) = status::read(response.headers()) {
            answer?;
        } else if response.status() != StatusCode::OK {
            return Err(status::of_http(response.status()));
        }
        let encoding = Encoding::of(response.headers());
        let encoding = encoding.ok_or_else(|| broken("its encoding was not asked for"))?;
        Ok((encoding, response))
    }
}

/// The body of a call with one message.
fn whole(message: &Bytes) -> Result<Full<Bytes>> {
    let framed = frame::wrap(message);
    framed
        .map(Full::new)
        .ok_or_else(|| Error::internal("call the service", "a message is larger than 4 GiB"))
}

/// The body of a call that streams, until `cx` ends, and what watches it for a breach.
fn streamed(requests: Messages<Bytes>, cx: &Context) -> (Arc<Breach>, Outgoing) {
    let framed = requests.try_map(|message| {
        let framed = frame::wrap(&message);
        framed.ok_or_else(|| Error::internal("call the service", "a message is larger than 4 GiB"))
    });
    let (sending, breach) = Sending::new(framed);
    (breach, Outgoing::stream(sending, cx.clone()))
}

/// The replies of a call. A breach of what its caller sends comes before what the service says of it.
fn replies(
    (encoding, response): (Encoding, Response<ReplyBody>),
    held: Option<(Arc<Breach>, CancelGuard)>,
) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    let receiver = Receiver::new(response.into_body(), encoding, LIMIT);
    stream::unfold(Some((receiver, held)), |state| async {
        let (mut receiver, held) = state?;
        let next = async { Ok(poll_fn(|cx| receiver.poll_message(cx)).await) };
        let next = match &held {
            Some((breach, _)) => breach.or(next).await,
            None => next.await,
        };
        let error = match next {
            Ok(Some(Ok(message))) => return Some((Ok(message), Some((receiver, held)))),
            Ok(Some(Err(problem))) => odd(problem),
            Ok(None) => match receiver.trailers().and_then(status::read) {
                Some(Ok(())) => return None,
                Some(Err(error)) => error,
                None => broken("it ended without a status"),
            },
            Err(breach) => breach,
        };
        Some((Err(error), None))
    })
}

fn odd(problem: Problem) -> Error {
    match problem {
        Problem::TooLarge => broken("a message is too large"),
        Problem::Malformed(why) => broken(why),
        Problem::Broken(cause) => Error::internal("read the reply of the service", cause),
    }
}

fn broken(problem: &'static str) -> Error {
    Error::internal("read the reply of the service", problem)
}
