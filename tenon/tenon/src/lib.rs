//! The one dependency of a service: what a generated project uses, under one name.
//!
//! Generated code and hand-written logic name only this crate. It stays thin over axum, hyper and
//! prost: whoever needs more than it re-exports can use those below directly.
//!
//! Two rooms are features, both on by default: `store` and `gateway`. Generated projects start
//! without them. So are the registries where services are found: `dns`, `etcd`, `kubernetes`.

mod admin_thread;
mod app;
#[cfg(feature = "gateway")]
mod edge;
mod figures;
mod followed;
mod neighbours;
mod presence;
mod process;
mod service;
pub mod supervisor;
mod token;

pub use app::{App, Group, Request};
#[cfg(feature = "gateway")]
pub use edge::{EdgeConfig, edge};
pub use process::{Process, Running, Runtime, StartError, background_context, main};
pub use service::{Open, Service};
pub use token::require_token;

/// A point in time: what `time.Time` is in a contract.
pub use jiff::Timestamp;
/// What the types of a contract are written as JSON with.
pub use serde;
/// A JSON value: what `any` is in a contract.
pub use serde_json::Value as Json;
pub use tenon_core::{
    Clock, Code, Context, Entry, Error, Lifecycle, Messages, OrInternal, PeerIdentity, Personal,
    Principal, Result, SystemClock, TraceContext, Violation, catalogue, clock, config, error,
    reload, secret_file,
};

/// Keys, tokens, passwords and access rules.
pub use tenon_auth as auth;
/// Where services are, and how a process is announced.
pub use tenon_discovery as discovery;
/// Routes to services over HTTP, and the documentation page.
#[cfg(feature = "gateway")]
pub use tenon_gateway as gateway;
/// Listening and serving.
pub use tenon_net as net;
/// Labels of work in profiles.
pub use tenon_profile as profile;
/// What guards the doors: limits, breakers, shedding.
pub use tenon_resilience as resilience;
/// The REST door.
pub use tenon_rest as rest;
/// The gRPC server and client.
pub use tenon_rpc as rpc;
/// What the messages of a contract are made with, and the well-known ones.
pub use tenon_rpc::{prost, prost_types};
/// SQL, the audit chain, the outbox and sealed columns.
#[cfg(feature = "store")]
pub use tenon_store as store;
/// Logs, metrics and the admin server.
pub use tenon_telemetry as telemetry;
