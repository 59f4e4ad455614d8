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
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    Options, Protocol,
    outflow::{Backlog, Resets, Windows},
};

/// The largest piece of a response that is handed on at once. An HTTP/2 peer that reads nothing
/// is only noticed while pieces are left here, and what was handed on is held for it.
const PIECE_BYTES: usize = 64 << 10;

/// What an HTTP/2 client sends before anything else: its preface and a frame of settings.
const GREETING_BYTES: usize = 24 + 9;

/// The marks of one connection. They are hints for a timer, so no order between them is needed.
#[derive(Debug)]
pub(crate) struct Activity {
    protocol: Protocol,
    header_timeout: Duration,
    idle_timeout: Duration,
    unread_timeout: Duration,
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
    /// What the socket has not taken yet.
    backlog: Backlog,
    /// What an HTTP/2 peer has given no room for.
    windows: Windows,
    /// What an HTTP/2 peer asked for and reset.
    resets: Resets,
    /// Whether the connection has left HTTP: it became a WebSocket.
    upgraded: AtomicBool,
    /// Cancelled when nobody holds the stream any more.
    released: CancellationToken,
}

impl Activity {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            protocol: options.protocol,
            header_timeout: options.header_timeout,
            idle_timeout: options.idle_timeout,
            unread_timeout: options.unread_timeout,
            accepted: Instant::now(),
            requests: AtomicUsize::new(0),
            head: AtomicBool::new(true),
            touched: AtomicBool::new(false),
            greeted: AtomicUsize::new(0),
            waiting_since: AtomicU64::new(0),
            backlog: Backlog::default(),
            windows: Windows::default(),
            resets: Resets::new(),
            upgraded: AtomicBool::new(false),
            released: CancellationToken::new(),
        }
    }

    /// Until when the connection may go on as it is. Work on a request has no limit here: its
    /// deadline is the door's affair.
    pub(crate) fn due(&self) -> Instant {
        let unread = self.unread_timeout;
        let unread = match (self.backlog.due(unread), self.windows.due(unread)) {
            (Some(socket), Some(windows)) => Some(socket.min(windows)),
            (socket, windows) => socket.or(windows),
        };
        if let Some(unread) = unread {
            return self.accepted + unread;
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

    /// Since when the connection waits for a head, if it does: first whether it only rests between
    /// two of them.
    pub(crate) fn waits(&self) -> Option<(bool, Instant)> {
        let answers = self.requests.load(Relaxed) > 0 || self.has_left();
        (!answers).then(|| {
            let since = self.at(self.waiting_since.load(Relaxed));
            (!self.head.load(Relaxed), since)
        })
    }

    /// Whether nothing was ever asked on this connection.
    pub(crate) fn untouched(&self) -> bool {
        !self.touched.load(Relaxed)
    }

    /// Whether the connection only rests: no request, no head, no stalled write.
    pub(crate) fn resting(&self) -> bool {
        self.requests.load(Relaxed) == 0 && !self.head.load(Relaxed) && !self.backlog.exists()
    }

    /// Whether an HTTP/2 peer resets too much of what it asks for.
    pub(crate) fn is_abused(&self) -> bool {
        self.protocol == Protocol::Http2 && self.resets.are_too_many()
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
        self.backlog.waits(self.now());
    }

    pub(crate) fn write_went(&self, bytes: usize) {
        self.backlog.went(bytes);
    }

    pub(crate) fn all_is_written(&self) {
        self.backlog.cleared();
    }

    /// Notes an answer that leaves HTTP.
    pub(crate) fn answered(&self, status: StatusCode) {
        if status == StatusCode::SWITCHING_PROTOCOLS {
            self.upgraded.store(true, Relaxed);
        }
    }

    /// Whether the stream was handed on to whoever speaks another protocol on it.
    pub(crate) fn has_left(&self) -> bool {
        self.upgraded.load(Relaxed)
    }

    /// Nobody holds the stream any more.
    pub(crate) fn release(&self) {
        self.released.cancel();
    }

    /// Resolves once nobody holds the stream any more.
    pub(crate) async fn released(&self) {
        self.released.cancelled().await;
    }

    /// A request came in whole; it counts until the guard is dropped.
    pub(crate) fn request(self: &Arc<Self>) -> InFlight {
        self.requests.fetch_add(1, Relaxed);
        self.head.store(false, Relaxed);
        InFlight {
            activity: self.clone(),
            waits_for_window: false,
            ended: false,
        }
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
pub(crate) struct InFlight {
    activity: Arc<Activity>,
    /// Whether a piece of the response waits to be asked for.
    waits_for_window: bool,
    /// Whether the response was handed on to its end.
    ended: bool,
}

impl InFlight {
    fn window_closes(&mut self) {
        if self.activity.protocol == Protocol::Http2 && !self.waits_for_window {
            self.waits_for_window = true;
            self.activity.windows.wait(self.activity.now());
        }
    }

    fn window_opens(&mut self) {
        if self.waits_for_window {
            self.waits_for_window = false;
            self.activity.windows.open(self.activity.now());
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.window_opens();
        let activity = &self.activity;
        if activity.protocol == Protocol::Http2 {
            if self.ended {
                activity.resets.answered();
            } else {
                activity.resets.reset();
            }
        }
        activity.waiting_since.store(activity.now(), Relaxed);
        activity.requests.fetch_sub(1, Relaxed);
    }
}

pin_project_lite::pin_project! {
    /// A response body, or none, that keeps its request in flight until it is sent or dropped.
    pub(crate) struct Tracked<B> {
        #[pin]
        body: Option<B>,
        // What is left of a large piece.
        rest: Bytes,
        in_flight: InFlight,
    }
}

impl<B: Body> Tracked<B> {
    pub(crate) fn new(body: Option<B>, mut in_flight: InFlight) -> Self {
        if body.as_ref().is_none_or(Body::is_end_stream) {
            in_flight.ended = true;
        } else {
            in_flight.window_closes();
        }
        Self {
            body,
            rest: Bytes::new(),
            in_flight,
        }
    }
}

impl<B: Body> Body for Tracked<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        this.in_flight.window_opens();
        if this.rest.is_empty() {
            let Some(mut body) = this.body.as_pin_mut() else {
                return Poll::Ready(None);
            };
            let Some(frame) = ready!(body.as_mut().poll_frame(cx)?) else {
                this.in_flight.ended = true;
                return Poll::Ready(None);
            };
            this.in_flight.ended = frame.is_trailers() || body.is_end_stream();
            match frame.into_data() {
                // Whole and without a copy, when it is one piece of memory.
                Ok(mut data) => *this.rest = data.copy_to_bytes(data.remaining()),
                Err(other) => {
                    let trailers = other.into_trailers().unwrap_or_default();
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(PIECE_BYTES));
        if !this.rest.is_empty() || !this.in_flight.ended {
            this.in_flight.window_closes();
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let none = || SizeHint::with_exact(0);
        let mut hint = self.body.as_ref().map_or_else(none, Body::size_hint);
        let rest = self.rest.len() as u64;
        let upper = hint.upper().map(|upper| upper + rest);
        hint.set_lower(hint.lower() + rest);
        if let Some(upper) = upper {
            hint.set_upper(upper);
        }
        hint
    }
}
