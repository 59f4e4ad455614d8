//! The REST door: binding and validation, routing, the onion and problem documents.
//!
//! Generated code names [`Route`], [`Routes`] and [`Bind`]; a service makes a [`Door`] of them;
//! [`with_fallbacks`] or [`merge`] makes the router that `tenon_net::serve` serves. Every request
//! passes one fused onion: trace, access log, metrics, recover, rate limits, places, shedding, body
//! limit, token, rules, breaker, deadline, then the service's own [`Middleware`] and the operation. Every failure leaves as an RFC
//! 9457 problem document.

pub mod bind;
pub mod body;
pub mod deadline;
mod door;
mod endpoint;
mod events;
mod fallback;
pub mod guard;
mod journal;
pub mod layers;
mod middleware;
mod onion;
pub mod problem;
mod reply;
mod route;
mod routes;
mod stream;
pub mod trace;

pub use bind::{Bind, Parts};
pub use deadline::REQUEST_TIMEOUT;
pub use door::{Door, RouteRow, merge};
pub use events::{Event, Events, last_event_id};
pub use fallback::{with_counted_fallbacks, with_fallbacks};
pub use journal::{ByMethod, Journal};
pub use layers::Layer;
pub use middleware::{Middleware, Next, NextService};
pub use onion::authorization;
pub use reply::{Raw, Reply, ReplyHead, received, reply};
pub use route::{Auth, Method, Route};
pub use routes::Routes;

/// Whom overload hits first.
pub use tenon_resilience::Criticality;

/// axum itself: everything that it offers can stand beside the door's routes.
pub use axum;

/// A request as middleware sees it.
pub type Request = http::Request<axum::body::Body>;

/// A response.
pub type Response = http::Response<axum::body::Body>;
