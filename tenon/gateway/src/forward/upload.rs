//! The body of a request on its way: as long as nothing of it was read, it can be sent to another
//! instance instead.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

/// Keeps a body until somebody reads it.
pub(crate) struct Upload {
    slot: Arc<Mutex<Option<Body>>>,
    empty: bool,
    size: SizeHint,
}

impl Upload {
    pub(crate) fn new(body: Body) -> Self {
        Self {
            empty: body.is_end_stream(),
            size: body.size_hint(),
            slot: Arc::new(Mutex::new(Some(body))),
        }
    }

    /// Whether there is nothing to send.
    pub(crate) fn is_empty(&self) -> bool {
        self.empty
    }

    /// The body for one attempt; `None` once one of them has read from it.
    pub(crate) fn attempt(&self) -> Option<Body> {
        let slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref()?;
        Some(Body::new(Attempt {
            slot: self.slot.clone(),
            taken: None,
            empty: self.empty,
            size: self.size,
        }))
    }
}

/// Takes the body at the first read: a connection that is never made reads nothing.
struct Attempt {
    slot: Arc<Mutex<Option<Body>>>,
    taken: Option<Body>,
    empty: bool,
    size: SizeHint,
}

impl HttpBody for Attempt {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.taken.is_none() {
            let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
            let body = slot.take();
            drop(slot);
            self.taken = body;
        }
        match &mut self.taken {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.taken {
            Some(body) => body.is_end_stream(),
            None => self.empty,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.taken {
            Some(body) => body.size_hint(),
            None => self.size,
        }
    }
}
