//! The body of a request on its way: as long as nothing of it was read, it can be sent to another
//! instance instead.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tenon_core::{Error, catalogue};

/// Keeps a body until somebody reads it.
pub(crate) struct Upload {
    slot: Arc<Mutex<Option<Body>>>,
    empty: bool,
    size: SizeHint,
    /// The upstream asked for more, and the client has not sent it.
    awaited: Arc<AtomicBool>,
}

impl Upload {
    pub(crate) fn new(body: Body) -> Self {
        Self {
            empty: body.is_end_stream(),
            size: body.size_hint(),
            slot: Arc::new(Mutex::new(Some(body))),
            awaited: Arc::default(),
        }
    }

    /// Why a request did not end in time: its client did not send what was waited for, or the
    /// upstream is slow.
    pub(crate) fn late(&self) -> Error {
        match self.awaited.load(Relaxed) {
            true => catalogue::BODY_TOO_SLOW.error(),
            false => catalogue::DEADLINE_EXCEEDED.error(),
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
            awaited: self.awaited.clone(),
        }))
    }
}

/// Takes the body at the first read: a connection that is never made reads nothing.
struct Attempt {
    slot: Arc<Mutex<Option<Body>>>,
    taken: Option<Body>,
    empty: bool,
    size: SizeHint,
    awaited: Arc<AtomicBool>,
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
        let Some(body) = &mut self.taken else {
            return Poll::Ready(None);
        };
        let step = Pin::new(body).poll_frame(cx);
        self.awaited.store(step.is_pending(), Relaxed);
        step
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
