//! The gateway as a process of its own: a guard at the edge, and a proxy to fixed addresses.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use anyhow::Result;
use serde::Deserialize;
use tenon::{
    Clock, Process, Runtime,
    auth::Verifier,
    config::{AdminConfig, AuthConfig, ConfigError, LogConfig, RestConfig, duration},
    gateway::{Guard, Proxy, Upstream, docs},
};

use crate::compose;

/// The services that can stand behind it, by their names in paths, `/api/v1/<name>`.
const SERVICES: [&str; 4] = ["identity", "trial", "patient", "epro"];

/// `etc/gateway.yaml`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Config {
    /// The door to the outside.
    #[serde(default)]
    rest: RestConfig,
    /// Health and metrics.
    #[serde(default)]
    admin: AdminConfig,
    /// Which tokens are let in.
    auth: AuthConfig,
    /// Where the services are.
    services: BTreeMap<String, Place>,
    /// The log.
    #[serde(default)]
    pub(super) log: LogConfig,
}

/// Where a service is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Place {
    /// `host:port` of the REST door of each instance; they take turns.
    endpoints: Vec<String>,
    /// How long a request may take until its answer begins, when its caller gives it more time.
    /// Default `30s`: the routes of the services have their own times.
    #[serde(with = "duration", default = "patience")]
    timeout: Duration,
}

fn patience() -> Duration {
    Duration::from_secs(30)
}

/// The process of the gateway.
///
/// # Errors
/// The configuration is not sound.
pub(super) fn process(config: Config, runtime: Runtime, clock: Arc<dyn Clock>) -> Result<Process> {
    let document = compose::document()?;
    let refuse = |key: &str, problem: &str| ConfigError::new(Path::new(key), problem);
    let mut upstreams = Vec::new();
    for (name, place) in config.services {
        if !SERVICES.contains(&name.as_str()) {
            let known = SERVICES.join(", ");
            let problem = format!("`{name}` is no service; expected one of {known}");
            return Err(refuse("services", &problem).into());
        }
        upstreams.push(Upstream {
            prefix: format!("/api/v1/{name}"),
            endpoints: place.endpoints,
            timeout: place.timeout,
        });
    }
    let verifier = Verifier::new(&config.auth, clock)?;
    let verifier = verifier.ok_or_else(|| {
        refuse(
            "auth",
            "neither accessSecret nor keys are given; name the jwks.json of identity",
        )
    })?;
    let guard = Guard::new(verifier, &document, config.rest.max_bytes);
    let proxy = Proxy::new(upstreams, Some(&runtime.metrics))?.guard(guard);
    // The proxy answers whatever is not a page, with problem documents of its own.
    let router = docs::router(&document).fallback_service(proxy);
    Ok(Process::new(runtime)
        .rest("gateway", config.rest, router)
        .admin(config.admin))
}
