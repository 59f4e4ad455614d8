//! The section `admin.profiling`.

use std::time::Duration;

use serde::Deserialize;

use super::duration;

/// Profiles below `/debug/pprof/` of the admin server. Nothing is sampled until somebody asks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProfilingConfig {
    /// Whether profiles may be taken. Default true.
    pub enabled: bool,
    /// How long a profile may be asked for at most. Default `5m`.
    #[serde(with = "duration::positive")]
    pub max_duration: Duration,
    /// When the heap is sampled. Default `onDemand`.
    pub heap: HeapProfiling,
}

impl Default for ProfilingConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            max_duration: Duration::from_secs(300),
            heap: HeapProfiling::OnDemand,
        }
    }
}

/// When the heap is sampled. The program needs the feature `heap-profiling` for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HeapProfiling {
    /// Never.
    Off,
    /// While somebody asks for it with `seconds=N`.
    #[default]
    OnDemand,
    /// From the start, for scrapers that ask without `seconds`.
    Always,
}
