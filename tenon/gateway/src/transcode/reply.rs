//! A stream of replies as the body of a response: JSON divided by newlines, or server-sent events.
//!
//! Each line is `{"result": ...}`, as grpc-gateway writes it, so that a failure in the middle,
//! `{"error": ...}` with a problem document, is told apart. As events, a message is `data:`, and
//! a failure an event called `error`. After a failure the connection breaks: an answer that is
//! not whole must not look whole. Pieces of a body (`google.api.HttpBody`) stand one after the
//! other with nothing between them, and a failure there is the break alone.

use std::{
    pin::Pin,
    task::{Context as TaskContext, Poll, ready},
    time::Duration,
};

use axum::BoxError;
use bytes::Bytes;
use futures_util::Stream as _;
use http::{HeaderMap, HeaderValue, header};
use http_body::{Body, Frame};
use tenon_core::{
    Error, Messages, Result, TraceContext, catalogue, context::CancelGuard, error::Language,
};
use tenon_rest::problem;
use tokio::time::Sleep;

use super::{Binding, Mapping};

/// How long the last element gets to leave before the connection is reset, which throws away what
/// the kernel has not sent yet.
const FAREWELL: Duration = Duration::from_millis(100);

/// How elements are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    written: Written,
    language: Language,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Lines,
    Events,
    /// As they are.
    Raw,
}

impl Form {
    /// What the caller accepts: events when it says so, lines else; `raw` bodies have no form.
    pub(crate) fn asked(headers: &HeaderMap, raw: bool) -> Self {
        let accepted = headers.get_all(header::ACCEPT).iter();
        let mut accepted = accepted
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|one| one.split(';').next().unwrap_or_default().trim());
        let events = accepted.any(|one| one.eq_ignore_ascii_case("text/event-stream"));
        Self {
            written: match (raw, events) {
                (true, _) => Written::Raw,
                (false, true) => Written::Events,
                (false, false) => Written::Lines,
            },
            language: problem::language(headers),
        }
    }

    fn media_type(self) -> HeaderValue {
        HeaderValue::from_static(match self.written {
            Written::Lines => "application/x-ndjson",
            Written::Events => "text/event-stream",
            // Of a stream without a piece nothing is known.
            Written::Raw => "application/octet-stream",
        })
    }

    fn message(self, json: &[u8]) -> Bytes {
        match self.written {
            Written::Events => [b"data: ", json, b"\n\n"].concat().into(),
            Written::Lines | Written::Raw => [b"{\"result\":", json, b"}\n"].concat().into(),
        }
    }

    fn failure(self, problem: &[u8]) -> Bytes {
        match self.written {
            Written::Lines => [b"{\"error\":", problem, b"}\n"].concat().into(),
            Written::Events => [b"event: error\ndata: ", problem, b"\n\n"].concat().into(),
            // Whatever were written here would be taken for a part of the body.
            Written::Raw => Bytes::new(),
        }
    }
}

/// The replies, one by one.
pub(crate) struct Replies {
    replies: Messages<Bytes>,
    binding: Binding,
    mapping: Mapping,
    form: Form,
    idle: Duration,
    timer: Pin<Box<Sleep>>,
    trace: TraceContext,
    /// An element that waits to be sent.
    next: Option<Bytes>,
    state: State,
    /// The call ends when its caller leaves.
    _guard: CancelGuard,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Going,
    /// The failure was sent; the timer says when the connection breaks.
    Failed,
    Ended,
}

impl Replies {
    pub(crate) fn new(
        replies: Messages<Bytes>,
        binding: Binding,
        mapping: Mapping,
        form: Form,
        idle: Duration,
        trace: TraceContext,
        guard: CancelGuard,
    ) -> Self {
        Self {
            replies,
            binding,
            mapping,
            form,
            idle,
            timer: Box::pin(tokio::time::sleep(idle)),
            trace,
            next: None,
            state: State::Going,
            _guard: guard,
        }
    }

    /// Waits for the first message; the media type of the whole.
    ///
    /// # Errors
    /// What the service answers instead.
    pub(crate) async fn begin(&mut self) -> Result<HeaderValue> {
        let Some(reply) = self.replies.next().await else {
            self.state = State::Ended;
            return Ok(self.form.media_type());
        };
        let due = tokio::time::Instant::now() + self.idle;
        self.timer.as_mut().reset(due);
        let (media_type, element) = self.written(&reply?)?;
        self.next = Some(element);
        Ok(media_type)
    }

    fn written(&self, reply: &[u8]) -> Result<(HeaderValue, Bytes)> {
        if self.form.written == Written::Raw {
            let raw = self.binding.raw_answer(reply)?;
            return Ok((raw.media_type, raw.bytes));
        }
        let json = self.binding.answer(reply, self.mapping)?;
        Ok((self.form.media_type(), self.form.message(&json)))
    }

    fn element(&mut self, reply: Result<Bytes>) -> Bytes {
        match reply.and_then(|reply| self.written(&reply)) {
            Ok((_, element)) => element,
            Err(error) => self.fail(&error),
        }
    }

    fn fail(&mut self, error: &Error) -> Bytes {
        tracing::warn!(
            code = error.code(),
            cause = error.cause_chain(),
            trace_id = self.trace.trace_id(),
            "a stream broke off"
        );
        self.state = State::Failed;
        self.timer = Box::pin(tokio::time::sleep(FAREWELL));
        self.form
            .failure(&problem::document(error, self.form.language, &self.trace))
    }
}

impl Body for Replies {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(element) = self.next.take() {
            return Poll::Ready(Some(Ok(Frame::data(element))));
        }
        match self.state {
            State::Ended => return Poll::Ready(None),
            State::Failed => {
                ready!(self.timer.as_mut().poll(cx));
                self.state = State::Ended;
                return Poll::Ready(Some(Err("the stream broke off".into())));
            }
            State::Going => {}
        }
        let element = match Pin::new(&mut self.replies).poll_next(cx) {
            Poll::Ready(None) => {
                self.state = State::Ended;
                return Poll::Ready(None);
            }
            Poll::Ready(Some(reply)) => {
                let due = tokio::time::Instant::now() + self.idle;
                self.timer.as_mut().reset(due);
                self.element(reply)
            }
            Poll::Pending => {
                ready!(self.timer.as_mut().poll(cx));
                self.fail(&catalogue::DEADLINE_EXCEEDED.error())
            }
        };
        Poll::Ready(Some(Ok(Frame::data(element))))
    }

    fn is_end_stream(&self) -> bool {
        self.state == State::Ended && self.next.is_none()
    }
}
