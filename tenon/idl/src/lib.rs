//! Contract text (`.api` and `.proto`) to a checked model with spans; pure.
//!
//! - [`api::load`] reads a REST contract and gives a [`model::Api`]; [`api::parse`] gives the
//!   lossless tree of one file, for formatters and editors.
//! - [`proto::load`] reads an RPC contract and gives a [`proto::Proto`].
//!
//! Files come through a [`SourceLoader`]; nothing here touches a disk. Faults come back as
//! [`Diagnostic`]s with file, line, column and advice, as many per run as make sense. No input
//! makes this crate panic.

pub mod api;
pub mod diagnostic;
pub mod model;
pub mod proto;
pub mod source;

pub use diagnostic::{Diagnostic, LineMap, Span};
pub use source::{LoadError, MemoryLoader, SourceLoader};
