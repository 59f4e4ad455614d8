//! Bodies of requests and replies.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};

use crate::status::GRPC_STATUS;

/// The body of a reply: the message and the trailers of one that succeeded, nothing of one that
/// failed (its headers say so).
#[derive(Debug)]
pub struct ReplyBody {
    message: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl ReplyBody {
    /// A framed message, and success.
    pub(crate) fn message(message: Bytes) -> Self {
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
        Self {
            message: Some(message),
            trailers: Some(trailers),
        }
    }

    pub(crate) fn empty() -> Self {
        Self {
            message: None,
            trailers: None,
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let message = self.message.take().map(Frame::data);
        let frame = message.or_else(|| self.trailers.take().map(Frame::trailers));
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.message.is_none() && self.trailers.is_none()
    }
}
