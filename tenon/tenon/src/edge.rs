//! A gateway as a process of its own, from its configuration alone.

use std::sync::Arc;

use serde::Deserialize;
use tenon_auth::Verifier;
use tenon_core::{
    SystemClock,
    config::{
        AdminConfig, AuthConfig, ConfigError, GatewayConfig, LogConfig, RestConfig, TracesConfig,
    },
};
use tenon_gateway::{Gateway, Guard};

use crate::{Process, Runtime, StartError, background_context};

/// The configuration of a gateway.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EdgeConfig {
    /// The name in logs. Default `gateway`.
    #[serde(default = "gateway")]
    pub name: String,
    /// The door to the outside, with what guards its routes. Its timeouts are not used: routes have
    /// their own. Rate limits name routes as the table shows them: `* /api/v1/patient/*`.
    #[serde(default)]
    pub rest: RestConfig,
    /// Health, metrics and the table of routes.
    #[serde(default)]
    pub admin: AdminConfig,
    /// Which tokens are let in. Without keys the services alone check them.
    #[serde(default)]
    pub auth: AuthConfig,
    /// What is let in without a token where tokens are asked for: `POST /api/v1/login`, with
    /// `{name}` for any one segment.
    #[serde(default)]
    pub open: Vec<String>,
    /// What stands behind it; followed while it runs.
    #[serde(default)]
    pub gateway: GatewayConfig,
    /// The log.
    #[serde(default)]
    pub log: LogConfig,
    /// The traces.
    #[serde(default)]
    pub traces: TracesConfig,
}

fn gateway() -> String {
    "gateway".to_owned()
}

/// The process of a gateway, for [`crate::main`]. It is ready once it knows where the services are
/// and the contracts of those that tell theirs by reflection.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     tenon::main("etc/gateway.yaml", tenon::edge)
/// }
/// ```
///
/// # Errors
/// The configuration is not sound.
pub async fn edge(config: EdgeConfig) -> Result<Process, StartError> {
    if let Err(taken) = tenon_telemetry::init_logs(&config.log) {
        tracing::debug!("{taken}");
    }
    let runtime = Runtime::default();
    let guards = config.rest.guards();
    let mut gateway = Gateway::guarded(&config.gateway, &guards, Some(&runtime.metrics))?;
    match Verifier::new(&config.auth, Arc::new(SystemClock))? {
        Some(verifier) => {
            let guard = Guard::except(verifier, &config.open, config.rest.max_bytes);
            let refused = |problem: String| ConfigError::new("open", problem);
            gateway = gateway.guard(guard.map_err(refused)?);
        }
        None if config.open.is_empty() => {}
        None => {
            let problem = "nothing asks for a token; give auth its keys, or leave `open` out";
            return Err(ConfigError::new("open", problem).into());
        }
    }
    let router = gateway.router();
    let (shown, known, found) = (gateway.clone(), gateway.clone(), gateway.clone());
    let called = gateway.clone();
    crate::followed::gateway(&runtime.reload, gateway.clone());
    let cx = background_context(&runtime.life);
    Ok(Process::new(runtime)
        .rest(&config.name, config.rest, router)
        .admin(config.admin)
        .changing_routes(move || shown.routes())
        .clients(move || called.clients())
        .probe("contracts", move || std::future::ready(known.ready()))
        .probe("upstreams", move || std::future::ready(found.found()))
        .background("contracts", gateway.keep_reflected(cx)))
}
