//! The section `store`.

use std::path::PathBuf;

use serde::Deserialize;

use super::at_least_one;

/// The section `store`: the data of the service.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StoreConfig {
    /// The SQLite file; its folder must exist.
    pub path: PathBuf,
    /// How many writes one commit takes at most. Default 512; 1 turns group commit off.
    #[serde(deserialize_with = "at_least_one")]
    pub batch_max: usize,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::from("service.db"),
            batch_max: 512,
        }
    }
}
