//! Dead neighbours, passed deadlines, a full queue, a full disk: a clear answer, and nothing kept.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use http::Request;
use serde_json::Value;
use tenon::{Context, rest::axum::body::Body};

use crate::house::{Answer, Health, House, MILD, phq9, send};

async fn nothing_is_kept(house: &House) {
    assert_eq!(house.responses().await, 0);
    assert_eq!(house.count("SELECT count(*) FROM score").await, 0);
    assert_eq!(house.trail("T1").await.len(), 0);
}

#[tokio::test]
async fn a_dead_neighbour_is_told_and_nothing_is_stored() {
    let house = House::furnished().await;
    house.neighbours.become_(Health::Dead);
    let (coordinator, response) = (house.coordinator(), phq9("P1", MILD));
    let answer = house.submit(&coordinator, &response).await;
    assert_eq!(answer.problem(), (503, "UNAVAILABLE"));
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    nothing_is_kept(&house).await;
    // The same response is taken once the neighbour is back.
    house.neighbours.become_(Health::Well);
    assert_eq!(house.submit(&coordinator, &response).await.status, 201);
}

#[tokio::test]
async fn a_neighbour_that_does_not_answer_ends_with_the_deadline() {
    let house = House::furnished().await;
    house.neighbours.become_(Health::Hanging);
    let request = Request::post("/api/v1/epro/response")
        .header("authorization", format!("Bearer {}", house.coordinator()))
        .header("content-type", "application/fhir+json")
        .header("x-request-timeout-ms", "50")
        .body(Body::from(phq9("P1", MILD).to_string()))
        .unwrap();
    let answer = house.send(request).await;
    assert_eq!(answer.problem(), (504, "DEADLINE_EXCEEDED"));
    nothing_is_kept(&house).await;
}

#[tokio::test]
async fn a_caller_that_leaves_stores_nothing() {
    let house = House::furnished().await;
    house.neighbours.become_(Health::Hanging);
    let (coordinator, response) = (house.coordinator(), phq9("P1", MILD));
    let left = tokio::time::timeout(
        Duration::from_millis(50),
        house.submit(&coordinator, &response),
    );
    assert!(left.await.is_err());
    house.neighbours.become_(Health::Well);
    nothing_is_kept(&house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_queue_refuses_at_once_and_stores_nothing() {
    let house = Arc::new(House::with(|_, options| options.queue_max = 1).await);
    house.furnish().await;
    let (began, begun) = mpsc::channel();
    let (open, gate) = mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let db = house.db.clone();
    // The writer stands still, and one write waits behind it: the queue is full.
    let blocking = tokio::spawn(async move {
        db.write(&Context::background(), async move |_| {
            let _ = began.send(());
            let _ = gate.lock().unwrap().recv();
            Ok(())
        })
        .await
    });
    tokio::task::spawn_blocking(move || begun.recv())
        .await
        .unwrap()
        .unwrap();
    let db = house.db.clone();
    let waiting =
        tokio::spawn(async move { db.write(&Context::background(), async |_| Ok(())).await });
    while house.db.stats().waiting == 0 {
        tokio::task::yield_now().await;
    }
    let (coordinator, response) = (house.coordinator(), phq9("P1", MILD));
    let answer = house.submit(&coordinator, &response).await;
    assert_eq!(answer.problem(), (503, "OVERLOADED"));
    open.send(()).unwrap();
    blocking.await.unwrap().unwrap();
    waiting.await.unwrap().unwrap();
    nothing_is_kept(&house).await;
    assert_eq!(house.submit(&coordinator, &response).await.status, 201);
}

/// With no room left a submission is refused; what was acknowledged before is all there, and
/// the trail is whole.
#[tokio::test]
async fn a_full_disk_refuses_and_loses_nothing() {
    let house = House::with(|_, options| options.max_bytes = Some(600_000)).await;
    house.furnish().await;
    let coordinator = house.coordinator();
    let mut kept = Vec::new();
    let refused: Answer = loop {
        let response = phq9("P1", MILD);
        let answer = house.submit(&coordinator, &response).await;
        match answer.status {
            201 => kept.push(response),
            _ => break answer,
        }
        assert!(kept.len() < 10_000, "the quota is never met");
    };
    assert_eq!(refused.problem(), (507, "STORE_FULL"));
    assert!(!kept.is_empty());
    assert_eq!(house.responses().await, i64::try_from(kept.len()).unwrap());
    assert_eq!(
        house.trail("T1").await.len().min(1000),
        kept.len().min(1000)
    );
    assert!(house.db.verify_audit().await.unwrap().is_sound());
    let last: &Value = kept.last().unwrap();
    assert_eq!(house.submit(&coordinator, last).await.status, 200);
}

/// Two hundred submissions while others leave: every acknowledged one is there exactly once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_that_leave_hurt_nobody_else() {
    let house = Arc::new(House::furnished().await);
    let coordinator = house.coordinator();
    let mut posts = tokio::task::JoinSet::new();
    for number in 0..200_u64 {
        let (router, coordinator) = (house.router.clone(), coordinator.clone());
        posts.spawn(async move {
            let response = phq9("P1", MILD);
            let patience = match number % 4 {
                0 => Duration::from_micros(number * 20),
                _ => Duration::from_secs(60),
            };
            let answer = tokio::time::timeout(patience, insist(&router, &coordinator, &response));
            (
                response["id"].as_str().unwrap().to_owned(),
                answer.await.ok(),
            )
        });
    }
    let outcomes = posts.join_all().await;
    let acknowledged = outcomes
        .iter()
        .filter(|(_, answer)| answer.is_some())
        .count();
    assert!(acknowledged >= 150, "{acknowledged}");
    for (id, answer) in outcomes {
        let Some(answer) = answer else { continue };
        assert_eq!(answer.status, 201, "{}", answer.json);
        let read = house.get(&format!("response/{id}"), &coordinator).await;
        assert_eq!(read.json["receiptNo"], answer.json["receiptNo"]);
    }
    let report = house.db.verify_audit().await.unwrap();
    assert!(report.is_sound(), "{report:?}");
}

/// Submits as a phone does: what a busy service refused is sent again a moment later.
async fn insist(router: &tenon::rest::axum::Router, token: &str, response: &Value) -> Answer {
    loop {
        let request = Request::post("/api/v1/epro/response")
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/fhir+json")
            .body(Body::from(response.to_string()))
            .unwrap();
        let answer = send(router, request).await;
        if answer.status != 503 {
            return answer;
        }
        assert_eq!(answer.json["code"], "OVERLOADED", "{}", answer.json);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What was stored is there after a restart, verified.
#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let house = House::furnished().await;
    let response = phq9("P1", MILD);
    let receipt = house.submit(&house.coordinator(), &response).await;
    assert_eq!(receipt.status, 201);
    house.db.close().await.unwrap();
    let db = tenon::store::Db::open(
        tenon::store::Options::new(house.data().join("epro.db")),
        epro::MIGRATIONS,
    )
    .await
    .unwrap();
    let sql = "SELECT receipt_no FROM response";
    let number: String = db.one(&Context::background(), sql, &[]).await.unwrap();
    assert_eq!(receipt.json["receiptNo"], number);
    assert!(db.verify_audit().await.unwrap().is_sound());
}
