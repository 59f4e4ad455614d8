//! What guards a door: keys that `rest` and `rpc` share. All of them may change while the service
//! runs, except where requests are counted together with other instances.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use super::{FailureCode, Sizes, at_least_one, duration};

/// The key `shedding`: refusing early what could not be done in time.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SheddingConfig {
    /// Whether requests are shed at all. Default true, in every mode.
    pub enabled: bool,
    /// The CPU counts as short from here on, in permille of what the process may use: 1 to 999.
    /// What is critical is measured against the middle between this and 1000. Default 900.
    #[serde(deserialize_with = "permille")]
    pub cpu_threshold: u32,
}

impl Default for SheddingConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            cpu_threshold: 900,
        }
    }
}

/// One of the key `rateLimits`: so many requests in so much time.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimitConfig {
    /// The name, in responses and metrics: lower-case letters, digits and hyphens.
    pub name: String,
    /// What has a bucket of its own: each caller, each client address, or each route.
    pub by: RateLimitBy,
    /// How many requests may come in `per`.
    #[serde(deserialize_with = "positive")]
    pub requests: u32,
    /// The time for them. Default `1s`.
    #[serde(with = "duration::positive", default = "one_second")]
    pub per: Duration,
    /// How many may come at once. Default: `requests`.
    #[serde(default)]
    pub burst: Option<u32>,
    /// The routes that it holds for, as the contract writes them: `POST /api/v1/identity/login`,
    /// or `POST /api/v1/identity/*` for all below; `package.Service/Method` at the gRPC door.
    /// Without this key it holds for all.
    #[serde(default)]
    pub routes: Vec<String>,
    /// Whether all instances count together, in the store of `sharedLimits`. Default false.
    #[serde(default)]
    pub shared: bool,
}

/// What has a bucket of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RateLimitBy {
    /// The verified caller of a token.
    Principal,
    /// The address of the client, behind trusted proxies only.
    Address,
    /// The route, all callers together.
    Route,
}

impl RateLimitBy {
    /// As the configuration writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Principal => "principal",
            Self::Address => "address",
            Self::Route => "route",
        }
    }
}

/// The key `sharedLimits`: where instances count together.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SharedLimitsConfig {
    /// `redis://host:port/0`, with a password where it needs one.
    pub redis: SecretString,
    /// What the keys begin with. Default `tenon`.
    #[serde(default = "tenon")]
    pub prefix: String,
}

/// Everything of a section that guards its door.
#[derive(Debug, Clone, Default)]
pub struct Guards {
    /// `breaker`.
    pub breaker: bool,
    /// `failures`.
    pub failures: Vec<FailureCode>,
    /// `shedding`.
    pub shedding: SheddingConfig,
    /// `maxInFlight`.
    pub max_in_flight: usize,
    /// `rateLimits`.
    pub rate_limits: Vec<RateLimitConfig>,
    /// `trustedProxies`.
    pub trusted_proxies: Vec<String>,
    /// `sharedLimits`.
    pub shared_limits: Option<SharedLimitsConfig>,
    /// `maxBytes`, `maxHeadBytes`, `maxUriBytes` and `maxJsonDepth`.
    pub sizes: Sizes,
}

/// The default of `maxInFlight`: as many as a door has connections.
pub(super) const MAX_IN_FLIGHT: usize = 10_000;

fn one_second() -> Duration {
    Duration::from_secs(1)
}

fn tenon() -> String {
    "tenon".to_owned()
}

fn positive<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let number = at_least_one(from)?;
    u32::try_from(number).map_err(|_| serde::de::Error::custom("expected at most 4294967295"))
}

fn permille<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let number = u32::deserialize(from)?;
    if !(1..1000).contains(&number) {
        return Err(serde::de::Error::custom(format!(
            "cpuThreshold is {number}; expected 1 to 999, in permille"
        )));
    }
    Ok(number)
}
