//! The gateway as a process of its own: a guard at the edge, and forwarding to the services.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use anyhow::Result;
use serde::Deserialize;
use tenon::{
    Clock, Process, Runtime,
    auth::Verifier,
    config::{
        AdminConfig, AuthConfig, ClientConfig, ClientTlsConfig, ConfigError, DnsConfig, EtcdConfig,
        GatewayConfig, KubernetesConfig, LogConfig, Plaintext, RegistrationConfig, RestConfig,
        RouteConfig, TracesConfig, UpstreamConfig, duration,
    },
    gateway::{Gateway, Guard, docs},
    reload::{self, Reload},
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
    /// How others learn of this instance, and of its end.
    registration: Option<RegistrationConfig>,
    /// Which tokens are let in.
    auth: AuthConfig,
    /// Where the services are.
    services: BTreeMap<String, Place>,
    /// The log.
    #[serde(default)]
    pub(super) log: LogConfig,
    /// The traces.
    #[serde(default)]
    #[expect(
        dead_code,
        reason = "read here for its strictness, and acted upon by the process"
    )]
    traces: TracesConfig,
}

/// Where the REST door of a service is: one of the sources of the section `clients`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Place {
    /// `host:port` of each instance.
    #[serde(default)]
    endpoints: Vec<String>,
    /// Instances found by DNS.
    dns: Option<DnsConfig>,
    /// Instances that registered themselves in etcd.
    etcd: Option<EtcdConfig>,
    /// The ready endpoints of a Kubernetes service.
    kubernetes: Option<KubernetesConfig>,
    /// How long a request may take until its answer begins, when its caller gives it more time.
    /// Default `30s`: the routes of the services have their own times.
    #[serde(with = "duration", default = "patience")]
    timeout: Duration,
    /// Speaks TLS. Default: plaintext, with this machine only.
    tls: Option<ClientTlsConfig>,
    /// Where plaintext is good enough.
    #[serde(default)]
    plaintext: Plaintext,
}

fn patience() -> Duration {
    Duration::from_secs(30)
}

impl Place {
    /// The service `name` as an upstream: `/api/v1/<name>` goes there.
    fn upstream(self, name: &str) -> UpstreamConfig {
        let mut client = ClientConfig::to(self.endpoints);
        client.dns = self.dns;
        client.etcd = self.etcd;
        client.kubernetes = self.kubernetes;
        client.timeout = self.timeout;
        client.tls = self.tls;
        client.plaintext = self.plaintext;
        UpstreamConfig {
            http: Some(client),
            routes: vec![RouteConfig::new(format!("/api/v1/{name}"))],
            ..UpstreamConfig::default()
        }
    }
}

/// What stands behind the gateway.
fn upstreams(services: BTreeMap<String, Place>) -> Result<GatewayConfig, ConfigError> {
    let mut config = GatewayConfig::default();
    for (name, place) in services {
        if !SERVICES.contains(&name.as_str()) {
            let known = SERVICES.join(", ");
            let problem = format!("`{name}` is no service; expected one of {known}");
            return Err(ConfigError::new(Path::new("services"), problem));
        }
        let upstream = place.upstream(&name);
        config.upstreams.insert(name, upstream);
    }
    Ok(config)
}

/// The door of the gateway, if the table of routes and its guards are sound.
///
/// # Errors
/// They are not.
pub(super) fn check(config: Config) -> Result<RestConfig> {
    let guards = config.rest.guards();
    Gateway::guarded(&upstreams(config.services)?, &guards, None)?;
    Ok(config.rest)
}

/// The process of the gateway.
///
/// # Errors
/// The configuration is not sound.
pub(super) fn process(config: Config, runtime: Runtime, clock: Arc<dyn Clock>) -> Result<Process> {
    let document = compose::document()?;
    let services = upstreams(config.services)?;
    let verifier = Verifier::new(&config.auth, clock)?;
    let verifier = verifier.ok_or_else(|| {
        let problem = "neither accessSecret nor keys are given; name the jwks.json of identity";
        ConfigError::new(Path::new("auth"), problem)
    })?;
    let guard = Guard::new(verifier, &document, config.rest.max_bytes);
    let guards = config.rest.guards();
    let gateway = Gateway::guarded(&services, &guards, Some(&runtime.metrics))?.guard(guard);
    follow(&runtime.reload, gateway.clone());
    let (shown, found) = (gateway.clone(), gateway.clone());
    // The gateway answers whatever is not a page, with problem documents of its own.
    let router = docs::router(&document).fallback_service(gateway);
    let process = Process::new(runtime)
        .rest("gateway", config.rest, router)
        .changing_routes(move || shown.routes())
        .probe("upstreams", move || std::future::ready(found.found()))
        .admin(config.admin);
    Ok(match config.registration {
        Some(registration) => process.registration("gateway", registration),
        None => process,
    })
}

/// Takes changed services and guards into use without a restart. Both together, because a rate
/// limit may name the route of a service that comes with it.
fn follow(reload: &Reload, gateway: Gateway) {
    #[derive(Deserialize)]
    struct Followed {
        #[serde(default)]
        rest: RestConfig,
        services: BTreeMap<String, Place>,
    }
    let keys = [
        "rest.breaker",
        "rest.shedding",
        "rest.maxInFlight",
        "rest.rateLimits",
        "rest.trustedProxies",
        "services",
    ];
    reload.register("", &keys, move |config: Followed| {
        let guards = config.rest.guards();
        let table = upstreams(config.services);
        let table = table.and_then(|config| gateway.prepare(&config, &guards));
        let table = table.map_err(|problem| problem.to_string())?;
        let apply: reload::Apply = Box::new(move || table.apply());
        Ok(apply)
    });
}
