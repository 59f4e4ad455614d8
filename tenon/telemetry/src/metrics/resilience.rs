//! The metrics of what guards a door: what was refused and why, and how shut the breakers are.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{counter::Counter, family::Family, gauge::ConstGauge},
    registry::Registry,
};

/// Why a request was refused: what the limit `rate-...` or the gate of a route says.
pub const REFUSALS: [&str; 8] = [
    "in-flight",
    "wait",
    "cpu",
    "slow",
    "breaker",
    "rate-principal",
    "rate-address",
    "rate-route",
];

/// A route or method, as the metrics of a door name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct GuardLabels {
    /// `rest` or `rpc`.
    pub door: &'static str,
    /// The service.
    pub service: String,
    /// The method and template of a route, or the method of a gRPC service.
    pub route: String,
    /// `critical`, `normal` or `sheddable`.
    pub criticality: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RefusalLabels {
    door: &'static str,
    service: String,
    route: String,
    criticality: &'static str,
    reason: &'static str,
}

/// The handles of one route. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Guarded {
    refused: Arc<[Counter; REFUSALS.len()]>,
}

impl Guarded {
    /// A request was refused, for one of [`REFUSALS`].
    pub fn refused(&self, reason: &str) {
        if let Some(index) = REFUSALS.iter().position(|known| *known == reason) {
            self.refused[index].inc();
        }
    }
}

type Read = Box<dyn Fn() -> f64 + Send + Sync>;

/// What is asked when the metrics are read.
#[derive(Default)]
struct Watched {
    breakers: Vec<(GuardLabels, Read)>,
    cpu: Option<Read>,
    shared: Vec<(String, Read)>,
}

/// The families of this module.
#[derive(Clone, Default)]
pub(super) struct Resilience {
    refused: Family<RefusalLabels, Counter>,
    watched: Arc<Mutex<Watched>>,
}

impl Resilience {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "resilience_refused_requests",
            "Requests that were refused before work was spent on them, by route and reason",
            self.refused.clone(),
        );
        registry.register_collector(Box::new(self.clone()));
    }

    pub(super) fn guarded(&self, labels: &GuardLabels) -> Guarded {
        let refused = REFUSALS.map(|reason| {
            self.refused.get_or_create_owned(&RefusalLabels {
                door: labels.door,
                service: labels.service.clone(),
                route: labels.route.clone(),
                criticality: labels.criticality,
                reason,
            })
        });
        Guarded {
            refused: Arc::new(refused),
        }
    }

    pub(super) fn watch(&self, change: impl FnOnce(&mut Vec<(GuardLabels, Read)>)) {
        change(&mut self.lock().breakers);
    }

    pub(super) fn watch_cpu(&self, read: Read) {
        self.lock().cpu.get_or_insert(read);
    }

    pub(super) fn watch_shared(&self, service: &str, read: Read) {
        let shared = &mut self.lock().shared;
        shared.retain(|(known, _)| known != service);
        shared.push((service.to_owned(), read));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Resilience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resilience").finish_non_exhaustive()
    }
}

impl Collector for Resilience {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let watched = self.lock();
        if !watched.breakers.is_empty() {
            let gauge = ConstGauge::new(0.0);
            let help = "The share of requests that the breaker of a route refuses, 0 to 1";
            let mut family = encoder.encode_descriptor(
                "resilience_breaker_refusing_ratio",
                help,
                None,
                gauge.metric_type(),
            )?;
            for (labels, read) in &watched.breakers {
                ConstGauge::new(read()).encode(family.encode_family(labels)?)?;
            }
        }
        if let Some(read) = &watched.cpu {
            let gauge = ConstGauge::new(read());
            let help = "The share of the CPU in use that shedding goes by, smoothed, 0 to 1";
            let kind = gauge.metric_type();
            gauge.encode(encoder.encode_descriptor("resilience_cpu_ratio", help, None, kind)?)?;
        }
        if !watched.shared.is_empty() {
            let gauge = ConstGauge::new(0.0);
            let help = "Whether the store answers in which instances count rate limits together";
            let mut family = encoder.encode_descriptor(
                "resilience_shared_limits_up",
                help,
                None,
                gauge.metric_type(),
            )?;
            for (service, read) in &watched.shared {
                let labels = [("service", service.as_str())];
                ConstGauge::new(read()).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
