//! The configuration: `etc/trial.yaml` explains every key.

use serde::Deserialize;
use tenon::config::{
    AdminConfig, AuthConfig, ClientsConfig, LogConfig, RegistrationConfig, RestConfig, RpcConfig,
    StoreConfig, TracesConfig,
};

/// The configuration of the trial service.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// The name in logs and metrics. Default `trial`.
    pub name: String,
    /// The REST door.
    pub rest: RestConfig,
    /// The gRPC door.
    pub rpc: RpcConfig,
    /// Health, metrics and the route table.
    pub admin: AdminConfig,
    /// How others learn of this instance, and of its end.
    pub registration: Option<RegistrationConfig>,
    /// Which tokens are accepted.
    pub auth: AuthConfig,
    /// Where the neighbours are: `patient`.
    pub clients: ClientsConfig,
    /// The data.
    pub store: StoreConfig,
    /// The log.
    pub log: LogConfig,
    /// The traces.
    pub traces: TracesConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "trial".to_owned(),
            rest: RestConfig::default(),
            rpc: RpcConfig::default(),
            admin: AdminConfig::default(),
            registration: None,
            auth: AuthConfig::default(),
            clients: ClientsConfig::default(),
            store: StoreConfig {
                path: "trial.db".into(),
                ..StoreConfig::default()
            },
            log: LogConfig::default(),
            traces: TracesConfig::default(),
        }
    }
}
