//! The methods of a door as the admin server shows them.

use std::{sync::Arc, time::Duration};

use tenon_core::{Layer, config::Guards};
use tenon_resilience::layers;

use super::{Door, Inner, Route};

/// A method in the table of routes.
#[derive(Debug, Clone)]
pub struct MethodRow {
    /// `/package.Service/method`.
    pub path: &'static str,
    /// `critical`, `normal` or `sheddable`.
    pub criticality: &'static str,
    /// Whether it may be called again.
    pub idempotent: bool,
    /// Messages stream one way at least.
    pub streams: bool,
    /// How long a call may take; `None` has no end of its own.
    pub timeout: Option<Duration>,
    /// Whether anything may refuse it: health and reflection are never refused.
    pub is_guarded: bool,
    /// The largest message.
    pub max_bytes: u64,
    /// What its calls pass, outermost first.
    pub layers: Vec<Layer>,
}

impl Door {
    /// The methods, in the order of their names, for the table of routes.
    pub fn table(&self) -> Vec<MethodRow> {
        let config = self.inner.guards.config();
        let row = |route: &Arc<Route>| self.inner.row(route, &config);
        let mut rows: Vec<_> = self.inner.routes.values().map(row).collect();
        rows.sort_unstable_by_key(|row| row.path);
        rows
    }
}

impl Inner {
    fn row(&self, route: &Route, config: &Guards) -> MethodRow {
        let timeout = self.longest(route);
        MethodRow {
            path: route.method.path(),
            criticality: route.method.class().as_str(),
            idempotent: route.method.is_idempotent(),
            streams: route.streams,
            timeout,
            is_guarded: route.guard.is_some(),
            max_bytes: self.max_bytes,
            layers: self.layers(route, config, timeout),
        }
    }

    /// In the order in which a call passes them.
    fn layers(&self, route: &Route, config: &Guards, timeout: Option<Duration>) -> Vec<Layer> {
        let head = format!("at most {} bytes", config.sizes.head_bytes);
        let mut layers = vec![Layer::new("head-limit", head)];
        layers.extend(["trace", "access-log", "metrics"].map(Layer::plain));
        let deadline = match timeout {
            Some(timeout) => format!("{timeout:?}, or what its caller gives it"),
            None => "what its caller gives it".to_owned(),
        };
        layers.push(Layer::new("deadline", deadline));
        let guard = route.guard.as_ref().map(|guard| (guard, guard.limits()));
        if let Some((guard, limits)) = &guard {
            layers.extend(layers::before_token(config, guard.gate(), limits));
        }
        if self.verifier.is_some() {
            let settings = "checked where there is one; without one there is no caller";
            layers.push(Layer::new("token", settings));
        }
        layers.push(Layer::plain("recover"));
        if let Some((_, limits)) = &guard {
            layers.extend(layers::after_token(config, limits));
        }
        let message = format!("at most {} bytes each", self.max_bytes);
        layers.push(Layer::new("message-limit", message));
        layers
    }
}
