//! The layers of a route as the admin server shows them: in order, with their settings.

use std::{sync::Arc, time::Duration};

pub use tenon_core::Layer;
use tenon_core::config::Guards;
pub use tenon_resilience::layers::after_token;
use tenon_resilience::{Gate, Limiter, layers::before_token};

use crate::Route;

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
    layers.extend(before_token(config, gate, limits));
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

/// As rate limits name a route: `POST /api/v1/submission`.
pub(crate) fn name(route: &Route) -> String {
    format!("{} {}", route.method.as_str(), route.path)
}
