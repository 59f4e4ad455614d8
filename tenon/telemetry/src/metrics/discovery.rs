//! The metrics of discovery: what is known of the services that this process calls, and how it is
//! itself known to others.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabels {
    client: String,
    source: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StandingLabels {
    service: String,
    state: &'static str,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Discovery {
    instances: Family<SourceLabels, Gauge>,
    connected: Family<SourceLabels, Gauge>,
    resyncs: Family<SourceLabels, Counter>,
    registration: Family<StandingLabels, Gauge>,
}

impl Discovery {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "discovery_instances",
            "Instances that are known of a service that this process calls",
            self.instances.clone(),
        );
        registry.register(
            "discovery_connected",
            "Whether the source of the instances answers now, 0 or 1",
            self.connected.clone(),
        );
        registry.register(
            "discovery_resyncs",
            "How often the whole list of instances was read again",
            self.resyncs.clone(),
        );
        registry.register(
            "discovery_registration",
            "How this process is known to others: 1 for the state that holds, 0 for the others",
            self.registration.clone(),
        );
    }

    pub(super) fn source(&self, client: &str, source: &'static str) -> SourceMetric {
        let labels = SourceLabels {
            client: client.to_owned(),
            source,
        };
        SourceMetric {
            instances: self.instances.get_or_create_owned(&labels),
            connected: self.connected.get_or_create_owned(&labels),
            resyncs: self.resyncs.get_or_create_owned(&labels),
            counted: 0,
        }
    }

    pub(super) fn forget(&self, client: &str, source: &'static str) {
        let labels = SourceLabels {
            client: client.to_owned(),
            source,
        };
        self.instances.remove(&labels);
        self.connected.remove(&labels);
        self.resyncs.remove(&labels);
    }

    pub(super) fn registration(&self, service: &str) -> RegistrationMetric {
        RegistrationMetric {
            service: service.to_owned(),
            states: self.registration.clone(),
        }
    }
}

/// The handles of one client's source.
#[derive(Debug)]
pub struct SourceMetric {
    instances: Gauge,
    connected: Gauge,
    resyncs: Counter,
    counted: u64,
}

impl SourceMetric {
    /// Shows how the source does; `resyncs` is their number since the start.
    pub fn set(&mut self, instances: usize, connected: bool, resyncs: u64) {
        self.instances
            .set(i64::try_from(instances).unwrap_or(i64::MAX));
        self.connected.set(i64::from(connected));
        self.resyncs.inc_by(resyncs.saturating_sub(self.counted));
        self.counted = self.counted.max(resyncs);
    }
}

/// The states in which a registration can be, as labels.
const STATES: [&str; 4] = ["pending", "registered", "lost", "left"];

/// The handle of one service's registration.
#[derive(Debug, Clone)]
pub struct RegistrationMetric {
    service: String,
    states: Family<StandingLabels, Gauge>,
}

impl RegistrationMetric {
    /// Shows the state that holds: `pending`, `registered`, `lost` or `left`.
    pub fn set(&self, state: &str) {
        for known in STATES {
            let labels = StandingLabels {
                service: self.service.clone(),
                state: known,
            };
            let holds = i64::from(known == state);
            self.states.get_or_create(&labels).set(holds);
        }
    }
}
