//! One connection, from its first byte to its last.

use std::{
    convert::Infallible,
    error::Error as StdError,
    future::Future,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Poll, Waker},
    time::Duration,
};

use http::{HeaderValue, Request, Response, header};
use http_body::Body;
use hyper::{
    body::Incoming,
    rt::{Read, Write},
    server::conn::{http1, http2},
    service::{HttpService, service_fn},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tenon_core::{Lifecycle, PeerIdentity};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    time::Instant,
};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};

use crate::{
    Options, Peer, Protocol, ServerTls,
    activity::{Activity, Tracked},
    head::{self, Refusal},
    marked::Marked,
    socket::{self, Socket},
    wakes::Wakes,
};

/// The largest piece that is read or buffered at once, unless a head may be larger.
const BUFFER_BYTES: usize = 64 << 10;
/// How many calls one HTTP/2 connection may have in flight.
const STREAMS: u32 = 256;
/// How much of one request may wait for its handler: what HTTP/2 itself begins with.
const STREAM_WINDOW: u32 = 64 << 10;
/// How much may wait on a connection: all of its streams, so that those whose handlers do not
/// read hold up no other. h2 derives from it how many small frames may wait.
const CONNECTION_WINDOW: u32 = STREAMS * STREAM_WINDOW;
/// How often, and for how long, an HTTP/2 peer is asked whether it lives.
const PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));
/// How long an HTTP/2 peer gets to take the farewell.
const FAREWELL: Duration = Duration::from_secs(5);

/// An accepted connection.
pub(crate) struct Connection {
    /// The half that nobody writes to: hyper has the other, this one is watched.
    pub(crate) tcp: OwnedWriteHalf,
    pub(crate) peer: SocketAddr,
    pub(crate) options: Arc<Options>,
    pub(crate) life: Lifecycle,
    pub(crate) cut: CancellationToken,
    pub(crate) activity: Arc<Activity>,
}

impl Connection {
    /// Serves requests until one side has enough.
    pub(crate) async fn serve<S, B>(self, read: OwnedReadHalf, service: S)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send + 'static,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let activity = self.activity.clone();
        let socket = Socket {
            tcp: read,
            activity: activity.clone(),
        };
        let end = match &self.options.tls {
            None => self.speak(socket, None, &activity, service).await,
            Some(tls) => match self.greet(tls, socket).await {
                Ok((stream, identity)) => self.speak(stream, identity, &activity, service).await,
                Err(end) => end,
            },
        };
        tracing::trace!(peer = %self.peer, ?end, "connection ended");
        match end {
            End::Served => {
                let lingering = socket::linger(self.tcp.as_ref());
                let _ = self.cut.run_until_cancelled(lingering).await;
            }
            End::BrokenOff => socket::reset_on_close(self.tcp.as_ref()),
            End::Left => {
                // Whoever speaks on it now is in the house until it ends, or until all are cut.
                let released = self.cut.run_until_cancelled(activity.released());
                if released.await.is_none() {
                    socket::close(self.tcp.as_ref());
                }
            }
            _ => {}
        }
        // Dropping it would send an orderly end first, also where a reset is meant.
        self.tcp.forget();
    }

    /// Agrees on TLS within the time of a head. The work is dropped with a peer that leaves.
    async fn greet(
        &self,
        tls: &ServerTls,
        socket: Socket,
    ) -> Result<(TlsStream<Socket>, Option<PeerIdentity>), End> {
        tokio::select! {
            greeted = tls.accept(socket) => greeted.map_err(|cause| {
                tracing::info!(target: "access", problem = %cause, "no TLS with a client");
                End::Broken
            }),
            () = socket::peer_gone(self.tcp.as_ref()) => Err(End::PeerGone),
            () = tokio::time::sleep(self.options.header_timeout) => Err(End::Expired),
            () = self.life.closing() => Err(End::Drained),
            () = self.cut.cancelled() => Err(End::Cut),
        }
    }

    /// Answers requests that come over `stream`.
    async fn speak<I, S, B>(
        &self,
        stream: I,
        identity: Option<PeerIdentity>,
        activity: &Arc<Activity>,
        service: S,
    ) -> End
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send + 'static,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let io = TokioIo::new(Marked {
            stream,
            activity: activity.clone(),
        });
        let (peer, protocol) = (Peer(self.peer), self.options.protocol);
        let marks = activity.clone();
        let wakes = Wakes::new(Instant::now());
        let woken = wakes.clone();
        let heads = self.options.heads.clone();
        let head_bytes = heads.head_bytes();
        let service = service_fn(move |mut request: Request<Incoming>| {
            let marks = marks.clone();
            let in_flight = marks.request();
            request.extensions_mut().insert(peer);
            request.extensions_mut().insert(woken.readable());
            if let Some(identity) = &identity {
                request.extensions_mut().insert(identity.clone());
            }
            let refusal = match protocol {
                Protocol::Http1 => head::refusal(&request, heads.uri_bytes()),
                Protocol::Http2 => None,
            };
            let call = match refusal {
                Some(refusal) => Err(refused(refusal)),
                None => Ok(service.clone().oneshot(request)),
            };
            async move {
                let response = match call {
                    Ok(call) => call.await?.map(Some),
                    Err(refused) => refused.map(|()| None),
                };
                marks.answered(response.status());
                Ok::<_, Infallible>(response.map(|body| Tracked::new(body, in_flight)))
            }
        });
        match self.options.protocol {
            Protocol::Http1 => {
                let served = http1::Builder::new()
                    .header_read_timeout(None)
                    .max_header_size(head_bytes)
                    .max_buf_size(BUFFER_BYTES.max(head_bytes))
                    .serve_connection(io, service)
                    .with_upgrades();
                self.drive(served, activity, wakes).await
            }
            Protocol::Http2 => {
                let served = http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .keep_alive_interval(PING.0)
                    .keep_alive_timeout(PING.1)
                    .max_concurrent_streams(STREAMS)
                    .initial_stream_window_size(STREAM_WINDOW)
                    .initial_connection_window_size(CONNECTION_WINDOW)
                    // A caller may cancel at once all that it may have begun; who does so again
                    // and again is `Activity`'s affair.
                    .max_pending_accept_reset_streams(STREAMS as usize)
                    .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX))
                    .serve_connection(io, service);
                self.drive(served, activity, wakes).await
            }
        }
    }

    /// Polls the connection beside everything that may end it. Returning drops it, and with it
    /// the requests in flight.
    async fn drive(&self, served: impl Served, activity: &Activity, wakes: Arc<Wakes>) -> End {
        let waker = Waker::from(wakes.clone());
        let mut served = pin!(served);
        let mut gone = pin!(socket::peer_gone(self.tcp.as_ref()));
        let mut drain = pin!(self.life.closing());
        let mut cut = pin!(self.cut.cancelled());
        let mut timer = pin!(tokio::time::sleep_until(activity.due()));
        // Set once the peer was told to send no more: until when it may take that in.
        let mut farewell: Option<Instant> = None;
        std::future::poll_fn(|cx| {
            let cx = &mut wakes.run(cx, &waker);
            if farewell.is_none() && drain.as_mut().poll(cx).is_ready() {
                if activity.untouched() {
                    return Poll::Ready(End::Drained);
                }
                farewell = Some(Instant::now());
                served.as_mut().say_farewell();
            }
            if let Poll::Ready(outcome) = served.as_mut().poll(cx) {
                return Poll::Ready(match outcome {
                    Ok(()) if activity.has_left() => End::Left,
                    Ok(()) => End::Served,
                    Err(error) if error.is_user() => End::BrokenOff,
                    Err(error) => {
                        tell(&error);
                        End::Broken
                    }
                });
            }
            if gone.as_mut().poll(cx).is_ready() {
                return Poll::Ready(End::PeerGone);
            }
            if activity.is_abused() {
                tracing::warn!(peer = %self.peer.ip(), "closed: a client resets the calls that it makes");
                return Poll::Ready(End::Abused);
            }
            if cut.as_mut().poll(cx).is_ready() {
                return Poll::Ready(End::Cut);
            }
            loop {
                let due = farewell.map_or(activity.due(), |until| activity.due().max(until));
                if due < timer.deadline() {
                    timer.as_mut().reset(due);
                }
                if timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                let now = Instant::now();
                if due > now {
                    timer.as_mut().reset(due);
                } else if farewell.is_none() && self.deserves_farewell(activity) {
                    farewell = Some(now + FAREWELL);
                    served.as_mut().say_farewell();
                    cx.waker().wake_by_ref();
                } else {
                    return Poll::Ready(End::Expired);
                }
            }
        })
        .await
    }

    /// An HTTP/2 peer that only rests is told before it is cut, so that it loses no call. In
    /// HTTP/1.1 closing is the telling.
    fn deserves_farewell(&self, activity: &Activity) -> bool {
        self.options.protocol == Protocol::Http2 && activity.resting()
    }
}

/// The answer to a request that no service sees. It has no document, as hyper's own answers to
/// broken heads have none, and ends the connection, because what follows cannot be trusted.
fn refused(refusal: Refusal) -> Response<()> {
    let status = refusal.status;
    tracing::info!(target: "access", status = status.as_u16(), problem = refusal.problem);
    let mut response = Response::new(());
    *response.status_mut() = status;
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

/// Writes down what hyper answered by itself, or could not answer. Its errors name the broken
/// part and never repeat it.
fn tell(error: &hyper::Error) {
    if error.is_parse_version_h2() {
        tracing::info!("closed: a client speaks HTTP/2 here; gRPC has an address of its own");
    } else if error.is_parse_too_large() {
        tracing::info!(target: "access", status = 431, problem = "its head is larger than maxHeadBytes");
    } else if error.is_parse() {
        tracing::info!(target: "access", status = 400, problem = %error);
    } else {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// All was answered, and one side closed in order.
    Served,
    /// Another protocol is spoken on it from here on.
    Left,
    /// A response body failed in its middle.
    BrokenOff,
    /// The protocol or the socket failed.
    Broken,
    /// The peer closed its side.
    PeerGone,
    /// The peer let a limit of time pass.
    Expired,
    /// The peer resets what it asks for.
    Abused,
    /// The process stops, and nothing had been asked.
    Drained,
    /// The process stops, and the grace is over.
    Cut,
}

/// A connection of either protocol.
trait Served: Future<Output = hyper::Result<()>> {
    /// Tells the peer to send no further request here, and closes when the last is answered.
    fn say_farewell(self: Pin<&mut Self>);
}

impl<I, S, B> Served for http1::UpgradeableConnection<I, S>
where
    I: Read + Write + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    fn say_farewell(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S, B> Served for http2::Connection<I, S, TokioExecutor>
where
    I: Read + Write + Unpin,
    S: HttpService<Incoming, ResBody = B>,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    fn say_farewell(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}
