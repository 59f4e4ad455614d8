//! What is known of an upstream beyond its configuration, and outlives a table: its instances and
//! the connections to them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use tenon_core::config::ClientConfig;
use tenon_discovery::{Instances, Status};
use tenon_rpc::{Channel, Method};
use tenon_telemetry::Metrics;

use crate::{
    balance::Targets,
    forward::{Connector, HttpClient},
};

/// What is known of one upstream, and the text of the configuration that it came from.
pub(super) struct Standing {
    pub(super) source: String,
    pub(super) way: Way,
    /// How its methods are called, and which they are, where it is `grpc`.
    called: Option<(ClientConfig, Vec<&'static Method>)>,
    is_shown: Arc<AtomicBool>,
}

/// How it is reached.
pub(super) enum Way {
    Http(Arc<Targets>, Arc<Reach>),
    Grpc(Channel, Instances),
}

/// How the instances of an `http` upstream are connected to: kept for as long as that is said in
/// the same way, whatever else of the upstream changes.
pub(super) struct Reach {
    said: String,
    pub(super) connector: Connector,
    pub(super) client: HttpClient,
}

impl Standing {
    pub(super) fn new(source: String, way: Way) -> Self {
        Self {
            source,
            way,
            called: None,
            is_shown: Arc::default(),
        }
    }

    /// The same whose methods are called so, once the table is used.
    pub(super) fn called(mut self, config: ClientConfig, methods: Vec<&'static Method>) -> Self {
        self.called = Some((config, methods));
        self
    }

    /// The table is used from now on: the connections stay, and calls are made as it says.
    pub(super) fn begin(&self) {
        if let (Some(channel), Some((config, methods))) = (self.channel(), &self.called) {
            channel.remember(methods);
            channel.change(config);
        }
    }

    /// Takes over what the table before has begun, if it is of the same source.
    pub(super) fn after(mut self, before: Option<&Self>) -> Self {
        if let Some(before) = before.filter(|before| before.source == self.source) {
            self.is_shown = before.is_shown.clone();
        }
        self
    }

    pub(super) fn channel(&self) -> Option<&Channel> {
        match &self.way {
            Way::Grpc(channel, _) => Some(channel),
            Way::Http(..) => None,
        }
    }

    /// How the source of its instances does.
    pub(super) fn status(&self) -> Status {
        self.instances().status()
    }

    /// Shows in the metrics how its source does, for as long as somebody follows it.
    pub(super) fn show(&self, name: &str, metrics: &Metrics) {
        if self.is_shown.swap(true, Relaxed) {
            return;
        }
        let mut watch = self.instances().watch_status();
        let status = watch.now();
        let mut metric = metrics.source(name, status.source);
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

    fn instances(&self) -> &Instances {
        match &self.way {
            Way::Http(targets, _) => targets.instances(),
            Way::Grpc(_, instances) => instances,
        }
    }
}

impl Reach {
    pub(super) fn new(said: String, connector: Connector) -> Self {
        Self {
            said,
            client: HttpClient::new(connector.clone()),
            connector,
        }
    }

    pub(super) fn is_said(&self, said: &str) -> bool {
        self.said == said
    }
}
