//! Calls of the door of this process, in bytes, for whoever has only descriptors of its methods:
//! everything that the door does for a call from outside is done, and nothing is sent.

use std::future::poll_fn;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use http_body_util::Full;
use tenon_core::{Context, Error, Messages, Result};
use tower::Service;

use crate::{
    Door, Method, Received, ReplyBody,
    channel::request,
    frame::{self, Encoding, Problem, Receiver},
    status,
};

/// What the door answers is not limited again: it was made in this process.
const LIMIT: u64 = u64::MAX;

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
        let (encoding, response) = self.begin(cx, method, &message).await?;
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
        let (encoding, response) = self.begin(cx, method, &message).await?;
        let receiver = Receiver::new(response.into_body(), encoding, LIMIT);
        let replies = stream::unfold(Some(receiver), |receiver| async {
            let mut receiver = receiver?;
            let error = match poll_fn(|cx| receiver.poll_message(cx)).await {
                Some(Ok(message)) => return Some((Ok(message), Some(receiver))),
                Some(Err(problem)) => odd(problem),
                None => match receiver.trailers().and_then(status::read) {
                    Some(Ok(())) => return None,
                    Some(Err(error)) => error,
                    None => broken("it ended without a status"),
                },
            };
            Some((Err(error), None))
        });
        Ok(Messages::results(replies))
    }

    async fn begin(
        &self,
        cx: &Context,
        method: &'static Method,
        message: &Bytes,
    ) -> Result<(Encoding, Response<ReplyBody>)> {
        let framed = frame::wrap(message)
            .ok_or_else(|| Error::internal("call the service", "a message is larger than 4 GiB"))?;
        let mut request = Request::new(Full::new(framed));
        *request.method_mut() = http::Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = http::Uri::from_static(method.path());
        request::of_every_call(request.headers_mut());
        request::of_context(cx, request.headers_mut())?;
        request
            .headers_mut()
            .insert(header::HOST, HeaderValue::from_static("in-process"));
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
