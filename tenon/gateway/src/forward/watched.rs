//! The body of an answer on its way, watched for a service that falls silent.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::balance::Lease;

/// The answer's body. A service that breaks off or falls silent ends it with an error, which
/// resets the client's connection: what is not whole must not look whole.
pub(crate) struct Watched {
    body: Incoming,
    pause: Duration,
    /// Made at the first wait: most answers come in one piece.
    timer: Option<Pin<Box<Sleep>>>,
    /// The instance is at work until its answer has ended.
    _lease: Lease,
}

impl Watched {
    pub(crate) fn new(body: Incoming, pause: Duration, lease: Lease) -> Self {
        Self {
            body,
            pause,
            timer: None,
            _lease: lease,
        }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.timer = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)));
        }
        let until = Instant::now() + self.pause;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        match timer.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(Some(Err("the service fell silent".into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
