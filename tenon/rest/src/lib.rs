//! The REST door: binding and validation, routing, the onion and problem documents.

pub mod bind;

pub use bind::{Bind, Parts};
