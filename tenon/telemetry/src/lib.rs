//! Logs, metrics, traces and the admin server.
//!
//! What a service shows of itself holds no personal data: labels come from closed sets (route
//! templates, method names, status codes), logs carry no body, query or token, and a panic is
//! logged by its place, never by its payload.

pub mod admin;
pub mod logs;
pub mod metrics;
pub mod traces;

pub use admin::Admin;
pub use logs::{LogError, init_logs};
pub use metrics::{
    Figure, GuardLabels, Guarded, HttpRoute, InFlight, Metrics, RegistrationMetric, RpcClient,
    RpcClientMethod, RpcMethod, Side, SourceMetric,
};
pub use traces::Exporter;

/// The metrics library, for code that registers metrics of its own with [`Metrics::register`].
pub use prometheus_client as prometheus;
