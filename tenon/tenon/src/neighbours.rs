//! The services that a process calls, and how it learns where they are: shown in its metrics and
//! by its admin server, waited for by its readiness, and followed when the configuration changes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tenon_core::{
    Result, catalogue,
    config::{ClientConfig, ConfigError},
};
use tenon_discovery::{Instances, StatusWatch};
use tenon_rpc::Channel;

use crate::{Runtime, process::Probe};

/// The services that a process calls, by the names of its clients.
#[derive(Clone, Default)]
pub(crate) struct Neighbours {
    all: Arc<Mutex<Vec<Neighbour>>>,
}

struct Neighbour {
    name: String,
    source: StatusWatch,
    channel: Channel,
}

impl Neighbours {
    /// One probe for each: it fails until its source has answered once, because a process that
    /// knows of nobody can do nothing yet. Later outages are none of readiness: the last list
    /// holds, and taking every instance out of service would be the outage.
    pub(crate) fn probes(&self) -> Vec<(String, Probe)> {
        let all = self.lock();
        let probes = all.iter().map(|neighbour| {
            let watch = neighbour.source.clone();
            let probe: Probe = Arc::new(move || {
                let status = watch.now();
                Box::pin(async move { answered(status) })
            });
            (format!("clients.{}", neighbour.name), probe)
        });
        probes.collect()
    }

    /// What calls to each pass, and its instances, as they are now.
    pub(crate) fn rows(&self) -> Vec<serde_json::Value> {
        let all = self.lock();
        let rows = all.iter().map(|neighbour| neighbour.channel.row());
        let rows = rows.map(serde_json::to_value);
        rows.filter_map(std::result::Result::ok).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Neighbour>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// for the first answer of its source, and the metrics show how that does. `/clients` of the
    /// admin server shows what its calls pass, and a changed configuration file changes that.
    ///
    /// # Errors
    /// As [`Channel::new`].
    pub fn channel(&self, name: &str, config: &ClientConfig) -> Result<Channel, ConfigError> {
        let instances = tenon_discovery::follow(name, config)?;
        let channel = Channel::over(name, instances.clone(), config, &self.metrics)?;
        self.neighbours.lock().push(Neighbour {
            name: name.to_owned(),
            source: instances.watch_status(),
            channel: channel.clone(),
        });
        self.watch(name, &instances);
        crate::followed::client(&self.reload, name, channel.clone());
        Ok(channel)
    }

    fn watch(&self, name: &str, instances: &Instances) {
        let mut watch = instances.watch_status();
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
