//! The configuration of the service: the sections that every service has, and where its keys are.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;
use tenon::config::{
    AdminConfig, AuthConfig, KeyConfig, LogConfig, RateLimitBy, RateLimitConfig,
    RegistrationConfig, RestConfig, RpcConfig, StoreConfig, TracesConfig,
};

/// What every token names as its issuer and its audience.
pub const COHORT: &str = "cohort";

/// The public keys, in the folder of the keys: what the `auth.keys` of every service names.
pub const JWKS_FILE: &str = "jwks.json";

/// How often one address may ask for a token by password: enough for a site whose staff come to
/// work behind one address, and far too little to guess passwords by. Each try is 18 ms of CPU.
pub const LOGINS_A_MINUTE: u32 = 120;

/// What the limit of logins is called. A limit of this name in the configuration takes its place.
const LOGIN: &str = "login";

/// The limit of logins. It holds whatever else the configuration says of the door: who writes down
/// where that listens must not open it to guessers by that.
pub(crate) fn logins() -> RateLimitConfig {
    RateLimitConfig {
        name: LOGIN.to_owned(),
        by: RateLimitBy::Address,
        requests: LOGINS_A_MINUTE,
        per: Duration::from_secs(60),
        burst: None,
        routes: vec!["POST /api/v1/identity/login".to_owned()],
        shared: false,
    }
}

/// `etc/identity.yaml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// The name of the service.
    pub name: String,
    /// The REST door. Logging in is limited to [`LOGINS_A_MINUTE`] unless a limit called `login` says
    /// otherwise.
    #[serde(default)]
    pub rest: RestConfig,
    /// The gRPC door.
    #[serde(default)]
    pub rpc: RpcConfig,
    /// Health, metrics and the route table.
    #[serde(default)]
    pub admin: AdminConfig,
    /// How others learn of this instance, and of its end.
    #[serde(default)]
    pub registration: Option<RegistrationConfig>,
    /// Which tokens are accepted; by default those that this service signs.
    #[serde(default)]
    pub auth: AuthConfig,
    /// The data.
    #[serde(default)]
    pub store: StoreConfig,
    /// The log.
    #[serde(default)]
    pub log: LogConfig,
    /// The traces.
    #[serde(default)]
    pub traces: TracesConfig,
    /// The keys.
    #[serde(default)]
    pub keys: KeysConfig,
    /// A file with the password of the first administrator, which nobody else may read. Without
    /// it a random one is printed once, by the first start.
    #[serde(default)]
    pub administrator_password: Option<PathBuf>,
}

/// The section `keys`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KeysConfig {
    /// The folder of the signing keys, of the public key set and of the secret of this service.
    /// A first start makes it, for its owner alone. Default `keys`.
    pub dir: PathBuf,
}

impl Default for KeysConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("keys"),
        }
    }
}

impl Config {
    /// The section `auth` with what this service knows itself: its own keys, issuer and audience.
    pub fn auth_with_defaults(&self) -> AuthConfig {
        let mut auth = self.auth.clone();
        if auth.access_secret.is_none() && auth.keys.is_empty() {
            let file = self.keys.dir.join(JWKS_FILE);
            auth.keys.push(KeyConfig { file });
        }
        auth.issuer.get_or_insert_with(|| COHORT.to_owned());
        auth.audience.get_or_insert_with(|| COHORT.to_owned());
        auth
    }
}
