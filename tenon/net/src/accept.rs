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

use crate::{Options, activity::Activity, connection::Connection, crowd::Crowd, socket};

/// The longest wait after the process ran out of descriptors.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How often a door says that it is full: it may become so with each connection that ends.
const FULL_AGAIN: Duration = Duration::from_secs(60);

/// How often a full house that makes room looks for a connection that waits, while all answer.
const ROOM_AGAIN: Duration = Duration::from_millis(50);

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
        crowd: options.makes_room.then(Crowd::default),
    };
    loop {
        let (tcp, peer, place) = tokio::select! {
            biased;
            () = life.closing() => break,
            accepted = door.accept() => accepted,
        };
        let (read, tcp) = tcp.into_split();
        let activity = Arc::new(Activity::new(&options));
        let connection = Connection {
            tcp,
            peer,
            options: options.clone(),
            life: life.clone(),
            cut: door.enter(&activity, &cut),
            activity,
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
    /// Who is inside, where room is made for newcomers.
    crowd: Option<Crowd>,
}

impl Door {
    /// The next connection, once there is a place for it.
    async fn accept(&mut self) -> (TcpStream, std::net::SocketAddr, OwnedSemaphorePermit) {
        loop {
            // Who makes room does so for somebody who is there.
            let place = match &self.crowd {
                None => Some(self.place().await),
                Some(_) => None,
            };
            match self.listener.accept().await {
                Ok((tcp, peer)) => {
                    self.pause = Duration::ZERO;
                    socket::prepare(&tcp);
                    let place = match place {
                        Some(place) => place,
                        None => self.place().await,
                    };
                    return (tcp, peer, place);
                }
                Err(cause) if of_one_connection(&cause) => {}
                Err(cause) => self.rest(&cause).await,
            }
        }
    }

    /// A place, once there is one.
    async fn place(&mut self) -> OwnedSemaphorePermit {
        if self.places.available_permits() == 0 {
            self.tell_full();
        }
        let making_room = async {
            let Some(crowd) = &self.crowd else {
                return std::future::pending().await;
            };
            loop {
                crowd.make_room();
                tokio::time::sleep(ROOM_AGAIN).await;
            }
        };
        tokio::select! {
            biased;
            Ok(place) = self.places.clone().acquire_owned() => place,
            // The semaphore is never closed.
            () = making_room => std::future::pending().await,
        }
    }

    /// Notes a connection that was let in, and gives what ends it.
    fn enter(&self, activity: &Arc<Activity>, cut: &CancellationToken) -> CancellationToken {
        let Some(crowd) = &self.crowd else {
            return cut.clone();
        };
        let leave = cut.child_token();
        crowd.enter(activity, &leave);
        leave
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
