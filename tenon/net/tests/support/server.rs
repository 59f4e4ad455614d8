//! A server on a free port and a client that speaks bytes, for the tests of the accept loop.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tenon_core::Lifecycle;
use tenon_net::{HeadLimits, Options, Protocol};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    task::JoinHandle,
};

/// Limits that no test meets unless it sets them.
pub(crate) fn patient() -> Options {
    Options {
        protocol: Protocol::Http1,
        max_connections: 100,
        makes_room: false,
        heads: HeadLimits::default(),
        header_timeout: Duration::from_secs(30),
        idle_timeout: Duration::from_secs(30),
        unread_timeout: Duration::from_secs(30),
        grace: Duration::from_secs(30),
        tls: None,
    }
}

pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) life: Lifecycle,
    pub(crate) done: JoinHandle<std::io::Result<()>>,
}

pub(crate) async fn start<F, Fut>(options: Options, handler: F) -> Server
where
    F: Fn(Request<Incoming>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let listener = tenon_net::bind("127.0.0.1:0".parse().unwrap(), "rest.listen")
        .await
        .unwrap();
    let addr = listener.local_addr().unwrap();
    let life = Lifecycle::new();
    let service = tower::service_fn(move |request| {
        let answer = handler(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let done = tokio::spawn(tenon_net::serve(listener, service, options, life.clone()));
    Server { addr, life, done }
}

pub(crate) fn text(body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    Response::new(Full::new(body.into()))
}

/// Says when a handler starts and when its future is dropped.
#[derive(Clone)]
pub(crate) struct Witness {
    events: mpsc::UnboundedSender<Event>,
    running: Arc<AtomicUsize>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Started,
    Dropped,
}

pub(crate) struct Presence(Witness);

impl Witness {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (events, seen) = mpsc::unbounded_channel();
        let running = Arc::default();
        (Self { events, running }, seen)
    }

    pub(crate) fn enter(&self) -> Presence {
        self.running.fetch_add(1, Ordering::SeqCst);
        let _ = self.events.send(Event::Started);
        Presence(self.clone())
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        let _ = self.0.events.send(Event::Dropped);
    }
}

pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        Self(TcpStream::connect(addr).await.unwrap())
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    pub(crate) async fn get(&mut self, path: &str) {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n"))
            .await;
    }

    /// The head of one answer; bodies in these tests are read with it or not at all.
    pub(crate) async fn head(&mut self) -> String {
        let mut seen = Vec::new();
        while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut buffer = [0; 1024];
            let read = self.0.read(&mut buffer).await.unwrap();
            assert!(
                read > 0,
                "closed before the answer: {}",
                String::from_utf8_lossy(&seen)
            );
            seen.extend_from_slice(&buffer[..read]);
        }
        String::from_utf8(seen).unwrap().to_ascii_lowercase()
    }

    /// Waits for the server to close, in order or by a reset.
    pub(crate) async fn closed(&mut self) {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest).await;
    }

    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.0)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }
}

/// Fails the test instead of hanging it.
pub(crate) async fn within<F: Future>(limit: Duration, what: &str, work: F) -> F::Output {
    match tokio::time::timeout(limit, work).await {
        Ok(output) => output,
        Err(_) => panic!("{what} took longer than {limit:?}"),
    }
}
