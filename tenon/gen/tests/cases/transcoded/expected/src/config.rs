// Scaffolded by tenon once; yours to edit.
//! The configuration of the service. `etc/` has a file with every key explained.

use tenon::{
    config::{
        AdminConfig, AuthConfig, ClientsConfig, LogConfig, RegistrationConfig, RestConfig,
        RpcConfig, StoreConfig, TracesConfig,
    },
    serde::Deserialize,
};

/// The sections that every service has; add your own beside them.
#[derive(Debug, Clone, Deserialize)]
#[serde(crate = "tenon::serde", rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// The name of the service, in logs and metrics.
    pub name: String,
    /// The REST door.
    #[serde(default)]
    pub rest: RestConfig,
    /// The RPC door.
    #[serde(default)]
    pub rpc: RpcConfig,
    /// Health, metrics and the route table.
    #[serde(default)]
    pub admin: AdminConfig,
    /// How others learn of this instance.
    #[serde(default)]
    pub registration: Option<RegistrationConfig>,
    /// Which tokens are accepted.
    #[serde(default)]
    pub auth: AuthConfig,
    /// Where other services are.
    #[serde(default)]
    pub clients: ClientsConfig,
    /// The data of the service.
    #[serde(default)]
    pub store: StoreConfig,
    /// The log.
    #[serde(default)]
    pub log: LogConfig,
    /// The traces.
    #[serde(default)]
    pub traces: TracesConfig,
}
