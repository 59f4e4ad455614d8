//! A channel as operators see it: what a call passes, in order and with its settings, and the
//! instances that are known now.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use tenon_core::{
    Layer,
    config::{BalancerConfig, ClientConfig, FailureCode, Plaintext},
};
use tenon_resilience::Retry;

use super::{Channel, pool::LIMIT_AT_FIRST};
use crate::{
    Method,
    balance::{State, ejection_settings},
    retry,
};

/// A client of this process.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientRow {
    /// Its name in the section `clients`.
    pub client: String,
    /// Where its instances are told.
    pub source: SourceRow,
    /// The instances that are known now.
    pub instances: Vec<InstanceRow>,
    /// What a call passes, outermost first, unless its method is one of `methods`.
    pub layers: Vec<Layer>,
    /// The methods of the contract that pass something else.
    pub methods: Vec<MethodLayers>,
}

/// A source of instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceRow {
    /// `static`, `dns`, `etcd` or `kubernetes`.
    pub kind: &'static str,
    /// Whether it answers now.
    pub connected: bool,
    /// What went wrong last, while it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Arc<str>>,
}

/// An instance.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceRow {
    /// `host:port`.
    pub address: Arc<str>,
    /// Its share of calls beside the others.
    pub weight: u32,
    /// Whether it takes calls: `in`; `starting` while it is spared; `out` while it is left out
    /// because its calls fail; `due` to be tried again.
    pub state: &'static str,
    /// `ready`, `connecting`, `waiting` for the next attempt, or `idle` before the first call.
    pub connection: &'static str,
    /// Why there is no connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Arc<str>>,
    /// Calls in flight.
    pub in_flight: u32,
    /// How many may be, where that is limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight_max: Option<usize>,
    /// How long its answers take, as the balancer estimates it; nothing before the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// The methods of which a breaker refuses some calls here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refusing: Vec<&'static str>,
}

/// A method that passes other layers than most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MethodLayers {
    /// The method on the wire, `/trial.TrialService/getTrial`.
    pub method: &'static str,
    /// What its calls pass, outermost first.
    pub layers: Vec<Layer>,
}

impl Channel {
    /// The channel as it is now.
    pub fn row(&self) -> ClientRow {
        let config = self.inner.config.load();
        let status = self.inner.pool.status();
        let layers = layers(&config, None);
        let other = |method: &&'static Method| {
            let own = self::layers(&config, Some(*method));
            (own != layers).then_some(MethodLayers {
                method: method.path(),
                layers: own,
            })
        };
        ClientRow {
            client: self.inner.name.clone(),
            source: SourceRow {
                kind: status.source,
                connected: status.connected,
                problem: status.problem.filter(|_| !status.connected),
            },
            instances: self.instances(&config),
            methods: self.contract().iter().filter_map(other).collect(),
            layers,
        }
    }

    fn instances(&self, config: &ClientConfig) -> Vec<InstanceRow> {
        let view = self.inner.pool.view().into_iter();
        let row = view.map(|view| {
            let reached = view.node.target();
            let (connection, problem) = reached.connection();
            InstanceRow {
                address: view.node.address().clone(),
                weight: view.weight,
                state: match view.state {
                    State::In if view.is_starting => "starting",
                    State::In => "in",
                    State::Out => "out",
                    State::Due => "due",
                },
                connection,
                problem,
                in_flight: view.in_flight,
                in_flight_max: config.adaptive_limit.then(|| reached.places()),
                latency_ms: view.latency.map(milliseconds),
                refusing: match config.breaker {
                    true => reached.refusing(),
                    false => Vec::new(),
                },
            }
        });
        row.collect()
    }
}

/// What calls pass, in the order in which they do; of most methods, or of one.
fn layers(config: &ClientConfig, method: Option<&Method>) -> Vec<Layer> {
    let mut layers = vec![
        Layer::plain("trace"),
        Layer::plain("metrics"),
        Layer::new("deadline", deadline(config, method)),
        Layer::plain("recover"),
        Layer::new("retry", repeats(config, method)),
        Layer::new("balance", balance(config.balancer)),
        Layer::new("ejection", ejection_settings()),
    ];
    if config.breaker {
        let failures = FailureCode::list(&config.failures);
        let settings = format!("by method and instance; failures: {failures}");
        layers.push(Layer::new("breaker", settings));
    }
    if config.adaptive_limit {
        let settings = format!("by instance, at first {LIMIT_AT_FIRST}");
        layers.push(Layer::new("adaptive-limit", settings));
    }
    layers.push(Layer::new("connection", connection(config)));
    layers
}

/// The caller's own deadline is sooner or counts alone.
fn deadline(config: &ClientConfig, method: Option<&Method>) -> String {
    let own = method.and_then(|method| config.timeouts.0.get(method.name()));
    match own {
        Some(time) => format!("{time:?}, also of a whole stream"),
        None => format!("{:?}; a stream has the time of its caller", config.timeout),
    }
}

fn repeats(config: &ClientConfig, method: Option<&Method>) -> String {
    let config = &config.retry;
    if config.attempts < 2 {
        return "never".to_owned();
    }
    if method.is_some_and(|method| !method.is_idempotent()) {
        return "never: its contract does not say that it may be made again".to_owned();
    }
    if method.is_some_and(|method| !retry::is_wanted(config, method)) {
        return "never: it is not in retry.methods".to_owned();
    }
    let (attempts, budget) = (config.attempts, config.budget);
    format!(
        "{attempts} attempts, the first pause up to {:?}, repeats within {} per cent of all calls \
         and {} a second",
        Retry::DEFAULT.base,
        budget.percent,
        budget.per_second
    )
}

fn balance(policy: BalancerConfig) -> &'static str {
    match policy {
        BalancerConfig::P2c => "p2c: of two drawn by weight the one that would answer sooner",
        BalancerConfig::ConsistentHash => "consistentHash: by the key of the call",
    }
}

fn connection(config: &ClientConfig) -> &'static str {
    match (&config.tls, config.plaintext) {
        (Some(tls), _) if tls.cert_file.is_some() => "TLS, with a certificate of its own",
        (Some(_), _) => "TLS",
        (None, Plaintext::Loopback) => "plaintext, on this machine only",
        (None, Plaintext::Allowed) => "plaintext, on any network",
    }
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1000.0
}
