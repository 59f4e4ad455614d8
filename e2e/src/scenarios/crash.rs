//! Processes that are killed in the middle of their work.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use serde_json::Value;

use crate::{cast::Actor, http::text, phq9, run::Outcome, world::World};

const PATH: &str = "/api/v1/epro/response";

/// How often the process is killed, how many clients submit meanwhile, and how many responses
/// each of them has.
const ROUNDS: usize = 3;
const CLIENTS: usize = 100;
const EACH: usize = 3;

/// What a client was told of its submissions: the receipt, or nothing.
type Told = BTreeMap<String, (Value, Option<Value>)>;

pub(super) async fn r_01_what_was_acknowledged_before_a_kill_is_there_exactly_once(
    world: &World,
) -> Outcome {
    world.cast().await;
    let process = world.process_of("epro");
    let (mut all, mut recovery) = (Told::new(), Duration::ZERO);
    for round in 1..=ROUNDS {
        // In the middle, each time at another place.
        let told = submit_and_kill(world, process, CLIENTS * EACH * round / (ROUNDS + 2)).await;
        if world.is_split() {
            others_serve(world).await;
        }
        let began = Instant::now();
        world.launch(process).await;
        recovery = recovery.max(began.elapsed());
        all.extend(told);
    }
    let acknowledged = all
        .values()
        .filter(|(_, receipt)| receipt.is_some())
        .count();
    assert!(
        acknowledged > ROUNDS * 20,
        "{acknowledged} of {} is not the middle",
        all.len()
    );
    assert!(
        acknowledged < all.len(),
        "all were acknowledged before the kill"
    );
    let applied = settle(world, &all).await;
    world.audited().await;
    Outcome::Measured(format!(
        "{} submissions, {ROUNDS} kills: {acknowledged} acknowledged, 0 lost, 0 doubled, 0 changed; \
         {applied} stored without having been told; ready again within {recovery:.1?}",
        all.len()
    ))
}

/// Lets a hundred clients submit and kills the process when some have been answered.
async fn submit_and_kill(world: &World, process: &'static str, kill_at: usize) -> Told {
    let cast = world.cast().await;
    let (own, token) = (cast.own(), cast.token(Actor::Patient));
    let told = Mutex::new(Told::new());
    let answered = AtomicUsize::new(0);
    let is_dead = Mutex::new(false);
    let clients = (0..CLIENTS).map(|_| async {
        for _ in 0..EACH {
            let response = phq9::response(&own.id, phq9::MODERATE);
            let call = world.call("POST", PATH).token(token).json(&response);
            let answer = call.try_send().await;
            let receipt = match answer {
                Ok(answer) if answer.status == 201 => Some(answer.json),
                // What the gateway says of a service that broke off or is gone.
                Ok(answer) => {
                    assert!([502, 503].contains(&answer.status), "{answer}");
                    None
                }
                Err(_) => None,
            };
            let is_taken = receipt.is_some();
            told.lock()
                .unwrap()
                .insert(text(&response, "id"), (response, receipt));
            if is_taken && answered.fetch_add(1, Ordering::Relaxed) + 1 == kill_at {
                world.kill(process);
                *is_dead.lock().unwrap() = true;
            }
            if *is_dead.lock().unwrap() {
                return;
            }
        }
    });
    join_all(clients).await;
    assert!(*is_dead.lock().unwrap(), "{kill_at} were never answered");
    told.into_inner().unwrap()
}

/// While epro is dead, its routes say so and the others answer.
async fn others_serve(world: &World) {
    let cast = world.cast().await;
    let token = cast.token(Actor::Coordinator);
    let answer = world.get(token, PATH).await;
    assert_eq!(answer.problem(), (503, "UNAVAILABLE"), "{answer}");
    world.get(token, "/api/v1/patient").await.expect(200);
    world.get(token, "/api/v1/identity/me").await.expect(200);
}

/// Everything that was acknowledged is there once and unchanged; everything that was not can be
/// sent again, and then is there once as well. Returns how many were stored without a receipt.
async fn settle(world: &World, all: &Told) -> usize {
    let cast = world.cast().await;
    let token = cast.token(Actor::Patient);
    let mut listed: BTreeMap<String, usize> = BTreeMap::new();
    for id in list(world, token).await {
        *listed.entry(id).or_default() += 1;
    }
    let recorded = recorded(world).await;
    let mut untold = 0;
    for (id, (response, receipt)) in all {
        let count = listed.get(id).copied().unwrap_or_default();
        assert!(count <= 1, "{id} is there {count} times");
        let records = recorded.get(id).copied().unwrap_or_default();
        assert_eq!(
            records, count,
            "{id} is told of in the trail {records} times"
        );
        let again = world.post(token, PATH, response).await;
        match receipt {
            Some(receipt) => {
                assert_eq!(count, 1, "{id} was acknowledged and is lost");
                assert_eq!((again.status, &again.json), (200, receipt), "{id}");
            }
            None => {
                assert_eq!(
                    again.status,
                    if count == 1 { 200 } else { 201 },
                    "{id}: {again}"
                );
                untold += count;
            }
        }
        let read = world.get(token, format!("{PATH}/{id}")).await.expect(200);
        assert_eq!(read["resource"], *response, "{id}");
    }
    untold
}

/// How often the trail tells of the submission of each response.
async fn recorded(world: &World) -> BTreeMap<String, usize> {
    let study = &world.cast().await.own().place.study;
    let mut counts = BTreeMap::new();
    for stored in world.epro_trail(study).await {
        if stored.record.action == "response.submit" {
            *counts.entry(stored.record.entity_id).or_default() += 1;
        }
    }
    counts
}

/// The ids of all responses of a caller, page by page.
pub(super) async fn list(world: &World, token: &str) -> Vec<String> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world
            .get(token, format!("{PATH}?limit=200&cursor={cursor}"))
            .await
            .expect(200);
        ids.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| text(item, "id")),
        );
        match page["nextCursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return ids,
        }
    }
}
