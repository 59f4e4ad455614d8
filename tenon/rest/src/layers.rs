//! The layers of a route as the admin server shows them: in order, with their settings.

use std::time::Duration;

use serde::Serialize;
use tenon_core::config::{Guards, RateLimitBy};
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
    pub(crate) fn plain(name: impl Into<String>) -> Self {
        Self::new(name, "")
    }

    fn new(name: impl Into<String>, settings: impl Into<String>) -> Self {
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
    pub(crate) limits: &'a [std::sync::Arc<Limiter>],
    pub(crate) timeout: Duration,
    pub(crate) max_bytes: u64,
}

impl Around<'_> {
    /// The toolkit's own layers, outermost first: the order in which the onion calls them.
    pub(crate) fn layers(&self) -> Vec<Layer> {
        let mut layers: Vec<_> = ["trace", "access-log", "metrics", "recover"]
            .map(Layer::plain)
            .into();
        layers.extend(self.rate_limits(|by| by != RateLimitBy::Principal));
        let places = format!("at most {}", self.gate.places());
        layers.push(Layer::new("in-flight", places));
        let shedding = &self.config.shedding;
        if shedding.enabled {
            let class = self.gate.criticality();
            let settings = format!("{class}, CPU threshold {} permille", shedding.cpu_threshold);
            layers.push(Layer::new("shedding", settings));
        }
        let bytes = format!("at most {} bytes", self.max_bytes);
        layers.push(Layer::new("body-limit", bytes));
        if self.route.needs_token() {
            layers.push(Layer::plain("token"));
        }
        if let Some(permission) = self.route.rule() {
            layers.push(Layer::new("rules", permission));
        }
        layers.extend(self.rate_limits(|by| by == RateLimitBy::Principal));
        if self.config.breaker {
            layers.push(Layer::plain("breaker"));
        }
        layers.push(Layer::new("deadline", format!("{:?}", self.timeout)));
        layers
    }

    fn rate_limits(&self, which: impl Fn(RateLimitBy) -> bool) -> impl Iterator<Item = Layer> {
        let limits = self.limits.iter().filter(move |limit| which(limit.by()));
        limits.map(|limit| Layer::new("rate-limit", limit.to_string()))
    }
}

/// As rate limits name a route: `POST /api/v1/submission`.
pub(crate) fn name(route: &Route) -> String {
    format!("{} {}", route.method.as_str(), route.path)
}
