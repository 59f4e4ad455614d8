//! The reply of a method that streams: its messages, and the trailers that say how it ended.
//!
//! A stream is on record for as long as it lives: in flight, with its context, its line in the
//! access log at its end. Its deadline holds although nobody reads: a peer that gives no window
//! keeps its stream from being polled, so a task of its own watches the clock.

use std::{
    fmt, mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{self, Poll, Waker, ready},
};

use bytes::Bytes;
use futures_util::Stream;
use http::HeaderMap;
use http_body::Frame;
use tenon_core::{Context, Error, Messages, Result, panics};
use tokio::task::AbortHandle;

use super::Held;
use crate::{body::success, frame, outcome, status};

/// A stream of framed messages on its way to its caller.
pub(crate) struct Flow {
    shared: Arc<Shared>,
    watch: AbortHandle,
}

struct Shared {
    state: Mutex<State>,
}

enum State {
    Live(Box<Live>),
    /// Nothing more is made; how it ended is not sent yet.
    Ended(HeaderMap),
    Over,
}

struct Live {
    frames: Messages<Bytes>,
    /// What was taken from them and is not sent yet.
    kept: Option<Option<Result<Bytes>>>,
    cx: Context,
    /// Who waits for the next frame.
    waker: Option<Waker>,
    held: Held,
}

impl Flow {
    /// Takes over a call whose handler has answered with a stream.
    pub(super) fn start(frames: Messages<Bytes>, cx: Context, held: Held) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State::Live(Box::new(Live {
                frames,
                kept: None,
                cx: cx.clone(),
                waker: None,
                held,
            }))),
        });
        let watch = tokio::spawn(expire(Arc::downgrade(&shared), cx)).abort_handle();
        Self { shared, watch }
    }

    /// The next message or the trailers.
    pub(crate) fn poll_frame(&mut self, cx: &mut task::Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        let mut state = self.shared.lock();
        let ended = match &mut *state {
            State::Live(live) => match ready!(live.poll_packed(cx)) {
                Some(Ok(message)) => return Poll::Ready(Some(Frame::data(message))),
                Some(Err(error)) => Err(error),
                None => Ok(()),
            },
            State::Ended(trailers) => {
                let trailers = mem::take(trailers);
                *state = State::Over;
                return Poll::Ready(Some(Frame::trailers(trailers)));
            }
            State::Over => return Poll::Ready(None),
        };
        let live = mem::replace(&mut *state, State::Over);
        // The handler's stream is dropped without the lock: what it drops may take its time.
        drop(state);
        self.watch.abort();
        Poll::Ready(Some(Frame::trailers(close(live, &ended))))
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(*self.shared.lock(), State::Over)
    }
}

impl Drop for Flow {
    /// The caller left, or the stream is over: the watch has nothing to watch.
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow").finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    fn poll_packed(&mut self, cx: &mut task::Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let mut kept = self.kept.take();
        let next = frame::pack(&mut kept, cx, |cx| self.poll_message(cx));
        self.kept = kept;
        next
    }

    fn poll_message(&mut self, cx: &mut task::Context<'_>) -> Poll<Option<Result<Bytes>>> {
        // A stream that always has something to say would otherwise never look at the clock.
        if let Err(ended) = self.cx.check() {
            return Poll::Ready(Some(Err(ended)));
        }
        let polled = panics::catch(|| Pin::new(&mut self.frames).poll_next(cx));
        let next = match polled {
            Ok(Poll::Pending) => {
                self.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Ok(Poll::Ready(next)) => next,
            Err(panicked) => Some(Err(Error::internal("go on with the stream", panicked))),
        };
        if let Some(Ok(_)) = &next {
            self.held.sent();
        }
        Poll::Ready(next.map(|item| item.map_err(|error| outcome::own(&self.cx, error))))
    }
}

/// Puts the end of a stream on record; its trailers.
fn close(state: State, ended: &Result<()>) -> HeaderMap {
    if let State::Live(live) = state {
        let Live { frames, held, .. } = *live;
        drop(frames);
        held.ended(ended);
    }
    match ended {
        Ok(()) => success(),
        Err(error) => status::write(error),
    }
}

/// Ends the stream when its context does, whether or not its caller reads.
async fn expire(shared: Weak<Shared>, cx: Context) {
    let error = cx.cancelled().await;
    let trailers = status::write(&error);
    let Some(shared) = shared.upgrade() else {
        return;
    };
    let mut state = shared.lock();
    if !matches!(*state, State::Live(_)) {
        return;
    }
    let mut live = mem::replace(&mut *state, State::Ended(trailers));
    drop(state);
    let waker = match &mut live {
        State::Live(live) => live.waker.take(),
        _ => None,
    };
    close(live, &Err(error));
    if let Some(waker) = waker {
        waker.wake();
    }
}
