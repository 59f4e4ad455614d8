//! The body of a call: one message, or what its caller streams.

use std::{
    fmt,
    pin::Pin,
    task::{self, Poll},
};

use bytes::Bytes;
use h2::Reason;
use http_body::{Body, Frame};
use tenon_core::{Context, Error};

use crate::{BoxFuture, calling::Sending, frame};

/// The body of a call. The messages in it are framed.
pub(crate) struct Outgoing {
    content: Content,
}

enum Content {
    Message(Bytes),
    Stream(Box<Stream>),
    Over,
}

struct Stream {
    items: Sending<Bytes>,
    kept: Option<Option<Result<Bytes, ()>>>,
    /// Resolves when the call is over: its caller left, or its answer is complete.
    over: BoxFuture<'static, Error>,
}

impl Outgoing {
    pub(crate) fn message(message: Bytes) -> Self {
        Self {
            content: Content::Message(message),
        }
    }

    /// What a caller streams, until `cx` ends: hyper runs this body in a task of its own, which
    /// does not end with the call. What then remains is reset, never ended.
    pub(crate) fn stream(items: Sending<Bytes>, cx: Context) -> Self {
        let over: BoxFuture<'static, Error> = Box::pin(async move { cx.cancelled().await });
        Self {
            content: Content::Stream(Box::new(Stream {
                items,
                kept: None,
                over,
            })),
        }
    }

    /// The same body, for another attempt; `None` when it cannot be said again.
    pub(crate) fn again(&self) -> Option<Self> {
        match &self.content {
            Content::Message(message) => Some(Self::message(message.clone())),
            Content::Stream(_) | Content::Over => None,
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let next = match &mut self.content {
            Content::Stream(stream) => {
                if stream.over.as_mut().poll(cx).is_ready() {
                    Some(Err(Broken::new()))
                } else {
                    let Stream { items, kept, .. } = stream.as_mut();
                    match task::ready!(frame::pack(kept, cx, |cx| items.poll_item(cx))) {
                        Some(Ok(message)) => {
                            return Poll::Ready(Some(Ok(Frame::data(message))));
                        }
                        Some(Err(())) => Some(Err(Broken::new())),
                        None => None,
                    }
                }
            }
            Content::Message(message) => Some(Ok(Frame::data(std::mem::take(message)))),
            Content::Over => None,
        };
        self.content = Content::Over;
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Over)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match &self.content {
            Content::Message(message) => http_body::SizeHint::with_exact(message.len() as u64),
            Content::Over => http_body::SizeHint::with_exact(0),
            Content::Stream(_) => http_body::SizeHint::default(),
        }
    }
}

/// A body that was given up. hyper resets the stream with the reason that it finds in its source.
#[derive(Debug)]
pub(crate) struct Broken(h2::Error);

impl Broken {
    fn new() -> Self {
        Self(Reason::CANCEL.into())
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the caller gave the call up")
    }
}

impl std::error::Error for Broken {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}
