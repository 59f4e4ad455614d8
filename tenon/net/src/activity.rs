//! What a connection is doing, and until when it may do it.
//!
//! hyper's own timer is set anew for each request and cannot tell a connection that rests from
//! one that dawdles over a head. Here every event leaves a mark, and one timer per connection
//! reads the marks only when it fires.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::{Options, Protocol};

/// What an HTTP/2 client sends before anything else: its preface and a frame of settings.
const GREETING_BYTES: usize = 24 + 9;

/// The marks of one connection. They are hints for a timer, so no order between them is needed.
#[derive(Debug)]
pub(crate) struct Activity {
    protocol: Protocol,
    header_timeout: Duration,
    idle_timeout: Duration,
    accepted: Instant,
    /// Requests whose response has not been handed to the network whole.
    requests: AtomicUsize,
    /// Whether a head has begun to arrive, or the very first one is due.
    head: AtomicBool,
    /// Whether any byte has arrived at all.
    touched: AtomicBool,
    /// How much of the greeting of an HTTP/2 client has arrived, and a little more.
    greeted: AtomicUsize,
    /// When the wait for a request, or for the rest of its head, began: milliseconds after
    /// `accepted`.
    waiting_since: AtomicU64,
    /// When the peer stopped taking what is written, plus one; zero while it takes it.
    stalled_since: AtomicU64,
}

impl Activity {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            protocol: options.protocol,
            header_timeout: options.header_timeout,
            idle_timeout: options.idle_timeout,
            accepted: Instant::now(),
            requests: AtomicUsize::new(0),
            head: AtomicBool::new(true),
            touched: AtomicBool::new(false),
            greeted: AtomicUsize::new(0),
            waiting_since: AtomicU64::new(0),
            stalled_since: AtomicU64::new(0),
        }
    }

    /// Until when the connection may go on as it is. Work on a request has no limit here: its
    /// deadline is the door's affair.
    pub(crate) fn due(&self) -> Instant {
        let stalled = self.stalled_since.load(Relaxed);
        if stalled > 0 {
            return self.at(stalled - 1) + self.idle_timeout;
        }
        if self.requests.load(Relaxed) > 0 {
            return Instant::now() + self.idle_timeout;
        }
        let patience = if self.head.load(Relaxed) {
            self.header_timeout
        } else {
            self.idle_timeout
        };
        self.at(self.waiting_since.load(Relaxed)) + patience
    }

    /// Whether nothing was ever asked on this connection.
    pub(crate) fn untouched(&self) -> bool {
        !self.touched.load(Relaxed)
    }

    /// Whether the connection only rests: no request, no head, no stalled write.
    pub(crate) fn resting(&self) -> bool {
        self.requests.load(Relaxed) == 0
            && !self.head.load(Relaxed)
            && self.stalled_since.load(Relaxed) == 0
    }

    pub(crate) fn bytes_came(&self, count: usize) {
        self.touched.store(true, Relaxed);
        if self.protocol == Protocol::Http2 {
            // Frames come between requests as well (pings, settings), so only the greeting has
            // the short limit; a head in pieces has the long one, and pings find who is silent.
            if self.head.load(Relaxed)
                && self.greeted.fetch_add(count, Relaxed) + count >= GREETING_BYTES
            {
                self.head.store(false, Relaxed);
            }
        } else if self.requests.load(Relaxed) == 0 && !self.head.swap(true, Relaxed) {
            self.waiting_since.store(self.now(), Relaxed);
        }
    }

    pub(crate) fn write_waits(&self) {
        if self.stalled_since.load(Relaxed) == 0 {
            self.stalled_since.store(self.now() + 1, Relaxed);
        }
    }

    pub(crate) fn write_went(&self) {
        if self.stalled_since.load(Relaxed) != 0 {
            self.stalled_since.store(0, Relaxed);
        }
    }

    /// A request came in whole; it counts until the guard is dropped.
    pub(crate) fn request(self: &Arc<Self>) -> InFlight {
        self.requests.fetch_add(1, Relaxed);
        self.head.store(false, Relaxed);
        InFlight(self.clone())
    }

    fn now(&self) -> u64 {
        u64::try_from(self.accepted.elapsed().as_millis()).unwrap_or(u64::MAX / 2)
    }

    fn at(&self, millis: u64) -> Instant {
        self.accepted + Duration::from_millis(millis)
    }
}

/// One request in flight.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let activity = &self.0;
        activity.waiting_since.store(activity.now(), Relaxed);
        activity.requests.fetch_sub(1, Relaxed);
    }
}

pin_project_lite::pin_project! {
    /// A response body, or none, that keeps its request in flight until it is sent or dropped.
    pub(crate) struct Tracked<B> {
        #[pin]
        pub(crate) body: Option<B>,
        pub(crate) in_flight: InFlight,
    }
}

impl<B: Body> Body for Tracked<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match self.project().body.as_pin_mut() {
            Some(body) => body.poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let none = || SizeHint::with_exact(0);
        self.body.as_ref().map_or_else(none, Body::size_hint)
    }
}
