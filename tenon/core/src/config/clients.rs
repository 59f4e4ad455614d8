//! The section `clients`.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

use super::duration;

/// The section `clients`: where the services are that this one calls, by their name.
pub type ClientsConfig = BTreeMap<String, ClientConfig>;

/// Where a service is.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientConfig {
    /// `host:port` of each instance.
    pub endpoints: Vec<String>,
    /// How long a call may take when its context has more time. Default `2s`.
    #[serde(with = "duration::positive", default = "client_timeout")]
    pub timeout: Duration,
}

fn client_timeout() -> Duration {
    Duration::from_secs(2)
}
