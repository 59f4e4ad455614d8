//! The bytes of one connection, shared between hyper and the watch for a peer that left.

use std::{
    io::{self, IoSlice},
    net::Shutdown,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::{TcpStream, tcp::OwnedReadHalf},
};

use crate::activity::Activity;

/// How long data may stay unacknowledged before the kernel gives the peer up: the only sign of a
/// host that vanished without a word.
const PEER_LOST_AFTER: Duration = Duration::from_secs(30);
/// How long a connection is silent before the kernel asks whether the peer is still there.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
/// How much of a refused upload is read and thrown away.
const LINGER_BYTES: usize = 16 << 20;
/// How long a refused upload is read and thrown away.
const LINGER_TIME: Duration = Duration::from_secs(2);

/// Sets what every connection wants. Failures cost speed or patience only, so they are noted and
/// the connection is served.
pub(crate) fn prepare(tcp: &TcpStream) {
    let socket = SockRef::from(tcp);
    let outcome = tcp
        .set_nodelay(true)
        .and_then(|()| socket.set_tcp_user_timeout(Some(PEER_LOST_AFTER)))
        .and_then(|()| socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_AFTER)));
    if let Err(cause) = outcome {
        tracing::debug!(%cause, "socket options were not taken");
    }
}

/// Resolves when the peer closed its side, whether or not it left unread data behind.
///
/// Reading cannot tell: a pipelined request or a body that nobody reads stands in front of the
/// end of the stream. The kernel reports the close itself (`EPOLLRDHUP`), which tokio registers
/// for every socket and hands out to those who wait for priority readiness.
pub(crate) async fn peer_gone(tcp: &TcpStream) {
    // Any outcome ends the connection: out-of-band data has no meaning in HTTP, and a socket that
    // cannot be watched any more is of no use.
    let _ = tcp.ready(Interest::PRIORITY).await;
}

/// Reads and throws away what the peer still sends, so that the answer it has not read yet is
/// not lost to a reset: closing a socket with unread data discards what was sent before.
pub(crate) async fn linger(tcp: &TcpStream) {
    let discard = async {
        let mut buffer = vec![0_u8; 16 << 10];
        let mut left = LINGER_BYTES;
        while left > 0 && tcp.readable().await.is_ok() {
            match tcp.try_read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => left = left.saturating_sub(read),
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
    };
    let _ = tokio::time::timeout(LINGER_TIME, discard).await;
}

/// Closes both directions at once, for whoever reads and writes elsewhere.
pub(crate) fn close(tcp: &TcpStream) {
    let _ = SockRef::from(tcp).shutdown(Shutdown::Both);
}

/// Makes the close a reset: to a client that reads until the end, a response that broke off must
/// not look whole.
pub(crate) fn reset_on_close(tcp: &TcpStream) {
    let _ = SockRef::from(tcp).set_linger(Some(Duration::ZERO));
}

/// The side of the socket that hyper, or TLS below it, reads and writes.
pub(crate) struct Socket {
    /// The reading half, because it knows after a short read that nothing is left: a socket that
    /// is asked once more for each request costs a twentieth of a small one.
    pub(crate) tcp: OwnedReadHalf,
    pub(crate) activity: Arc<Activity>,
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl Socket {
    /// Writes as soon as the socket takes it, and notes how long it did not.
    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        send: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let tcp = self.tcp.as_ref();
        loop {
            let Poll::Ready(writable) = tcp.poll_write_ready(cx) else {
                self.activity.write_waits();
                return Poll::Pending;
            };
            writable?;
            match send(tcp) {
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
                outcome => {
                    self.activity.write_went(*outcome.as_ref().unwrap_or(&0));
                    return Poll::Ready(outcome);
                }
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, |tcp| tcp.try_write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, |tcp| tcp.try_write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Who writes flushes when it has handed over all it holds.
        self.activity.all_is_written();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match SockRef::from(self.tcp.as_ref()).shutdown(Shutdown::Write) {
            // The peer was faster.
            Err(cause) if cause.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            outcome => Poll::Ready(outcome),
        }
    }
}
