//! The gateway: routes to services over HTTP, streaming, with the deadline; and what belongs at
//! the edge beside them, one OpenAPI document of all services and a page that shows it.
//!
//! In one process a gateway merges the services' routers and needs no [`Proxy`]; as a process of
//! its own it forwards. [`openapi::merge`] and [`docs::router`] serve both.

pub mod docs;
mod forward;
mod guard;
pub mod openapi;
mod proxy;

pub use guard::Guard;
pub use proxy::{Proxy, UPSTREAM_BROKEN, Upstream};
