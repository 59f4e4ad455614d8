//! A TCP proxy that cuts, swallows and holds what goes through it.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    sync::{Notify, watch},
};

/// A proxy in front of one address. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    to: String,
    /// Raised at each cut: connections of before end.
    cuts: watch::Sender<u64>,
    open: AtomicBool,
    swallow: AtomicBool,
    connections: AtomicUsize,
    hold: Mutex<Option<Hold>>,
    held: Notify,
    released: Notify,
}

/// What the client says is held from the n-th time on that it names these bytes.
struct Hold {
    needle: Vec<u8>,
    times_left: usize,
}

impl Proxy {
    pub(crate) async fn to(address: impl Into<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::new(State {
                to: address.into(),
                cuts: watch::Sender::new(0),
                open: AtomicBool::new(true),
                swallow: AtomicBool::new(false),
                connections: AtomicUsize::new(0),
                hold: Mutex::new(None),
                held: Notify::new(),
                released: Notify::new(),
            }),
        };
        tokio::spawn(accept(listener, proxy.state.clone()));
        proxy
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Ends all connections; new ones are refused until [`Proxy::mend`].
    pub(crate) fn cut(&self) {
        self.state.open.store(false, Ordering::SeqCst);
        self.state.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Lets connections through again.
    pub(crate) fn mend(&self) {
        self.state.open.store(true, Ordering::SeqCst);
        self.state.swallow.store(false, Ordering::SeqCst);
    }

    /// From now on bytes vanish, both ways, on connections that stay open.
    pub(crate) fn swallow(&self) {
        self.state.swallow.store(true, Ordering::SeqCst);
    }

    /// How many connections were let through.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Holds the client's bytes when it names `needle` for the `times`-th time.
    pub(crate) fn hold(&self, needle: &str, times: usize) {
        *self.state.hold.lock().unwrap() = Some(Hold {
            needle: needle.as_bytes().to_vec(),
            times_left: times,
        });
    }

    /// Resolves when something is held.
    pub(crate) async fn held(&self) {
        self.state.held.notified().await;
    }

    /// Lets go what is held.
    pub(crate) fn release(&self) {
        self.state.released.notify_one();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        if !state.open.load(Ordering::SeqCst) {
            continue;
        }
        let Ok(server) = TcpStream::connect(&state.to).await else {
            continue;
        };
        state.connections.fetch_add(1, Ordering::SeqCst);
        let state = state.clone();
        tokio::spawn(async move {
            let mut cuts = state.cuts.subscribe();
            let (client_read, client_write) = client.into_split();
            let (server_read, server_write) = server.into_split();
            tokio::select! {
                () = forward(client_read, server_write, &state, true) => {}
                () = forward(server_read, client_write, &state, false) => {}
                _ = cuts.changed() => {}
            }
        });
    }
}

async fn forward(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    state: &State,
    of_client: bool,
) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..count];
        if of_client && state.is_to_be_held(bytes) {
            state.held.notify_one();
            state.released.notified().await;
        }
        if state.swallow.load(Ordering::SeqCst) {
            continue;
        }
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

impl State {
    fn is_to_be_held(&self, bytes: &[u8]) -> bool {
        let mut hold = self.hold.lock().unwrap();
        let Some(wanted) = hold.as_mut() else {
            return false;
        };
        if !bytes
            .windows(wanted.needle.len())
            .any(|window| window == wanted.needle)
        {
            return false;
        }
        wanted.times_left -= 1;
        if wanted.times_left > 0 {
            return false;
        }
        *hold = None;
        true
    }
}
