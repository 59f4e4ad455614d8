//! Listening, the accept loop, connection limits and drain: REST, gRPC and admin are served on it.
//!
//! One loop for all three, because what a server owes its network is the same everywhere: a peer
//! that dawdles is cut, a peer that left stops the work done for it, a full house makes newcomers
//! wait instead of failing, and a process that is told to stop ends what is in flight first.

mod accept;
mod activity;
mod connection;
mod crowd;
mod head;
mod listen;
mod marked;
mod outflow;
mod socket;
pub mod tls;
mod wakes;

use std::{net::SocketAddr, time::Duration};

use tenon_core::config::{RestConfig, RpcConfig};

pub use accept::serve;
pub use head::HeadLimits;
pub use listen::{BindError, bind};
pub use tenon_core::PeerIdentity;
pub use tls::{ClientTls, ServerTls};
pub use wakes::Readable;

/// A phone that loses its network is back within a minute, or its connection is not.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(60);

/// The address of the peer, in the extensions of every request: the socket's, never a header's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// What is spoken on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 with keep-alive: REST and admin.
    Http1,
    /// HTTP/2 with prior knowledge: gRPC.
    Http2,
}

/// How connections of a listener are treated.
#[derive(Debug, Clone)]
pub struct Options {
    /// What is spoken.
    pub protocol: Protocol,
    /// How many connections are held at once. Further ones wait, not accepted, until one ends.
    pub max_connections: usize,
    /// Whether a newcomer to a full house takes the place of the connection that has waited longest
    /// for a head, instead of waiting until one ends. For probes, which must be answered whoever
    /// else holds connections open.
    pub makes_room: bool,
    /// How large heads of requests may be.
    pub heads: HeadLimits,
    /// How long a client may take for the head of a request, counted from its first byte; for
    /// the first request from the moment the connection was accepted.
    pub header_timeout: Duration,
    /// How long a connection may be kept open between requests.
    pub idle_timeout: Duration,
    /// How long a client may leave a response unread; a client that reads must take at least half
    /// a kibibyte a second beyond that.
    pub unread_timeout: Duration,
    /// How long requests in flight may still run once the process was told to stop.
    pub grace: Duration,
    /// Speaks TLS; `None` is plaintext. Each request of a client that showed a certificate
    /// carries its [`PeerIdentity`] in its extensions.
    pub tls: Option<ServerTls>,
}

impl Options {
    /// The same, over TLS, or in plaintext with `None`; see [`ServerTls::of_door`].
    #[must_use]
    pub fn tls(mut self, tls: Option<ServerTls>) -> Self {
        self.tls = tls;
        self
    }

    /// For the REST door.
    pub fn rest(config: &RestConfig) -> Self {
        Self {
            protocol: Protocol::Http1,
            max_connections: config.max_connections,
            makes_room: false,
            heads: HeadLimits::new(config.max_head_bytes, config.max_uri_bytes),
            header_timeout: config.header_timeout,
            idle_timeout: Duration::from_secs(60),
            unread_timeout: UNREAD_TIMEOUT,
            grace: config.grace,
            tls: None,
        }
    }

    /// For the gRPC door. Its peers are services that keep their connections, so that idle ones
    /// are kept for long; pings find the dead among them.
    pub fn rpc(config: &RpcConfig) -> Self {
        Self {
            protocol: Protocol::Http2,
            max_connections: config.max_connections,
            makes_room: false,
            heads: HeadLimits::new(config.max_head_bytes, config.max_head_bytes),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30 * 60),
            unread_timeout: UNREAD_TIMEOUT,
            grace: config.grace,
            tls: None,
        }
    }

    /// For the admin server.
    pub fn admin() -> Self {
        Self {
            protocol: Protocol::Http1,
            max_connections: 256,
            makes_room: true,
            heads: HeadLimits::default(),
            header_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(60),
            unread_timeout: UNREAD_TIMEOUT,
            grace: Duration::from_secs(1),
            tls: None,
        }
    }
}
