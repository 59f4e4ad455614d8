//! The same response again, and another one under its id.

use std::sync::Arc;

use serde_json::json;

use crate::house::{Health, House, MILD, MODERATE, phq9};

#[tokio::test]
async fn r_30_a_repetition_gets_the_first_receipt_whatever_happened_since() {
    let house = House::furnished().await;
    let patient = house.patient("P1", "T1", "S1");
    let mut response = phq9("P1", MODERATE);
    response["item"]
        .as_array_mut()
        .unwrap()
        .push(json!({"linkId": "/44261-6", "answer": [{"valueInteger": 12}]}));
    let first = house.submit(&patient, &response).await;
    assert_eq!(first.status, 201, "{}", first.json);
    assert_eq!(first.json["discrepancies"][0]["claimed"], 12);

    // Neither the subject's status nor the neighbours matter any more, nor what servers add.
    house.neighbours.move_subject("P1", 6);
    house.neighbours.become_(Health::Dead);
    response["meta"] = json!({"versionId": "2"});
    response["text"] = json!({"status": "generated"});
    house.clock.advance(jiff::SignedDuration::from_hours(24));
    let again = house.submit(&patient, &response).await;
    assert_eq!((again.status, &again.json), (200, &first.json));
    let by_site = house.submit(&house.coordinator(), &response).await;
    assert_eq!((by_site.status, &by_site.json), (200, &first.json));
    assert_eq!(house.responses().await, 1);
    assert_eq!(house.trail("T1").await.len(), 1);
}

#[tokio::test]
async fn r_30_another_content_under_the_id_is_a_conflict_and_leaves_an_audit_record() {
    let house = House::furnished().await;
    let response = phq9("P1", MILD);
    assert_eq!(
        house.submit(&house.coordinator(), &response).await.status,
        201
    );
    let mut other = phq9("P1", MODERATE);
    other["id"] = response["id"].clone();
    let refused = house.submit(&house.patient("P1", "T1", "S1"), &other).await;
    assert_eq!(refused.problem(), (409, "RESPONSE_ID_CONFLICT"));

    let trail = house.trail("T1").await;
    let record = &trail[1].record;
    assert_eq!(trail.len(), 2);
    assert_eq!(
        (record.action.as_str(), record.actor.as_str()),
        ("response.conflict", "account-P1")
    );
    assert_eq!(record.entity_id, response["id"].as_str().unwrap());
    let (old, new) = (record.old.as_ref().unwrap(), record.new.as_ref().unwrap());
    assert_ne!(old["digest"], new["digest"]);
    assert!(house.db.verify_audit().await.unwrap().is_sound());

    // The stored one is unchanged, and its own repetition still succeeds.
    assert_eq!(
        house.submit(&house.coordinator(), &response).await.status,
        200
    );
    let path = format!("response/{}", response["id"].as_str().unwrap());
    let read = house.get(&path, &house.coordinator()).await;
    assert_eq!(read.json["resource"], response);
}

/// An id that somebody else took tells nothing but that it is taken.
#[tokio::test]
async fn r_15_a_stranger_cannot_replay_a_response() {
    let house = House::furnished().await;
    let response = phq9("P3", MODERATE);
    let other_site = house.staff("coordinator", "T1", Some("S2"));
    assert_eq!(house.submit(&other_site, &response).await.status, 201);
    for stranger in [house.coordinator(), house.patient("P1", "T1", "S1")] {
        let refused = house.submit(&stranger, &response).await;
        assert_eq!(refused.problem(), (404, "SUBJECT_NOT_FOUND"));
        let mut own = phq9("P1", MILD);
        own["id"] = response["id"].clone();
        let conflict = house.submit(&stranger, &own).await;
        assert_eq!(conflict.problem(), (409, "RESPONSE_ID_CONFLICT"));
        assert!(!conflict.json.to_string().contains("P3"));
    }
    assert_eq!(house.responses().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_at_once_under_one_id_are_one_row_and_one_receipt() {
    let house = Arc::new(House::furnished().await);
    let (patient, response) = (house.patient("P1", "T1", "S1"), phq9("P1", MODERATE));
    let mut posts = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (house, patient, response) = (house.clone(), patient.clone(), response.clone());
        posts.spawn(async move { house.submit(&patient, &response).await });
    }
    let answers = posts.join_all().await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    let repeated = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((created, repeated), (1, 99));
    assert!(answers.iter().all(|answer| answer.json == answers[0].json));
    assert_eq!(house.responses().await, 1);
    assert_eq!(house.count("SELECT count(*) FROM score").await, 1);
    assert_eq!(house.count("SELECT count(*) FROM alert").await, 1);
    assert_eq!(house.trail("T1").await.len(), 1);
}

/// Two contents race for one id: one is stored, the others are conflicts in the trail.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn contents_that_race_for_an_id_leave_one_response_and_a_record_each() {
    let house = Arc::new(House::furnished().await);
    let patient = house.patient("P1", "T1", "S1");
    let id = phq9("P1", MILD)["id"].clone();
    let mut posts = tokio::task::JoinSet::new();
    for minute in 10..40 {
        let (house, patient, mut response) = (house.clone(), patient.clone(), phq9("P1", MILD));
        response["id"] = id.clone();
        response["authored"] = json!(format!("2026-08-01T08:{minute}:00Z"));
        posts.spawn(async move { house.submit(&patient, &response).await });
    }
    let answers = posts.join_all().await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    let refused = answers
        .iter()
        .filter(|answer| answer.problem() == (409, "RESPONSE_ID_CONFLICT"))
        .count();
    assert_eq!((created, refused), (1, 29));
    assert_eq!(house.responses().await, 1);
    assert_eq!(house.trail("T1").await.len(), 30);
    assert!(house.db.verify_audit().await.unwrap().is_sound());
}
