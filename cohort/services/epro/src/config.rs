//! The configuration of the service: the sections that every service has, and its own keys.

use std::time::Duration;

use serde::Deserialize;
use tenon::config::{
    AdminConfig, AuthConfig, ClientsConfig, LogConfig, RegistrationConfig, RestConfig, RpcConfig,
    StoreConfig, TracesConfig,
};

/// `etc/epro.yaml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// The name of the service in logs and metrics.
    pub name: String,
    /// The REST door.
    #[serde(default)]
    pub rest: RestConfig,
    /// The gRPC door.
    #[serde(default)]
    pub rpc: RpcConfig,
    /// Health, metrics and the route table.
    #[serde(default)]
    pub admin: AdminConfig,
    /// How others learn of this instance, and of its end.
    pub registration: Option<RegistrationConfig>,
    /// Which tokens are accepted.
    #[serde(default)]
    pub auth: AuthConfig,
    /// Where `patient` and `trial` are, when they run elsewhere.
    #[serde(default)]
    pub clients: ClientsConfig,
    /// The data.
    #[serde(default)]
    pub store: StoreConfig,
    /// The log.
    #[serde(default)]
    pub log: LogConfig,
    /// The traces.
    #[serde(default)]
    pub traces: TracesConfig,
    /// For how long it is remembered which questionnaires a study assigns. Default `5s`; `0s`
    /// asks at every submission.
    #[serde(with = "tenon::config::duration", default = "assignments_kept_for")]
    pub assignments_kept_for: Duration,
}

impl Config {
    /// The defaults, under this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            rest: RestConfig::default(),
            rpc: RpcConfig::default(),
            admin: AdminConfig::default(),
            registration: None,
            auth: AuthConfig::default(),
            clients: ClientsConfig::default(),
            store: StoreConfig::default(),
            log: LogConfig::default(),
            traces: TracesConfig::default(),
            assignments_kept_for: assignments_kept_for(),
        }
    }
}

const fn assignments_kept_for() -> Duration {
    Duration::from_secs(5)
}
