//! The services that a process calls, and how it learns where they are: shown in its metrics, and
//! waited for by its readiness.

use std::sync::{Arc, Mutex, PoisonError};

use tenon_core::{
    Result, catalogue,
    config::{ClientConfig, ConfigError},
};
use tenon_discovery::{Instances, StatusWatch};
use tenon_rpc::Channel;

use crate::{Runtime, process::Probe};

/// The sources that a process follows, by the names of its clients.
#[derive(Clone, Default)]
pub(crate) struct Sources {
    all: Arc<Mutex<Vec<(String, StatusWatch)>>>,
}

impl Sources {
    /// One probe for each: it fails until its source has answered once, because a process that
    /// knows of nobody can do nothing yet. Later outages are none of readiness: the last list
    /// holds, and taking every instance out of service would be the outage.
    pub(crate) fn probes(&self) -> Vec<(String, Probe)> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let probes = all.iter().map(|(name, watch)| {
            let watch = watch.clone();
            let probe: Probe = Arc::new(move || {
                let status = watch.now();
                Box::pin(async move { answered(status) })
            });
            (format!("clients.{name}"), probe)
        });
        probes.collect()
    }
}

fn answered(status: tenon_discovery::Status) -> Result<()> {
    if status.answered {
        return Ok(());
    }
    let problem = status.problem.as_deref().unwrap_or("no answer yet");
    let cause = format!("{} does not answer: {problem}", status.source);
    Err(catalogue::UNAVAILABLE.error().cause(cause))
}

impl Runtime {
    /// A channel to the service `name`, as its section of `clients` places it. Readiness waits
    /// for the first answer of its source, and the metrics show how that does.
    ///
    /// # Errors
    /// As [`Channel::new`].
    pub fn channel(&self, name: &str, config: &ClientConfig) -> Result<Channel, ConfigError> {
        let instances = tenon_discovery::follow(name, config)?;
        self.watch(name, &instances);
        Channel::over(name, instances, config, &self.metrics)
    }

    fn watch(&self, name: &str, instances: &Instances) {
        let mut watch = instances.watch_status();
        let mut all = self
            .sources
            .all
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.push((name.to_owned(), watch.clone()));
        let mut metric = self.metrics.source(name, watch.now().source);
        let status = watch.now();
        metric.set(status.instances, status.connected, status.resyncs);
        // Fixed lists never change, and may be made where nothing runs yet.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                while let Some(status) = watch.changed().await {
                    metric.set(status.instances, status.connected, status.resyncs);
                }
            });
        }
    }
}
