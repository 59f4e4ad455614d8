//! The gateway: routes to services over HTTP, streaming, with the deadline; JSON to gRPC by the
//! rules of a contract; and what belongs at the edge beside them, one OpenAPI document of all
//! services and a page that shows it.
//!
//! In one process a gateway merges the services' routers and needs no [`Gateway`]; as a process
//! of its own it passes requests on. [`openapi::merge`] and [`docs::router`] serve both.

mod balance;
pub mod docs;
mod forward;
mod gateway;
mod guard;
pub mod openapi;
mod table;
pub mod transcode;

pub use forward::UPSTREAM_BROKEN;
pub use gateway::{Gateway, Prepared};
pub use guard::Guard;

/// What logs, metrics and the table of routes call the gateway.
const SERVICE: &str = "gateway";
