//! The sections of what listens: `rest`, `rpc` and `admin`.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use secrecy::SecretString;
use serde::Deserialize;

use super::{
    FailureCode, Guards, Plaintext, ProfilingConfig, RateLimitConfig, ServerTlsConfig,
    SharedLimitsConfig, SheddingConfig, Sizes, at_least_one, duration,
    resilience::MAX_IN_FLIGHT,
    sizes::{self, HEAD_BYTES, JSON_DEPTH_MAX, URI_BYTES},
};

/// The section `rest`: the REST door.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RestConfig {
    /// The address to listen on; port 0 takes a free one. Default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// How long a request may take, unless its route says otherwise. Default `3s`.
    #[serde(with = "duration::positive")]
    pub timeout: Duration,
    /// How long a stream of events may take, unless its route says otherwise. Default `1h`:
    /// browsers come back by themselves, and a stream that never ends would outlive the rights
    /// that it was opened with.
    #[serde(with = "duration::positive")]
    pub stream_timeout: Duration,
    /// The largest body, counted after decompression. Default 1 MiB.
    pub max_bytes: u64,
    /// The largest head, request line and headers, in bytes: 1024 to 1,048,576. Default 32 KiB.
    #[serde(deserialize_with = "sizes::head_bytes")]
    pub max_head_bytes: usize,
    /// The longest target, path and query, in bytes: 64 to 65,534, and not more than the head.
    /// Default 8 KiB.
    #[serde(deserialize_with = "sizes::uri_bytes")]
    pub max_uri_bytes: usize,
    /// How many arrays and objects may stand within each other in a JSON body: 1 to 127.
    /// Default 127.
    #[serde(deserialize_with = "sizes::json_depth")]
    pub max_json_depth: usize,
    /// How many connections are held at once; further ones wait. Default 10,000.
    #[serde(deserialize_with = "at_least_one")]
    pub max_connections: usize,
    /// How long a client may take to send the headers of a request. Default `10s`.
    #[serde(with = "duration::positive")]
    pub header_timeout: Duration,
    /// How long requests in flight may still run once the process was told to stop.
    /// Default `25s`, below the 30 s of the usual orchestrators.
    #[serde(with = "duration")]
    pub grace: Duration,
    /// Speaks TLS with these files. Default: plaintext, on loopback addresses only.
    pub tls: Option<ServerTlsConfig>,
    /// Where plaintext is good enough: `loopback`, or `allowed` anywhere. Default `loopback`.
    pub plaintext: Plaintext,
    /// Whether a route whose requests fail is refused for a while. Default true.
    pub breaker: bool,
    /// Which errors count as failures of a route. Default: all but `UNIMPLEMENTED`.
    pub failures: Vec<FailureCode>,
    /// Refusing early what could not be done in time.
    pub shedding: SheddingConfig,
    /// How many requests of one route may be in flight, unless the route says otherwise.
    /// Default 10,000.
    #[serde(deserialize_with = "at_least_one")]
    pub max_in_flight: usize,
    /// How often may be asked. Default: as often as anybody likes.
    pub rate_limits: Vec<RateLimitConfig>,
    /// Where instances count the limits together that say so.
    pub shared_limits: Option<SharedLimitsConfig>,
    /// Proxies whose `x-forwarded-for` is believed, as addresses or networks. Default: none, and
    /// the address of a client is that of its socket.
    pub trusted_proxies: Vec<String>,
}

impl RestConfig {
    /// Adds those of the limits whose names it has none of.
    pub fn add_rate_limits(&mut self, limits: &[RateLimitConfig]) {
        for limit in limits {
            if self.rate_limits.iter().all(|own| own.name != limit.name) {
                self.rate_limits.push(limit.clone());
            }
        }
    }

    /// The part that guards the door.
    pub fn guards(&self) -> Guards {
        Guards {
            breaker: self.breaker,
            failures: self.failures.clone(),
            shedding: self.shedding.clone(),
            max_in_flight: self.max_in_flight,
            rate_limits: self.rate_limits.clone(),
            trusted_proxies: self.trusted_proxies.clone(),
            shared_limits: self.shared_limits.clone(),
            sizes: Sizes {
                body_bytes: self.max_bytes,
                head_bytes: self.max_head_bytes,
                uri_bytes: self.max_uri_bytes,
                json_depth: self.max_json_depth,
            },
        }
    }
}

impl Default for RestConfig {
    fn default() -> Self {
        Self {
            listen: loopback(8080),
            timeout: Duration::from_secs(3),
            stream_timeout: Duration::from_secs(3600),
            max_bytes: 1 << 20,
            max_head_bytes: HEAD_BYTES,
            max_uri_bytes: URI_BYTES,
            max_json_depth: JSON_DEPTH_MAX,
            max_connections: 10_000,
            header_timeout: Duration::from_secs(10),
            grace: Duration::from_secs(25),
            tls: None,
            plaintext: Plaintext::Loopback,
            breaker: true,
            failures: FailureCode::DEFAULT.into(),
            shedding: SheddingConfig::default(),
            max_in_flight: MAX_IN_FLIGHT,
            rate_limits: Vec::new(),
            shared_limits: None,
            trusted_proxies: Vec::new(),
        }
    }
}

/// The section `rpc`: the gRPC door.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RpcConfig {
    /// The address to listen on; port 0 takes a free one. Default `127.0.0.1:9080`.
    pub listen: SocketAddr,
    /// How long a call may take when its caller sets no deadline, and at most. Default `3s`.
    #[serde(with = "duration::positive")]
    pub timeout: Duration,
    /// How long a call that streams messages may take, likewise. Default `1h`.
    #[serde(with = "duration::positive")]
    pub stream_timeout: Duration,
    /// Who may ask what is served. Default `loopback`.
    pub reflection: Reflection,
    /// The largest message. Default 4 MiB.
    pub max_bytes: u64,
    /// The largest head of a call, its metadata, in bytes: 1024 to 1,048,576. Default 32 KiB.
    #[serde(deserialize_with = "sizes::head_bytes")]
    pub max_head_bytes: usize,
    /// How many connections are held at once; further ones wait. Default 10,000.
    #[serde(deserialize_with = "at_least_one")]
    pub max_connections: usize,
    /// How long calls in flight may still run once the process was told to stop. Default `25s`.
    #[serde(with = "duration")]
    pub grace: Duration,
    /// Speaks TLS with these files. Default: plaintext, on loopback addresses only.
    pub tls: Option<ServerTlsConfig>,
    /// Where plaintext is good enough: `loopback`, or `allowed` anywhere. Default `loopback`.
    pub plaintext: Plaintext,
    /// Whether a method whose calls fail is refused for a while. Default true.
    pub breaker: bool,
    /// Which errors count as failures of a method. Default: all but `UNIMPLEMENTED`.
    pub failures: Vec<FailureCode>,
    /// Refusing early what could not be done in time.
    pub shedding: SheddingConfig,
    /// How many calls of one method may be in flight.
    /// Default 10,000.
    #[serde(deserialize_with = "at_least_one")]
    pub max_in_flight: usize,
    /// How often may be asked. Default: as often as anybody likes.
    pub rate_limits: Vec<RateLimitConfig>,
    /// Where instances count the limits together that say so.
    pub shared_limits: Option<SharedLimitsConfig>,
}

impl RpcConfig {
    /// The part that guards the door.
    pub fn guards(&self) -> Guards {
        Guards {
            breaker: self.breaker,
            failures: self.failures.clone(),
            shedding: self.shedding.clone(),
            max_in_flight: self.max_in_flight,
            rate_limits: self.rate_limits.clone(),
            trusted_proxies: Vec::new(),
            shared_limits: self.shared_limits.clone(),
            sizes: Sizes {
                body_bytes: self.max_bytes,
                head_bytes: self.max_head_bytes,
                // A part of the head here.
                uri_bytes: self.max_head_bytes,
                json_depth: JSON_DEPTH_MAX,
            },
        }
    }
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self {
            listen: loopback(9080),
            timeout: Duration::from_secs(3),
            stream_timeout: Duration::from_secs(3600),
            reflection: Reflection::Loopback,
            max_bytes: 4 << 20,
            max_head_bytes: HEAD_BYTES,
            max_connections: 10_000,
            grace: Duration::from_secs(25),
            tls: None,
            plaintext: Plaintext::Loopback,
            breaker: true,
            failures: FailureCode::DEFAULT.into(),
            shedding: SheddingConfig::default(),
            max_in_flight: MAX_IN_FLIGHT,
            rate_limits: Vec::new(),
            shared_limits: None,
        }
    }
}

/// Who may ask a gRPC door for the descriptors of its services. They tell the whole contract, so
/// by default only those on the machine may: the same rule as that of the admin pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reflection {
    /// Peers on a loopback address.
    Loopback,
    /// Every peer.
    All,
    /// No peer: the services of reflection are not there.
    Nobody,
}

/// The section `admin`: health, metrics and the route table.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AdminConfig {
    /// The address to listen on; port 0 takes a free one. Default `127.0.0.1:8889`.
    pub listen: SocketAddr,
    /// What peers that are not on loopback must show for `/routes` and `/debug/pprof/`.
    /// Without it they are refused.
    pub auth: Option<AdminAuth>,
    /// Speaks TLS with these files. Default: plaintext, on any address, because probes and
    /// scrapers ask here; what only operators may see wants `auth` besides.
    pub tls: Option<ServerTlsConfig>,
    /// Profiles below `/debug/pprof/`.
    pub profiling: ProfilingConfig,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            listen: loopback(8889),
            auth: None,
            tls: None,
            profiling: ProfilingConfig::default(),
        }
    }
}

/// How an operator proves itself to the admin server.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum AdminAuth {
    /// `Authorization: Basic`.
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: SecretString,
    },
    /// `Authorization: Bearer`.
    Bearer(SecretString),
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}
