//! Traces: the spans of requests, sent to a collector over OTLP.
//!
//! The doors and clients of this process hand over one record a span when it ends
//! ([`tenon_core::span`]); here they wait in a bounded queue and leave in batches. A collector
//! that is slow or away costs spans, which are counted, and never a request.

use std::fmt;

use tenon_core::{
    Reload,
    config::{ConfigError, TracesConfig},
    span,
};

use crate::Metrics;

#[cfg(feature = "otlp")]
mod otlp;

/// What sends the spans of this process.
pub struct Exporter {
    #[cfg(feature = "otlp")]
    sender: otlp::Sender,
}

impl Exporter {
    /// Samples traces and, if there is an endpoint, sends their spans to it from now on, in the
    /// name of `service`. Must be called within a runtime, once in a process.
    ///
    /// # Errors
    /// The endpoint is no URL, the feature `otlp` is not there, or spans are exported already.
    pub fn start(
        service: &str,
        config: &TracesConfig,
        metrics: &Metrics,
    ) -> Result<Option<Self>, ConfigError> {
        span::set_sample_ratio(config.sample_ratio);
        match &config.endpoint {
            None => Ok(None),
            Some(endpoint) => Self::to(service, endpoint, config, metrics).map(Some),
        }
    }

    #[cfg(feature = "otlp")]
    fn to(
        service: &str,
        endpoint: &str,
        config: &TracesConfig,
        metrics: &Metrics,
    ) -> Result<Self, ConfigError> {
        let sender = otlp::start(service, endpoint, config.timeout, metrics)?;
        Ok(Self { sender })
    }

    #[cfg(not(feature = "otlp"))]
    fn to(_: &str, _: &str, _: &TracesConfig, _: &Metrics) -> Result<Self, ConfigError> {
        let problem =
            "this program cannot export traces; build it with the feature `otlp` of tenon";
        Err(ConfigError::new("traces.endpoint", problem))
    }

    /// Sends what waits, and waits for it three seconds at most. For the end of a process.
    pub async fn flush(self) {
        #[cfg(feature = "otlp")]
        self.sender.flush().await;
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").finish_non_exhaustive()
    }
}

/// Lets the configuration change the ratio of the traces that are recorded.
pub fn register(reload: &Reload) {
    reload.register("traces", &["sampleRatio"], |config: TracesConfig| {
        Ok(Box::new(move || {
            span::set_sample_ratio(config.sample_ratio)
        }))
    });
}
