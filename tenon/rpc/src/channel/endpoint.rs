//! One instance of a service, and the connection to it, in plaintext or over TLS.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    pin::pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{
    Request, Response,
    uri::{Authority, Scheme},
};
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tenon_core::config::Plaintext;
use tenon_net::{
    ClientTls,
    tls::{is_loopback, plaintext_refused},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::watch,
    time::{Instant, timeout},
};

use super::{
    fault::{Fault, chain},
    greeting,
    outgoing::Outgoing,
};

type Sender = SendRequest<Outgoing>;

/// How long a connection may take to be made, its address looked up included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a peer that failed before may take to show that it is there.
const GREETING_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a connection is asked whether its peer is there: with the time for its answer, a
/// peer that fell silent is known within 15 s.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// How long the peer may take to answer that.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of one answer may wait for its caller: what HTTP/2 itself begins with.
const STREAM_WINDOW: u32 = 64 << 10;
/// How much may wait on a connection: all of its 256 streams, so that those which nobody reads
/// hold up no other call. h2 derives from it how many small frames may wait.
const CONNECTION_WINDOW: u32 = 256 * STREAM_WINDOW;
/// The wait after the first failure; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// A connection that breaks sooner than this counts as one that could not be made.
const SETTLED: Duration = Duration::from_secs(1);
/// After so many failures calls no longer wait for an attempt that is under way.
const PATIENCE: u32 = 2;

/// How the instances of one service are connected to.
pub(super) struct Dialer {
    /// The configuration section, for errors: `clients.patient`.
    pub(super) section: String,
    /// Speaks TLS; `None` is plaintext.
    pub(super) tls: Option<ClientTls>,
    /// Where plaintext is spoken.
    pub(super) plaintext: Plaintext,
}

/// An instance by its address.
pub(super) struct Endpoint {
    address: String,
    authority: Authority,
    dialer: Arc<Dialer>,
    state: watch::Sender<State>,
    /// The peer failed, so that the next connection must show that somebody is there.
    is_suspect: AtomicBool,
    /// A connection was made after that.
    is_back: AtomicBool,
}

#[derive(Clone)]
enum State {
    /// Not connected, and nobody asked for it.
    Idle,
    /// A task is connecting.
    Connecting {
        failures: u32,
        problem: Option<Arc<str>>,
    },
    /// Connected, until the sender is closed.
    Ready(Sender),
    /// Not to be tried before `until`.
    Waiting {
        until: Instant,
        failures: u32,
        problem: Arc<str>,
    },
}

/// A connection to take a call.
pub(super) struct Connection {
    endpoint: Arc<Endpoint>,
    sender: Sender,
}

impl Connection {
    pub(super) fn authority(&self) -> &Authority {
        &self.endpoint.authority
    }

    pub(super) fn address(&self) -> &str {
        &self.endpoint.address
    }

    pub(super) fn scheme(&self) -> Scheme {
        match self.endpoint.dialer.tls {
            Some(_) => Scheme::HTTPS,
            None => Scheme::HTTP,
        }
    }

    /// Sends a request. One that comes back with the fault was never written.
    pub(super) async fn send(
        &mut self,
        request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, (Fault, Option<Request<Outgoing>>)> {
        self.sender
            .try_send_request(request)
            .await
            .map_err(|mut error| {
                let unsent = error.take_message();
                let cause = Box::new(error.into_error());
                let fault = match unsent {
                    Some(_) => Fault::NotBegun(cause),
                    None => Fault::of(cause),
                };
                (fault, unsent)
            })
    }
}

impl Endpoint {
    pub(super) fn new(address: &str, dialer: &Arc<Dialer>) -> Result<Self, String> {
        let authority = authority(address)?;
        Ok(Self {
            address: address.to_owned(),
            authority,
            dialer: dialer.clone(),
            state: watch::Sender::new(State::Idle),
            is_suspect: AtomicBool::new(false),
            is_back: AtomicBool::new(false),
        })
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Whether there is a connection now. If not, one is begun as [`Self::ready`] does.
    pub(super) fn is_ready(self: &Arc<Self>) -> bool {
        if let State::Ready(sender) = &*self.state.borrow()
            && !sender.is_closed()
        {
            return true;
        }
        self.begin();
        false
    }

    /// How the connection does, for people, and what went wrong last while there is none.
    pub(super) fn shown(&self) -> (&'static str, Option<Arc<str>>) {
        match &*self.state.borrow() {
            State::Ready(sender) if !sender.is_closed() => ("ready", None),
            State::Idle | State::Ready(_) => ("idle", None),
            State::Connecting { problem, .. } => ("connecting", problem.clone()),
            State::Waiting { problem, .. } => ("waiting", Some(problem.clone())),
        }
    }

    /// Whether this is the first time that it is asked since the peer came back.
    pub(super) fn took_up_again(&self) -> bool {
        self.is_back.load(Relaxed) && self.is_back.swap(false, Relaxed)
    }

    /// Asks the peer whether it is there, over the connection that calls use.
    pub(super) async fn probe(self: &Arc<Self>) -> Result<(), String> {
        let mut connection = timeout(CONNECT_TIMEOUT, self.connected())
            .await
            .map_err(|_| format!("no connection within {CONNECT_TIMEOUT:?}"))??;
        greeted(&mut connection).await
    }

    /// The connection, if there is one now. If not, one is made in the background, unless the
    /// last attempt failed too short a time ago.
    pub(super) fn ready(self: &Arc<Self>) -> Option<Connection> {
        if let State::Ready(sender) = &*self.state.borrow()
            && !sender.is_closed()
        {
            return Some(self.connection(sender));
        }
        self.begin();
        None
    }

    /// Waits for the attempt that is under way, and gives the connection or the problem.
    pub(super) async fn connected(self: &Arc<Self>) -> Result<Connection, String> {
        let mut changes = self.state.subscribe();
        loop {
            match &*changes.borrow_and_update() {
                State::Ready(sender) if !sender.is_closed() => {
                    return Ok(self.connection(sender));
                }
                State::Waiting { problem, until, .. } if *until > Instant::now() => {
                    return Err(format!("{}: {problem}", self.address));
                }
                State::Connecting {
                    failures,
                    problem: Some(problem),
                } if *failures >= PATIENCE => {
                    return Err(format!("{}: {problem}", self.address));
                }
                _ => {}
            }
            self.begin();
            if changes.changed().await.is_err() {
                return Err(format!("{}: the channel is closed", self.address));
            }
        }
    }

    fn connection(self: &Arc<Self>, sender: &Sender) -> Connection {
        Connection {
            endpoint: self.clone(),
            sender: sender.clone(),
        }
    }

    /// Starts an attempt, unless one is under way or it is too soon.
    fn begin(self: &Arc<Self>) {
        let begun = self.state.send_if_modified(|state| {
            let (failures, problem) = match state {
                State::Idle => (0, None),
                State::Ready(sender) if sender.is_closed() => (0, None),
                State::Waiting {
                    until,
                    failures,
                    problem,
                } if *until <= Instant::now() => (*failures, Some(problem.clone())),
                _ => return false,
            };
            *state = State::Connecting { failures, problem };
            true
        });
        if begun {
            let attempt = Attempt(Arc::downgrade(self));
            let is_suspect = self.is_suspect.load(Relaxed);
            tokio::spawn(connect(attempt, self.dialer.clone(), is_suspect));
        }
    }

    fn failed(&self, problem: &str, failures: u32) {
        tracing::warn!(target: "rpc", address = self.address, problem, "not connected");
        self.is_suspect.store(true, Relaxed);
        self.state.send_replace(waiting(problem, failures));
    }

    /// Takes note that the connection ended, unless a new one is already there or on its way.
    /// `wait` is the number of failures before, when the next attempt must wait.
    fn ended(&self, problem: &str, wait: Option<u32>) {
        tracing::info!(target: "rpc", address = self.address, problem, "disconnected");
        self.state.send_if_modified(|state| {
            let current = matches!(state, State::Ready(sender) if sender.is_closed());
            if current {
                *state = wait.map_or(State::Idle, |failures| waiting(problem, failures));
            }
            current
        });
    }

    fn failures(&self) -> u32 {
        match &*self.state.borrow() {
            State::Connecting { failures, .. } => *failures,
            _ => 0,
        }
    }
}

/// Whether the address is one of this machine, as far as it says so itself.
///
/// # Errors
/// It is not `host:port`.
pub(super) fn check(address: &str) -> Result<bool, String> {
    authority(address).map(|authority| is_loopback(authority.host()))
}

fn authority(address: &str) -> Result<Authority, String> {
    let refused = || format!("the endpoint `{address}` is not host:port");
    let authority: Authority = address.parse().map_err(|_| refused())?;
    let complete = authority.port_u16().is_some_and(|port| port != 0)
        && !authority.host().is_empty()
        && !address.contains('@');
    if complete {
        Ok(authority)
    } else {
        Err(refused())
    }
}

/// Makes a connection and drives it to its end. It holds the endpoint only weakly, so that the
/// connection ends when its channel is dropped.
async fn connect(attempt: Attempt, dialer: Arc<Dialer>, is_suspect: bool) {
    let endpoint = attempt.0.clone();
    let Some((address, host)) = endpoint
        .upgrade()
        .map(|held| (held.address.clone(), held.authority.host().to_owned()))
    else {
        return;
    };
    let opened = match timeout(CONNECT_TIMEOUT, open(&address, &host, &dialer)).await {
        Ok(opened) => opened,
        Err(_) => Err(format!("no connection within {CONNECT_TIMEOUT:?}")),
    };
    let Some(held) = endpoint.upgrade() else {
        return;
    };
    let failures = held.failures();
    let (sender, driver) = match opened {
        Ok(opened) => opened,
        Err(problem) => return held.failed(&problem, failures),
    };
    let mut driver = pin!(driver);
    if is_suspect {
        let mut connection = held.connection(&sender);
        let greeted = tokio::select! {
            greeted = greeted(&mut connection) => greeted,
            end = driver.as_mut() => Err(ended(end)),
        };
        if let Err(problem) = greeted {
            return held.failed(&problem, failures);
        }
        held.is_suspect.store(false, Relaxed);
        held.is_back.store(true, Relaxed);
    }
    held.state.send_replace(State::Ready(sender));
    drop((held, attempt));
    let since = Instant::now();
    let end = driver.await;
    let Some(endpoint) = endpoint.upgrade() else {
        return;
    };
    endpoint.is_suspect.store(end.is_err(), Relaxed);
    let wait = (since.elapsed() < SETTLED).then_some(failures);
    endpoint.ended(&ended(end), wait);
}

fn ended(end: hyper::Result<()>) -> String {
    end.map_or_else(|error| chain(&error), |()| "the peer closed it".to_owned())
}

async fn greeted(connection: &mut Connection) -> Result<(), String> {
    timeout(GREETING_TIMEOUT, greeting::greet(connection))
        .await
        .unwrap_or_else(|_| Err(format!("connected, but silent for {GREETING_TIMEOUT:?}")))
}

/// Lets another attempt begin when this one is dropped before its end, with its runtime.
struct Attempt(Weak<Endpoint>);

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(endpoint) = self.0.upgrade() {
            endpoint.state.send_if_modified(|state| {
                let unfinished = matches!(state, State::Connecting { .. });
                if unfinished {
                    *state = State::Idle;
                }
                unfinished
            });
        }
    }
}

/// What bytes travel over.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Wire for S {}

type Driver = http2::Connection<TokioIo<Box<dyn Wire>>, Outgoing, TokioExecutor>;

async fn open(address: &str, host: &str, dialer: &Dialer) -> Result<(Sender, Driver), String> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| error.to_string())?;
    stream
        .set_nodelay(true)
        .map_err(|error| error.to_string())?;
    let stream: Box<dyn Wire> = match &dialer.tls {
        Some(tls) => Box::new(
            tls.connect(host, stream)
                .await
                .map_err(|error| format!("no TLS: {error}"))?,
        ),
        None => {
            let peer = stream.peer_addr().map_err(|error| error.to_string())?.ip();
            if !dialer.plaintext.allows(peer) {
                return Err(plaintext_refused(&dialer.section, peer));
            }
            Box::new(stream)
        }
    };
    http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(64 << 10)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| chain(&error))
}

fn waiting(problem: &str, failures: u32) -> State {
    let wait = backoff(failures, RandomState::new().build_hasher().finish());
    State::Waiting {
        until: Instant::now() + wait,
        failures: failures.saturating_add(1),
        problem: Arc::from(problem),
    }
}

/// Between half of the doubled wait and all of it, so that clients do not come back together.
fn backoff(failures: u32, seed: u64) -> Duration {
    let full = FIRST_WAIT
        .saturating_mul(1 << failures.min(10))
        .min(LONGEST_WAIT);
    let share = u32::try_from(seed % 1000).unwrap_or(0);
    full / 2 + full / 2 * share / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_spread() {
        assert_eq!(backoff(0, 0), Duration::from_millis(25));
        assert!(backoff(0, 999) < FIRST_WAIT);
        assert_eq!(backoff(1, 0), Duration::from_millis(50));
        for failures in [6, 10, 40, u32::MAX] {
            assert!(backoff(failures, 0) == LONGEST_WAIT / 2);
            assert!(backoff(failures, 999) <= LONGEST_WAIT);
        }
    }

    fn dialer() -> Arc<Dialer> {
        Arc::new(Dialer {
            section: "clients.patient".to_owned(),
            tls: None,
            plaintext: Plaintext::Loopback,
        })
    }

    #[test]
    fn an_endpoint_is_host_and_port() {
        for good in ["127.0.0.1:9101", "patient.default.svc:80", "[::1]:9101"] {
            assert!(Endpoint::new(good, &dialer()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "patient",
            "patient:",
            "patient:0",
            ":9101",
            "http://a:1",
            "a:99999",
            "u@a:1",
        ] {
            assert!(Endpoint::new(bad, &dialer()).is_err(), "{bad}");
        }
    }
}
