//! A TCP proxy that breaks the network on demand: latency with jitter, a narrow line, small pieces,
//! resets in mid-message, black holes, refusals.
//!
//! It stands where the kernel's `netem` cannot be had, and forwards bytes between loopback
//! addresses. Equal seeds give equal jitter.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// What is read at once, and so the largest piece that is delayed as a whole.
const PIECE_BYTES: usize = 16 << 10;

/// What is wrong with the network. The default is nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// New connections are reset at once, as by a host without the service.
    pub refuse: bool,
    /// Nothing is forwarded and nobody is told: connections, old and new, stand and stay silent.
    pub black_hole: bool,
    /// How long each piece is held, in each direction.
    pub latency: Duration,
    /// How much longer it may be held, at random.
    pub jitter: Duration,
    /// How many bytes a second pass in each direction of a connection.
    pub bytes_per_second: Option<u64>,
    /// The largest piece that is passed on at once.
    pub slice: Option<usize>,
    /// How many bytes a connection carries back to the client before it is reset.
    pub reset_after: Option<u64>,
}

/// A proxy in front of one upstream. It ends when it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    upstream: SocketAddr,
    faults: watch::Sender<Faults>,
    /// Counts up to cut everybody who is connected.
    cuts: watch::Sender<u64>,
    open: AtomicUsize,
    accepted: AtomicUsize,
    seed: u64,
}

impl FaultProxy {
    /// Listens on a free port of the loopback and forwards to `upstream`, without faults at first.
    /// Equal seeds give equal jitter.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn to(upstream: SocketAddr, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            upstream,
            faults: watch::Sender::new(Faults::default()),
            cuts: watch::Sender::new(0),
            open: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
            seed,
        });
        let accepting = tokio::spawn(accept(listener, state.clone()));
        Ok(Self {
            address,
            state,
            accepting,
        })
    }

    /// Where to connect instead of the upstream.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what is wrong, for connections that stand as well.
    pub fn set(&self, faults: Faults) {
        self.state.faults.send_replace(faults);
    }

    /// Heals the network. What a black hole has swallowed is delivered now, as after a
    /// retransmission.
    pub fn heal(&self) {
        self.set(Faults::default());
    }

    /// Resets every connection that stands.
    pub fn cut(&self) {
        self.state.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// How many connections stand.
    pub fn open(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }

    /// How many connections were ever accepted.
    pub fn accepted(&self) -> usize {
        self.state.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((client, _)) = listener.accept().await {
        let number = state.accepted.fetch_add(1, Ordering::SeqCst);
        if state.faults.borrow().refuse {
            reset(&client);
            continue;
        }
        let state = state.clone();
        tokio::spawn(async move {
            state.open.fetch_add(1, Ordering::SeqCst);
            carry(client, &state, number as u64).await;
            state.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// Carries one connection to its end. An upstream that cannot be reached resets the client.
async fn carry(client: TcpStream, state: &State, number: u64) {
    let mut cuts = state.cuts.subscribe();
    let carried = async {
        let mut faults = state.faults.subscribe();
        // A black hole takes the connection and nothing else.
        let _ = faults.wait_for(|faults| !faults.black_hole).await;
        let Ok(upstream) = TcpStream::connect(state.upstream).await else {
            reset(&client);
            return None;
        };
        let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
        Some(upstream)
    };
    let upstream = tokio::select! {
        upstream = carried => upstream,
        _ = cuts.changed() => None,
    };
    let Some(upstream) = upstream else {
        return reset(&client);
    };
    let (from_client, mut to_client) = client.into_split();
    let (from_upstream, mut to_upstream) = upstream.into_split();
    let mut there = Line::new(state, number * 2);
    let mut back = Line::new(state, number * 2 + 1);
    let is_whole = tokio::select! {
        ends = async {
            tokio::try_join!(
                there.carry(from_client, &mut to_upstream, false),
                back.carry(from_upstream, &mut to_client, true),
            )
        } => ends.is_ok(),
        _ = cuts.changed() => false,
    };
    if !is_whole {
        for half in [to_client, to_upstream] {
            reset(half.as_ref());
            // Dropping it would send an orderly end first.
            half.forget();
        }
    }
}

/// One direction of a connection.
struct Line {
    faults: watch::Receiver<Faults>,
    random: u64,
    carried: u64,
}

impl Line {
    fn new(state: &State, number: u64) -> Self {
        Self {
            faults: state.faults.subscribe(),
            random: state.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15),
            carried: 0,
        }
    }

    /// Forwards until the sender has ended its side. An error is a reset.
    async fn carry(
        &mut self,
        mut from: OwnedReadHalf,
        to: &mut OwnedWriteHalf,
        towards_client: bool,
    ) -> io::Result<()> {
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            let read = from.read(&mut buffer).await?;
            self.pass().await;
            if read == 0 {
                return to.shutdown().await;
            }
            let mut rest = &buffer[..read];
            while !rest.is_empty() {
                let faults = *self.faults.borrow();
                let mut size = faults.slice.unwrap_or(rest.len()).clamp(1, rest.len());
                if let Some(limit) = faults.reset_after.filter(|_| towards_client) {
                    let left = limit.saturating_sub(self.carried);
                    if left == 0 {
                        return Err(io::ErrorKind::ConnectionReset.into());
                    }
                    size = size.min(usize::try_from(left).unwrap_or(usize::MAX));
                }
                let (piece, after) = rest.split_at(size);
                to.write_all(piece).await?;
                self.carried += size as u64;
                if let Some(rate) = faults.bytes_per_second {
                    let nanos = (size as u64).saturating_mul(1_000_000_000) / rate.max(1);
                    tokio::time::sleep(Duration::from_nanos(nanos)).await;
                }
                rest = after;
            }
        }
    }

    /// Holds a piece as long as the faults say; in a black hole until it heals.
    async fn pass(&mut self) {
        if self.faults.borrow().black_hole {
            let _ = self.faults.wait_for(|faults| !faults.black_hole).await;
        }
        let faults = *self.faults.borrow();
        let held = faults.latency + faults.jitter.mul_f64(self.chance());
        if !held.is_zero() {
            tokio::time::sleep(held).await;
        }
    }

    /// From 0 to 1. Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators"
    /// (SplitMix64), 2014.
    fn chance(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        // The upper 32 bits fit a double exactly.
        f64::from((mixed >> 32) as u32) / f64::from(u32::MAX)
    }
}

/// Makes the close a reset.
fn reset(tcp: &TcpStream) {
    let _ = SockRef::from(tcp).set_linger(Some(Duration::ZERO));
}
