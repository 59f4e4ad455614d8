//! Bodies of replies.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};

use crate::{server::Flow, status::GRPC_STATUS};

/// The body of a reply: the message and the trailers of one that succeeded, nothing of one that
/// failed (its headers say so), or a stream of messages with its trailers.
#[derive(Debug)]
pub struct ReplyBody {
    content: Content,
}

#[derive(Debug)]
enum Content {
    Message(Bytes),
    Trailers(HeaderMap),
    Empty,
    Stream(Flow),
}

impl ReplyBody {
    /// A framed message, and success.
    pub(crate) fn message(message: Bytes) -> Self {
        Self {
            content: Content::Message(message),
        }
    }

    pub(crate) fn empty() -> Self {
        Self {
            content: Content::Empty,
        }
    }

    pub(crate) fn stream(flow: Flow) -> Self {
        Self {
            content: Content::Stream(flow),
        }
    }
}

/// The trailers of success.
pub(crate) fn success() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    trailers
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Content::Stream(flow) = &mut self.content {
            return flow.poll_frame(cx).map(|frame| frame.map(Ok));
        }
        let frame = match std::mem::replace(&mut self.content, Content::Empty) {
            Content::Message(message) => {
                self.content = Content::Trailers(success());
                Some(Frame::data(message))
            }
            Content::Trailers(trailers) => Some(Frame::trailers(trailers)),
            Content::Empty | Content::Stream(_) => None,
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Stream(flow) => flow.is_over(),
            Content::Message(_) | Content::Trailers(_) => false,
        }
    }
}
