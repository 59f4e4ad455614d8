//! The gRPC server and client, local or remote.
//!
//! A [`Service`] is what generated code makes of an implementation; a [`Server`] puts services
//! behind one door (trace, access log, metrics, recovery, deadline, token) that `tenon_net`
//! serves over HTTP/2. A [`Client`] calls a service, either in the same process ([`local`]) or
//! over a [`Channel`], with the same deadlines, cancellation and errors.
//!
//! Messages are framed here, over prost, and sent on bare hyper connections: tonic's server
//! answers a passed deadline with 1 where 4 is right, and its client's timer says the same.

pub mod balance;
mod body;
mod calling;
pub mod catalogue;
mod channel;
mod client;
mod criticality;
mod frame;
mod health;
mod indoors;
pub mod local;
mod metadata;
mod method;
mod observe;
mod outcome;
pub mod personal;
mod reflection;
mod retry;
mod server;
mod service;
mod status;
mod timeout;

use std::{future::Future, pin::Pin};

pub use balance::HashKey;
pub use body::ReplyBody;
pub use channel::{Channel, Named, Prepared, check_methods, rows};
pub use client::Client;
pub use indoors::Admitted;
pub use metadata::{Passed, Received};
pub use method::Method;
/// What generated messages are made with.
pub use prost;
/// The well-known messages of `google.protobuf`.
pub use prost_types;
pub use server::{Door, MethodRow, Server};
pub use service::{Builder, Service};
/// A stream of messages, in either direction.
pub use tenon_core::Messages;
pub use tenon_core::messages::Producer;
pub use tenon_resilience::Criticality;
pub use tenon_telemetry::Metrics;

/// A future behind a pointer, as the generated twins of service traits return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An error of any kind, as the layers below give it.
type BoxError = Box<dyn std::error::Error + Send + Sync>;
