//! A connection that became a WebSocket: bytes both ways until one side ends or both are silent.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use crate::balance::Lease;

/// Carries bytes between the two once both have answered, in a task of its own: the exchange
/// that opened it is over. It ends with either side, after `idle` without a byte, and when the
/// server cuts its connections at the end of a drain.
pub(crate) fn open(client: OnUpgrade, service: OnUpgrade, idle: Duration, lease: Lease) {
    tokio::spawn(async move {
        let _lease = lease;
        match tokio::try_join!(client, service) {
            Ok((client, service)) => carry(client, service, idle).await,
            Err(cause) => tracing::debug!(%cause, "a websocket was agreed on and never opened"),
        }
    });
}

async fn carry(client: Upgraded, service: Upgraded, idle: Duration) {
    let pulse = Arc::new(Pulse::new());
    let mut client = Watched {
        io: TokioIo::new(client),
        pulse: pulse.clone(),
    };
    let mut service = TokioIo::new(service);
    tokio::select! {
        ended = tokio::io::copy_bidirectional(&mut client, &mut service) => {
            if let Err(cause) = ended {
                tracing::debug!(%cause, "a websocket broke");
            }
        }
        () = pulse.silent(idle) => tracing::debug!("a websocket was silent for too long"),
    }
}

/// When a byte was last seen.
struct Pulse {
    started: Instant,
    last: AtomicU64,
}

impl Pulse {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            last: AtomicU64::new(0),
        }
    }

    fn beat(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Relaxed);
    }

    /// Resolves when no byte was seen for `idle`.
    async fn silent(&self, idle: Duration) {
        loop {
            let last = self.started + Duration::from_millis(self.last.load(Relaxed));
            let due = last + idle;
            if due <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(due).await;
        }
    }
}

/// The client's side: whatever passes, passes here.
struct Watched {
    io: TokioIo<Upgraded>,
    pulse: Arc<Pulse>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.pulse.beat();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = ready!(Pin::new(&mut self.io).poll_write(cx, buf))?;
        self.pulse.beat();
        Poll::Ready(Ok(wrote))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
