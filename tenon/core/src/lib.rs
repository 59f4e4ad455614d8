//! What every other room stands on: the [`Context`] of a call, the one [`Error`] and its
//! catalogue, the clock, the configuration loader and what changes it at run time, the lifecycle of
//! a process, and what becomes of panics.
//!
//! This crate opens no socket and no file but the configuration file, and knows no transport.

pub mod catalogue;
pub mod clock;
pub mod config;
pub mod context;
pub mod error;
pub mod layer;
pub mod lifecycle;
pub mod live;
pub mod messages;
pub mod panics;
pub mod peer;
pub mod personal;
pub mod principal;
pub mod reload;
pub mod secret_file;
pub mod span;
pub mod trace;

pub use catalogue::Entry;
pub use clock::{Clock, SystemClock};
pub use context::Context;
pub use error::{Code, Error, OrInternal, Result, Violation};
pub use layer::Layer;
pub use lifecycle::Lifecycle;
pub use live::Live;
pub use messages::Messages;
pub use peer::PeerIdentity;
pub use personal::Personal;
pub use principal::Principal;
pub use reload::Reload;
pub use trace::TraceContext;
