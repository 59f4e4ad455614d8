//! The layers of a route as the admin server shows them: in order, with their settings.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use tenon_core::config::{FailureCode, Guards, RateLimitBy};
use tenon_resilience::{Gate, Limiter};

use crate::Route;

/// One layer of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    /// The layer.
    pub name: String,
    /// Its settings, where it has any.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub settings: String,
}

impl Layer {
    /// A layer without settings.
    pub fn plain(name: impl Into<String>) -> Self {
        Self::new(name, "")
    }

    /// A layer with its settings.
    pub fn new(name: impl Into<String>, settings: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            settings: settings.into(),
        }
    }
}

/// What a route is surrounded by.
pub(crate) struct Around<'a> {
    pub(crate) route: &'a Route,
    pub(crate) config: &'a Guards,
    pub(crate) gate: &'a Gate,
    pub(crate) limits: &'a [Arc<Limiter>],
    pub(crate) timeout: Duration,
    pub(crate) max_bytes: u64,
}

impl Around<'_> {
    /// The toolkit's own layers, outermost first: the order in which the onion calls them.
    pub(crate) fn layers(&self) -> Vec<Layer> {
        let Self {
            config,
            gate,
            limits,
            ..
        } = *self;
        let mut layers = before_reading(config, gate, limits);
        layers.push(body_limit(self.max_bytes, config.sizes.json_depth));
        if self.route.needs_token() {
            layers.push(Layer::plain("token"));
        }
        if let Some(permission) = self.route.rule() {
            layers.push(Layer::new("rules", permission));
        }
        layers.extend(after_token(config, limits));
        layers.push(Layer::new("deadline", format!("{:?}", self.timeout)));
        layers
    }
}

/// The layers of a guarded route that look at nothing but the head of a request, outermost first.
pub fn before_reading(config: &Guards, gate: &Gate, limits: &[Arc<Limiter>]) -> Vec<Layer> {
    let outermost = ["trace", "access-log", "metrics", "recover"];
    let mut layers = vec![head_limit(config)];
    layers.extend(outermost.map(Layer::plain));
    layers.extend(rate_limits(limits, |by| by != RateLimitBy::Principal));
    let places = format!("at most {}", gate.places());
    layers.push(Layer::new("in-flight", places));
    let shedding = &config.shedding;
    if shedding.enabled {
        let class = gate.criticality();
        let settings = format!("{class}, CPU threshold {} permille", shedding.cpu_threshold);
        layers.push(Layer::new("shedding", settings));
    }
    layers
}

/// What the connection asks of a head before any route sees it.
fn head_limit(config: &Guards) -> Layer {
    let sizes = &config.sizes;
    let (head, uri) = (sizes.head_bytes, sizes.uri_bytes);
    let settings = format!("at most {head} bytes, of them {uri} of path and query");
    Layer::new("head-limit", settings)
}

/// What is asked of a body that is read whole.
pub fn body_limit(max_bytes: u64, json_depth: usize) -> Layer {
    let settings = format!("at most {max_bytes} bytes, JSON of at most {json_depth} levels");
    Layer::new("body-limit", settings)
}

/// The layers of a guarded route between the token and the deadline.
pub fn after_token(config: &Guards, limits: &[Arc<Limiter>]) -> Vec<Layer> {
    let mut layers: Vec<_> = rate_limits(limits, |by| by == RateLimitBy::Principal).collect();
    if config.breaker {
        let failures = FailureCode::list(&config.failures);
        layers.push(Layer::new("breaker", format!("failures: {failures}")));
    }
    layers
}

fn rate_limits(
    limits: &[Arc<Limiter>],
    which: impl Fn(RateLimitBy) -> bool,
) -> impl Iterator<Item = Layer> {
    let limits = limits.iter().filter(move |limit| which(limit.by()));
    limits.map(|limit| Layer::new("rate-limit", limit.to_string()))
}

/// As rate limits name a route: `POST /api/v1/submission`.
pub(crate) fn name(route: &Route) -> String {
    format!("{} {}", route.method.as_str(), route.path)
}
