//! What both ways of calling share for streams, in the process and across the network: what a
//! caller sends, and what comes back.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{self, Poll},
    time::Duration,
};

use futures_util::{Stream, task::AtomicWaker};
use tenon_core::{Context, Error, Messages, Result, context::CancelGuard, panics};

use crate::{BoxFuture, observe::Calling, outcome};

/// What a caller sends broke: its own error, which is then that of the call. The service never
/// sees it as an end.
#[derive(Default)]
pub(crate) struct Breach {
    error: Mutex<Option<Error>>,
    /// Stays so when the error was taken.
    has_been: AtomicBool,
    waker: AtomicWaker,
}

impl Breach {
    /// The error, once there is one.
    pub(crate) fn poll(&self, cx: &mut task::Context<'_>) -> Poll<Error> {
        self.waker.register(cx.waker());
        match self.take() {
            Some(error) => Poll::Ready(error),
            None => Poll::Pending,
        }
    }

    /// Waits for `work`, or for what the caller sends to break.
    pub(crate) async fn or<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let mut work = std::pin::pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(error) = self.poll(cx) {
                return Poll::Ready(Err(error));
            }
            let polled = work.as_mut().poll(cx);
            // It may have broken while the work was looked at, and failed the work by that.
            match self.take() {
                Some(error) => Poll::Ready(Err(error)),
                None => polled,
            }
        })
        .await
    }

    pub(crate) fn take(&self) -> Option<Error> {
        self.error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Whether there was one, be it told or not.
    pub(crate) fn has_been(&self) -> bool {
        self.has_been.load(Ordering::Relaxed)
    }

    fn set(&self, error: Error) {
        self.has_been.store(true, Ordering::Relaxed);
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        self.waker.wake();
    }
}

/// The messages of a caller, each looked at for a breach.
pub(crate) struct Sending<T> {
    items: Messages<T>,
    breach: Arc<Breach>,
}

impl<T> Sending<T> {
    pub(crate) fn new(items: Messages<T>) -> (Self, Arc<Breach>) {
        let breach = Arc::<Breach>::default();
        let sending = Self {
            items,
            breach: breach.clone(),
        };
        (sending, breach)
    }

    /// The next message; `Err` when what the caller sends broke, the error of which is kept.
    pub(crate) fn poll_item(&mut self, cx: &mut task::Context<'_>) -> Poll<Option<Result<T, ()>>> {
        let polled = panics::catch(|| Pin::new(&mut self.items).poll_next(cx));
        let error = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(Some(Ok(item)))) => return Poll::Ready(Some(Ok(item))),
            Ok(Poll::Ready(None)) => return Poll::Ready(None),
            Ok(Poll::Ready(Some(Err(error)))) => error,
            Err(panicked) => Error::internal("make the next message", panicked),
        };
        self.breach.set(error);
        Poll::Ready(Some(Err(())))
    }
}

/// The same messages for a service in this process. After a breach nothing comes any more: the
/// call ends, as a reset would end it over the network.
pub(crate) fn in_process<T: Send + 'static>(items: Messages<T>) -> (Messages<T>, Arc<Breach>) {
    let (sending, breach) = Sending::new(items);
    (Messages::results(Direct(sending)), breach)
}

struct Direct<T>(Sending<T>);

impl<T> Stream for Direct<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        match self.0.poll_item(cx) {
            Poll::Ready(Some(Ok(item))) => Poll::Ready(Some(Ok(item))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(Err(()))) | Poll::Pending => Poll::Pending,
        }
    }
}

/// What a call holds whose answer is a stream: until the last message, or until it is dropped.
pub(crate) struct Call {
    pub(crate) cx: Context,
    /// Ends what the caller still sends, and the work of a service in this process.
    pub(crate) guard: CancelGuard,
    pub(crate) breach: Option<Arc<Breach>>,
    pub(crate) calling: Option<Calling>,
    /// Told how the call ended, and after how long.
    pub(crate) told: Option<Told>,
}

type Told = Box<dyn FnOnce(&Result<()>, Duration) + Send>;

impl Call {
    pub(crate) fn end(mut self, ended: &Result<()>) {
        drop(self.guard);
        let elapsed = self.calling.take().map(|calling| calling.finish(ended));
        if let Some((told, elapsed)) = self.told.take().zip(elapsed) {
            told(ended, elapsed);
        }
    }
}

/// The messages of `items`, for as long as the call lives.
pub(crate) fn watched<T: Send + 'static>(items: Messages<T>, call: Call) -> Messages<T> {
    let cx = call.cx.clone();
    Messages::results(Watched {
        items,
        ended: Box::pin(async move { cx.cancelled().await }),
        call: Some(call),
    })
}

struct Watched<T> {
    items: Messages<T>,
    ended: BoxFuture<'static, Error>,
    call: Option<Call>,
}

impl<T: Send + 'static> Stream for Watched<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(call) = &this.call else {
            return Poll::Ready(None);
        };
        let next = match poll_item(&mut this.items, call, cx) {
            Poll::Ready(next) => next,
            Poll::Pending => match this.ended.as_mut().poll(cx) {
                Poll::Ready(error) => Some(Err(error)),
                Poll::Pending => return Poll::Pending,
            },
        };
        let ended = match next {
            Some(Ok(item)) => return Poll::Ready(Some(Ok(item))),
            Some(Err(error)) => Err(outcome::seen_by_caller(&call.cx, error)),
            None => Ok(()),
        };
        // What the service still does for the stream ends before its caller hears of the end.
        this.items = Messages::none();
        if let Some(call) = this.call.take() {
            call.end(&ended);
        }
        Poll::Ready(ended.err().map(Err))
    }
}

fn poll_item<T>(
    items: &mut Messages<T>,
    call: &Call,
    cx: &mut task::Context<'_>,
) -> Poll<Option<Result<T>>> {
    let breach = call.breach.as_deref();
    if let Some(Poll::Ready(error)) = breach.map(|breach| breach.poll(cx)) {
        return Poll::Ready(Some(Err(error)));
    }
    // A stream that always has something to say would otherwise never look at the clock.
    if let Err(ended) = call.cx.check() {
        return Poll::Ready(Some(Err(ended)));
    }
    let polled = match panics::catch(|| Pin::new(items).poll_next(cx)) {
        Ok(polled) => polled,
        Err(panicked) => {
            let error = Error::internal("go on with the stream", panicked);
            Poll::Ready(Some(Err(error)))
        }
    };
    match (breach.and_then(Breach::take), polled) {
        (Some(error), _) => Poll::Ready(Some(Err(error))),
        (None, polled) => polled,
    }
}
