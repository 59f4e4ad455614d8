//! Services that are down or stand still, with the others beside them.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{cast::Actor, http::Answer, phq9, run::Outcome, world::World};

const PATH: &str = "/api/v1/epro/response";

/// How long a service that came back may stay unseen by those who call it.
const RECOVERY: Duration = Duration::from_secs(10);

const ALONE: &str = "one process has no neighbours that fail alone";

pub(super) async fn a_neighbour_that_is_down_is_told_and_nothing_is_stored(
    world: &World,
) -> Outcome {
    if !world.is_split() {
        return Outcome::Skipped(ALONE.to_owned());
    }
    let cast = world.cast().await;
    let (own, token) = (cast.own(), cast.token(Actor::Patient));
    let response = phq9::response(&own.id, phq9::MILD);
    let before = world.audited().await["epro"];
    world.stop("patient").await;
    let began = Instant::now();
    for _ in 0..3 {
        let answer = world.post(token, PATH, &response).await;
        assert_eq!(answer.problem(), (503, "UNAVAILABLE"), "{answer}");
    }
    let told = began.elapsed() / 3;
    let answer = world
        .get(cast.token(Actor::Coordinator), "/api/v1/patient")
        .await;
    assert_eq!(answer.problem(), (503, "UNAVAILABLE"), "{answer}");
    let progress = format!("/api/v1/trial/{}/progress", own.place.study);
    let answer = world
        .get(cast.token(Actor::Coordinator), progress.clone())
        .await;
    assert_eq!(answer.problem(), (503, "UNAVAILABLE"), "{answer}");
    let answer = world
        .call("GET", progress)
        .at(world.ports().rest("progress"))
        .send()
        .await;
    assert_eq!(answer.status, 503, "{answer}");
    assert_eq!(world.audited().await["epro"], before);

    world.launch("patient").await;
    let recovered = until_taken(world, token, &response).await;
    let list = world
        .get(
            cast.token(Actor::Coordinator),
            format!("{PATH}/{}", text(&response)),
        )
        .await;
    assert_eq!(list.status, 200);
    assert_eq!(world.audited().await["epro"], before + 1);
    Outcome::Measured(format!(
        "told after {told:.1?}, recovered {recovered:.1?} after the start"
    ))
}

pub(super) async fn a_neighbour_that_stands_still_is_answered_for_by_the_deadline(
    world: &World,
) -> Outcome {
    if !world.is_split() {
        return Outcome::Skipped(ALONE.to_owned());
    }
    let cast = world.cast().await;
    let (own, token) = (cast.own(), cast.token(Actor::Patient));
    let response = phq9::response(&own.id, phq9::MILD);
    let before = world.audited().await["epro"];
    world.pause("patient");
    // The caller's own deadline, when it is shorter than the route's.
    let began = Instant::now();
    let call = world
        .call("POST", PATH)
        .token(token)
        .header("x-request-timeout-ms", "400");
    let answer = call.json(&response).send().await;
    let hurried = began.elapsed();
    assert_eq!(answer.problem(), (504, "DEADLINE_EXCEEDED"), "{answer}");
    assert!(hurried < Duration::from_secs(1), "{hurried:?}");
    let began = Instant::now();
    let answer = world.post(token, PATH, &response).await;
    let patient = began.elapsed();
    assert_eq!(answer.problem(), (504, "DEADLINE_EXCEEDED"), "{answer}");
    assert!(patient < Duration::from_millis(3300), "{patient:?}");
    // Whoever needs no standing subject is served meanwhile.
    let began = Instant::now();
    world.get(token, PATH).await.expect(200);
    let unaffected = began.elapsed();
    assert!(unaffected < Duration::from_secs(1), "{unaffected:?}");
    assert_eq!(world.audited().await["epro"], before);
    world.resume("patient");
    let recovered = until_taken(world, token, &response).await;
    Outcome::Measured(format!(
        "deadline of 400 ms answered after {hurried:.1?}, the route's after {patient:.1?}, \
         recovered after {recovered:.1?}"
    ))
}

/// Submits until it is taken. Nothing but a failure that passes may come before.
async fn until_taken(world: &World, token: &str, response: &serde_json::Value) -> Duration {
    let began = Instant::now();
    loop {
        let answer = world.post(token, PATH, response).await;
        match answer.status {
            201 => return began.elapsed(),
            503 | 504 => {}
            _ => panic!("{answer}"),
        }
        assert!(began.elapsed() < RECOVERY, "{answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn text(response: &serde_json::Value) -> String {
    crate::http::text(response, "id")
}

/// With each service dead in turn: its own routes say so, and those that do not need it answer.
pub(super) async fn what_does_not_need_a_dead_service_goes_on(world: &World) -> Outcome {
    if !world.is_split() {
        return Outcome::Skipped(ALONE.to_owned());
    }
    let cast = world.cast().await;
    let token = cast.token(Actor::Coordinator);
    let study = format!("/api/v1/trial/{}", cast.own().place.study);
    let routes = [
        ("identity", "/api/v1/identity/me"),
        ("trial", study.as_str()),
        ("patient", "/api/v1/patient"),
        ("epro", PATH),
    ];
    for (dead, _) in routes {
        world.kill(dead);
        for (service, path) in routes {
            let answer: Answer = world.get(token, path).await;
            if service == dead {
                assert_eq!(answer.problem(), (503, "UNAVAILABLE"), "{dead}: {answer}");
            } else {
                assert_eq!(answer.status, 200, "{service} without {dead}: {answer}");
            }
        }
        // Tokens are verified without identity, so submissions go on as well.
        if dead == "identity" {
            let response = phq9::response(&cast.own().id, phq9::MILD);
            world.post(token, PATH, &response).await.expect(201);
            let login = world.call("POST", "/api/v1/identity/login");
            let answer = login
                .json(&json!({"username": "x", "password": "y"}))
                .send()
                .await;
            assert_eq!(answer.problem(), (503, "UNAVAILABLE"), "{answer}");
        }
        world.launch(dead).await;
    }
    for (_, path) in routes {
        world.get(token, path).await.expect(200);
    }
    Outcome::Passed
}
