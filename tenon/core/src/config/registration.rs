//! The section `registration`.

use std::time::Duration;

use serde::Deserialize;

use super::{ConfigError, EtcdConfig, duration};

/// The section `registration`: how others learn of this instance, and that it is about to end.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RegistrationConfig {
    /// Where the doors are announced, as `<key>/rest/<host:port>` and `<key>/rpc/<host:port>`;
    /// needs the feature `etcd`. Without it nothing is announced, and only `drainDelay` holds:
    /// Kubernetes knows its pods by itself.
    pub etcd: Option<EtcdConfig>,
    /// The host under which others reach this process. Default the environment variable
    /// `POD_IP`, else the address that the door listens on, else (when it listens on all) the
    /// address of this machine towards etcd.
    pub host: Option<String>,
    /// The share of calls that this instance gets beside the others; 100 is usual.
    pub weight: u32,
    /// How long etcd keeps the entry after the last sign of life. Default `10s`, at least `2s`.
    #[serde(with = "duration::positive")]
    pub lease_ttl: Duration,
    /// How long the doors go on accepting once this process was told to stop and has left the
    /// registry, so that callers learn of it first. Default `2s`.
    #[serde(with = "duration")]
    pub drain_delay: Duration,
}

impl Default for RegistrationConfig {
    fn default() -> Self {
        Self {
            etcd: None,
            host: None,
            weight: 100,
            lease_ttl: Duration::from_secs(10),
            drain_delay: Duration::from_secs(2),
        }
    }
}

/// Below this, one lost packet ends a lease.
const LEASE_TTL_MIN: Duration = Duration::from_secs(2);

/// One instance gets at most a hundred times the usual share.
const WEIGHT_MAX: u32 = 10_000;

impl RegistrationConfig {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// What is given could never work.
    pub fn check(&self) -> Result<(), ConfigError> {
        let refused = |problem: String| Err(ConfigError::new("registration", problem));
        if let Some(etcd) = &self.etcd
            && let Err(problem) = etcd.check()
        {
            return refused(format!("etcd: {problem}"));
        }
        if self.lease_ttl < LEASE_TTL_MIN || self.lease_ttl.subsec_nanos() != 0 {
            return refused("leaseTtl: expected whole seconds, at least 2s".to_owned());
        }
        if self.weight > WEIGHT_MAX {
            return refused(format!("weight: expected at most {WEIGHT_MAX}"));
        }
        match &self.host {
            Some(host) if host.is_empty() || host.contains(['/', ' ']) => {
                refused(format!("host: `{host}` is no host"))
            }
            _ => Ok(()),
        }
    }
}
