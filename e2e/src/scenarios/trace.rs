//! One trace from the client through every service on the way.

use std::time::Duration;

use tenon::TraceContext;
use uuid::Uuid;

use crate::{cast::Actor, phq9, run::Outcome, world::World};

/// How long a line may take from the answer to the file.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers carry the client's trace id, and so does the access log of every service on the way.
pub(super) async fn the_clients_trace_id_is_in_every_log_on_the_way(world: &World) -> Outcome {
    let cast = world.cast().await;
    let trace_id = Uuid::new_v4().simple().to_string();
    let parent = format!("00-{trace_id}-00f067aa0ba902b7-01");
    let submit = |points| {
        let response = phq9::response(&cast.own().id, points);
        let call = world
            .call("POST", "/api/v1/epro/response")
            .token(cast.token(Actor::Patient));
        call.header("traceparent", &parent).json(&response).send()
    };
    let answer = submit(phq9::MILD).await;
    assert_eq!(
        (answer.status, answer.header("x-trace-id")),
        (201, trace_id.as_str())
    );
    let parsed = TraceContext::parse(answer.header("traceparent")).unwrap();
    assert_eq!(parsed.trace_id(), trace_id);
    let on_the_way: &[_] = match world.is_split() {
        true => &["gateway", "epro", "patient"],
        false => &["up"],
    };
    for process in on_the_way {
        let has_trace = || {
            let log = std::fs::read_to_string(world.logged(process)).unwrap();
            log.lines().any(|line| line.contains(&trace_id))
        };
        // Lines are written a moment after the answer.
        let found = async {
            while !has_trace() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        assert!(found.is_ok(), "{process} does not log the trace");
    }
    // Without one, each request begins a trace of its own.
    let path = "/api/v1/patient";
    let first = world.get(cast.token(Actor::Patient), path).await;
    let second = world.get(cast.token(Actor::Patient), path).await;
    assert_ne!(first.header("x-trace-id"), second.header("x-trace-id"));
    Outcome::Passed
}
