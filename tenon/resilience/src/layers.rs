//! The guards of a route or method as the admin server shows them: in order, with their settings.

use std::sync::Arc;

use tenon_core::{
    Layer,
    config::{FailureCode, Guards, RateLimitBy},
};

use crate::{Gate, Limiter};

/// Those that look at nothing but the head of a request, outermost first.
pub fn before_token(config: &Guards, gate: &Gate, limits: &[Arc<Limiter>]) -> Vec<Layer> {
    let mut layers: Vec<_> = rate_limits(limits, |by| by != RateLimitBy::Principal).collect();
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

/// Those between the token and the work.
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
