//! The routes as operators see them: the layers in their order, with their settings.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tenon_core::config::Guards;
use tenon_resilience::{Gate, Limiter};
use tenon_rest::{Layer, layers};

use crate::{
    SERVICE,
    forward::{Forward, HeaderRules},
    transcode::call::Call,
};

/// A route that is forwarded.
pub(super) fn forward(forward: &Forward, guarded: &Guarded<'_>) -> Value {
    let (instances, ejected) = forward.targets.count();
    let mut layers = guarded.layers();
    layers.push(layer("deadline", shown(forward.timeout)));
    layers.extend(header_rules(
        &forward.request_rules,
        &forward.response_rules,
    ));
    layers.push(layer(
        "balance",
        format!("the less busy of two; {instances} known, {ejected} ejected; another one when nothing was sent"),
    ));
    let rewrite = forward.rewrite.as_ref();
    let rewrite = rewrite.map_or(String::new(), |rewrite| {
        format!("rewritten to {rewrite}/*; ")
    });
    let websocket = if forward.websocket {
        ""
    } else {
        "; no websockets"
    };
    let pause = shown(forward.idle_timeout);
    layers.push(layer(
        "forward",
        format!("{rewrite}may pause {pause}{websocket}"),
    ));
    json!({
        "service": SERVICE,
        "upstream": forward.upstream,
        "method": forward.verbs(),
        "path": forward.template,
        "timeoutMs": milliseconds(forward.timeout),
        "criticality": guarded.criticality(),
        "layers": layers,
    })
}

/// A method that is called.
pub(super) fn call(call: &Call, guarded: &Guarded<'_>) -> Value {
    let (way, rule) = (&call.way, call.binding.rule());
    let timeout = call.time();
    let mut layers = guarded.layers();
    let deadline = timeout.map_or("the caller's".to_owned(), shown);
    layers.push(layer("deadline", deadline));
    let (request, response) = (&way.request_rules, &way.response_rules);
    layers.extend(header_rules(
        std::slice::from_ref(request),
        std::slice::from_ref(response),
    ));
    let body_limit = layers::body_limit(way.max_bytes, guarded.config.sizes.json_depth);
    layers.push(layer(&body_limit.name, body_limit.settings));
    let body = match rule.body.as_str() {
        "" => "no body".to_owned(),
        field if call.takes_stream() => format!("body {field} of each line"),
        field => format!("body {field}"),
    };
    let reply = match rule.response_body.as_str() {
        "" => String::new(),
        field => format!(", answers {field}"),
    };
    let unknown = if way.mapping.ignore_unknown {
        "passed over"
    } else {
        "refused"
    };
    let stream = if call.is_stream() {
        format!(", a stream that may pause {}", shown(way.idle_timeout))
    } else {
        String::new()
    };
    let settings = format!("{body}{reply}, unknown fields {unknown}{stream}");
    layers.push(layer("transcode", settings));
    json!({
        "service": SERVICE,
        "upstream": way.upstream,
        "method": call.verb(),
        "path": rule.path,
        "handler": call.method.path(),
        "timeoutMs": timeout.map(milliseconds),
        "maxBytes": way.max_bytes,
        "criticality": guarded.criticality(),
        "layers": layers,
    })
}

/// What every request of a route passes first.
pub(super) struct Guarded<'a> {
    pub(super) config: &'a Guards,
    pub(super) gate: &'a Gate,
    pub(super) limits: &'a [Arc<Limiter>],
}

impl Guarded<'_> {
    fn layers(&self) -> Vec<Value> {
        let outer = layers::before_reading(self.config, self.gate, self.limits);
        let inner = layers::after_token(self.config, self.limits);
        let token = Layer::plain("guard");
        let all = outer.into_iter().chain([token]).chain(inner);
        all.map(|one| layer(&one.name, one.settings)).collect()
    }

    fn criticality(&self) -> &'static str {
        self.gate.criticality().as_str()
    }
}

fn header_rules(request: &[HeaderRules], response: &[HeaderRules]) -> Option<Value> {
    let told = |side: &str, rules: &[HeaderRules]| {
        let all: Vec<String> = rules.iter().map(HeaderRules::shown).collect();
        let all: Vec<String> = all.into_iter().filter(|text| !text.is_empty()).collect();
        (!all.is_empty()).then(|| format!("{side}: {}", all.join(", ")))
    };
    let sides = [told("request", request), told("response", response)];
    let sides: Vec<String> = sides.into_iter().flatten().collect();
    (!sides.is_empty()).then(|| layer("headers", sides.join("; ")))
}

/// As the table of a REST door has it.
fn layer(name: &str, settings: String) -> Value {
    match settings.as_str() {
        "" => json!({"name": name}),
        settings => json!({"name": name, "settings": settings}),
    }
}

fn shown(time: Duration) -> String {
    format!("{time:?}")
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
