//! How a stream of events is served: within the same layers as any other answer, for as long as
//! the stream lives.
//!
//! One future does the whole of it, from the first byte of the request to the last event, and
//! holds what a request holds: its record, its context, its place in flight. It runs within the
//! response until the head is known, and then within the body; whoever drops the one or the other
//! ends it.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http::Method;
use http_body::{Body as HttpBody, Frame};
use tenon_core::{Context, Error, Messages, Result, catalogue, panics};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior},
};

use crate::{Request, Response, deadline, events, guard, onion::Onion, problem, trace};

/// How often a quiet stream says that it lives. Proxies commonly give up after 30 or 60 s.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A comment, which clients pass over.
const COMMENT: Bytes = Bytes::from_static(b": \n\n");

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves one request of a route that answers with events.
pub(crate) async fn serve(onion: Arc<Onion>, request: Request) -> Response {
    let (head, mut headed) = oneshot::channel();
    let (out, chunks) = mpsc::channel(1);
    let label = onion.label;
    let work = run(onion, request, head, out);
    let mut running: Work = Box::pin(tenon_profile::labelled(label, work));
    let (response, work) = tokio::select! {
        biased;
        response = &mut headed => (response, Some(running)),
        () = &mut running => (headed.await, None),
    };
    let Ok(mut response) = response else {
        // The work ends without a head only where it panicked outside of what it contains.
        let error = Error::internal("begin the stream", "no head was made");
        let trace = tenon_core::TraceContext::new();
        return problem::response(error, tenon_core::error::Language::default(), &trace);
    };
    if response.extensions_mut().remove::<Streams>().is_some() {
        return response.map(|_| Body::new(Chunks { chunks, work }));
    }
    // The rest of the work is the record of what was answered.
    if let Some(work) = work {
        work.await;
    }
    response
}

/// Marks a head whose body is yet to come.
#[derive(Clone)]
struct Streams;

async fn run(
    onion: Arc<Onion>,
    request: Request,
    head: oneshot::Sender<Response>,
    out: mpsc::Sender<Bytes>,
) {
    let trace = trace::incoming(request.headers());
    let language = problem::language(request.headers());
    let (came, allowed) = (
        Instant::now(),
        deadline::patience(request.headers(), onion.timeout),
    );
    let (cx, _guard) = Context::incoming(trace, Some(came + allowed));
    let method = request.method().clone();
    let mut visit = onion.visit(&request, trace, came, allowed);
    let answer = onion.answer(cx.clone(), request, &mut visit);
    let outcome = panics::contain(answer)
        .await
        .unwrap_or_else(|panicked| Err(Error::internal("end the request", panicked)));
    let mut response = outcome.unwrap_or_else(|error| problem::response(error, language, &trace));
    let headers = response.headers_mut();
    problem::harden(headers);
    trace::mark(headers, &trace);
    guard::tell(visit.quota.as_ref(), headers);
    visit.reading.tell(headers);
    let events = events::take(&mut response);
    let sent = match events.filter(|_| method != Method::HEAD) {
        None => {
            visit.journal.close(&response);
            let _ = head.send(response);
            return;
        }
        Some(events) => {
            response.extensions_mut().insert(Streams);
            if head.send(response).is_err() {
                return;
            }
            panics::contain(send(&cx, events, &out)).await
        }
    };
    let sent =
        sent.unwrap_or_else(|panicked| Err(Error::internal("go on with the stream", panicked)));
    let ended = match sent {
        Ok(Sent::All) => Ok(Response::default()),
        // The client's leaving says nothing of the service.
        Ok(Sent::Left) => return,
        Err(error) => {
            let document = problem::document(&error, language, &trace);
            let _ = out.send(events::problem(&document)).await;
            // A stream that was open until its time is no failure.
            match error.is(&catalogue::DEADLINE_EXCEEDED) && cx.check().is_err() {
                true => Ok(Response::default()),
                false => Err(error),
            }
        }
    };
    if let Some((flight, permit)) = visit.held.take() {
        onion.guard.finish(flight, permit, &ended, visit.allowed);
    }
    let record = ended.unwrap_or_else(|error| problem::response(error, language, &trace));
    visit.journal.close(&record);
}

/// How a stream ended that did not fail.
enum Sent {
    All,
    /// The client left.
    Left,
}

async fn send(
    cx: &Context,
    mut events: Messages<Bytes>,
    out: &mpsc::Sender<Bytes>,
) -> Result<Sent> {
    let mut alive = tokio::time::interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
    alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let chunk = tokio::select! {
            biased;
            ended = cx.cancelled() => return Err(ended),
            next = events.next() => match next {
                Some(event) => event?,
                None => return Ok(Sent::All),
            },
            _ = alive.tick() => COMMENT,
        };
        alive.reset();
        // A client that does not read holds the stream here; its deadline holds all the same.
        if cx.run(out.send(chunk)).await?.is_err() {
            return Ok(Sent::Left);
        }
    }
}

/// The body of a stream: it runs the work that makes it.
struct Chunks {
    chunks: mpsc::Receiver<Bytes>,
    work: Option<Work>,
}

impl HttpBody for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Infallible>>> {
        if let Some(work) = &mut self.work
            && work.as_mut().poll(cx).is_ready()
        {
            self.work = None;
        }
        let chunk = std::task::ready!(self.chunks.poll_recv(cx));
        Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}
