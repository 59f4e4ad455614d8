//! The accept loop: who is let in, and how the house is emptied.

use std::{convert::Infallible, error::Error as StdError, io, sync::Arc, time::Duration};

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tenon_core::Lifecycle;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

use crate::{Options, connection::Connection, socket};

/// The longest wait after the process ran out of descriptors.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How often a door says that it is full: it may become so with each connection that ends.
const FULL_AGAIN: Duration = Duration::from_secs(60);

/// Serves the listener until the process was told to stop and what was in flight has ended.
///
/// Each request carries [`crate::Peer`] in its extensions. When a peer closes its side, wholly or
/// by half, the futures of its requests are dropped at once: the caller is gone.
///
/// When the doors must close ([`Lifecycle::closing`]) the listener is closed, connections at rest are closed, and those with
/// requests in flight get [`Options::grace`] to end them; then, or on [`Lifecycle::kill`], they
/// are cut.
///
/// # Errors
/// The address of the listener cannot be read; nothing was served then.
pub async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    options: Options,
    life: Lifecycle,
) -> io::Result<()>
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
    let address = listener.local_addr()?;
    let cut = CancellationToken::new();
    let tasks = TaskTracker::new();
    let options = Arc::new(options);
    let following = options.tls.clone().map(|tls| tokio::spawn(tls.follow()));
    let following = AbortOnDrop(following);
    let mut door = Door {
        listener,
        places: Arc::new(Semaphore::new(
            options.max_connections.clamp(1, Semaphore::MAX_PERMITS),
        )),
        pause: Duration::ZERO,
        told: None,
    };
    loop {
        let (tcp, peer, place) = tokio::select! {
            biased;
            () = life.closing() => break,
            accepted = door.accept() => accepted,
        };
        let (read, tcp) = tcp.into_split();
        let connection = Connection {
            tcp,
            peer,
            options: options.clone(),
            life: life.clone(),
            cut: cut.clone(),
        };
        let service = service.clone();
        tasks.spawn(async move {
            connection.serve(read, service).await;
            drop(place);
        });
    }
    drop((door, following));
    tracing::info!(%address, connections = tasks.len(), "draining");
    empty(&tasks, &cut, &options, &life).await;
    Ok(())
}

/// A task that ends with its holder.
struct AbortOnDrop(Option<JoinHandle<()>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// Waits for the connections to end by themselves, then cuts the rest.
async fn empty(tasks: &TaskTracker, cut: &CancellationToken, options: &Options, life: &Lifecycle) {
    tasks.close();
    tokio::select! {
        biased;
        () = tasks.wait() => return,
        () = tokio::time::sleep(options.grace) => {}
        () = life.killed() => {}
    }
    tracing::warn!(connections = tasks.len(), "cut what did not end in time");
    cut.cancel();
    tasks.wait().await;
}

/// The listener with its free places.
struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
    pause: Duration,
    /// When it last said that it is full.
    told: Option<Instant>,
}

impl Door {
    /// The next connection, once there is a place for it.
    async fn accept(&mut self) -> (TcpStream, std::net::SocketAddr, OwnedSemaphorePermit) {
        loop {
            if self.places.available_permits() == 0 {
                self.tell_full();
            }
            let Ok(place) = self.places.clone().acquire_owned().await else {
                // The semaphore is never closed.
                std::future::pending::<()>().await;
                continue;
            };
            match self.listener.accept().await {
                Ok((tcp, peer)) => {
                    self.pause = Duration::ZERO;
                    socket::prepare(&tcp);
                    return (tcp, peer, place);
                }
                Err(cause) if of_one_connection(&cause) => {}
                Err(cause) => self.rest(&cause).await,
            }
        }
    }

    /// Who is kept out sees silence; without this line so does whoever looks for the reason.
    fn tell_full(&mut self) {
        if self.told.is_some_and(|told| told.elapsed() < FULL_AGAIN) {
            return;
        }
        self.told = Some(Instant::now());
        let address = self.listener.local_addr().ok().map(tracing::field::display);
        tracing::warn!(
            address,
            "all connections that this door may have are open; further ones wait until one ends"
        );
    }

    /// Descriptors or memory ran out: those who are inside free them, not a busy loop.
    async fn rest(&mut self, cause: &io::Error) {
        if self.pause.is_zero() {
            tracing::warn!(
                %cause,
                "cannot accept connections; raise the limit of open files or lower maxConnections"
            );
        }
        self.pause = (self.pause * 2).clamp(Duration::from_millis(10), LONGEST_PAUSE);
        tokio::time::sleep(self.pause).await;
    }
}

/// The peer of one connection gave up before it was accepted; the listener is well.
fn of_one_connection(cause: &io::Error) -> bool {
    matches!(
        cause.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
