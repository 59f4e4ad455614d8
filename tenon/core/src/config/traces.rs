//! The section `traces`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};

use super::duration;

/// The section `traces`: where the spans of requests are sent, and how many. `sampleRatio` may
/// change while the process runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TracesConfig {
    /// The OTLP collector (gRPC), `http://127.0.0.1:4317` or `https://...`; needs the feature
    /// `otlp`. Without it no span is made.
    pub endpoint: Option<String>,
    /// Which part of the traces that begin here is recorded, from 0 to 1; one that began
    /// elsewhere is recorded if its beginner said so. Default 1.
    #[serde(deserialize_with = "ratio")]
    pub sample_ratio: f64,
    /// How long one export may take; what it held is dropped then. Default `10s`.
    #[serde(with = "duration::positive")]
    pub timeout: Duration,
}

impl Default for TracesConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            sample_ratio: 1.0,
            timeout: Duration::from_secs(10),
        }
    }
}

fn ratio<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let ratio = f64::deserialize(from)?;
    if !(0.0..=1.0).contains(&ratio) {
        let problem = format!("{ratio} is no part of the traces; expected 0 to 1");
        return Err(D::Error::custom(problem));
    }
    Ok(ratio)
}
