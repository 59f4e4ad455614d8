//! Alerts: raised by item 9 whatever the total, listed, acknowledged once.

use jiff::SignedDuration;
use serde_json::json;

use crate::house::{House, MILD, MODERATE, phq9};

#[tokio::test]
async fn r_21_item_9_above_zero_raises_an_alert_whatever_the_total() {
    let house = House::furnished().await;
    let coordinator = house.coordinator();
    // A total of 2, minimal; then 5, mild, without item 9.
    let minimal = phq9("P1", [0, 0, 0, 0, 0, 0, 1, 0, 1]);
    let answer = house
        .submit(&house.patient("P1", "T1", "S1"), &minimal)
        .await;
    assert_eq!(answer.json["scores"][0]["band"], "minimal");
    assert_eq!(
        house.submit(&coordinator, &phq9("P1", MILD)).await.status,
        201
    );
    let alerts = house.get("alert", &coordinator).await;
    assert_eq!(alerts.ids().len(), 1);
    let alert = &alerts.json["items"][0];
    assert_eq!(alert["rule"], "phq9-item9");
    assert_eq!(alert["status"], "open");
    assert_eq!(alert["responseId"], minimal["id"]);
    assert_eq!(alert["subjectId"], "P1");
    assert_eq!(alert["raisedAt"], "2026-08-01T08:00:00Z");
    assert!(alert.get("acknowledgedAt").is_none());
}

#[tokio::test]
async fn an_alert_is_acknowledged_once() {
    let house = House::furnished().await;
    let coordinator = house.coordinator();
    assert_eq!(
        house
            .submit(&coordinator, &phq9("P1", MODERATE))
            .await
            .status,
        201
    );
    let id = house.get("alert?status=open", &coordinator).await.ids()[0].to_owned();
    let path = format!("/api/v1/epro/alert/{id}/acknowledge");
    house.clock.advance(SignedDuration::from_mins(5));
    let note = json!({"note": "called the patient"}).to_string();
    let first = house.post(&path, &coordinator, note).await;
    assert_eq!(first.status, 200, "{}", first.json);
    assert_eq!(first.json["status"], "acknowledged");
    assert_eq!(first.json["acknowledgedAt"], "2026-08-01T08:05:00Z");
    assert_eq!(first.json["acknowledgedBy"], "account-coordinator");
    assert_eq!(first.json["note"], "called the patient");

    house.clock.advance(SignedDuration::from_mins(5));
    let investigator = house.staff("investigator", "T1", Some("S1"));
    let second = house
        .post(&path, &investigator, r#"{"note":"me too"}"#)
        .await;
    assert_eq!((second.status, &second.json), (200, &first.json));

    assert!(
        house
            .get("alert?status=open", &coordinator)
            .await
            .ids()
            .is_empty()
    );
    assert_eq!(
        house
            .get("alert?status=acknowledged", &coordinator)
            .await
            .ids(),
        [id.as_str()]
    );
    let trail = house.trail("T1").await;
    let acts: Vec<&str> = trail
        .iter()
        .map(|stored| stored.record.action.as_str())
        .collect();
    assert_eq!(acts, ["response.submit", "alert.acknowledge"]);
    let record = &trail[1].record;
    assert_eq!(record.old.as_ref().unwrap()["status"], "open");
    assert_eq!(record.new.as_ref().unwrap()["status"], "acknowledged");
    assert!(!format!("{record:?}").contains("called the patient"));
}

#[tokio::test]
async fn many_who_acknowledge_at_once_leave_one_record() {
    let house = House::furnished().await;
    let coordinator = house.coordinator();
    assert_eq!(
        house
            .submit(&coordinator, &phq9("P1", MODERATE))
            .await
            .status,
        201
    );
    let id = house.get("alert", &coordinator).await.ids()[0].to_owned();
    let path = format!("/api/v1/epro/alert/{id}/acknowledge");
    let act = || house.post(&path, &coordinator, "{}");
    let (first, second, third) = tokio::join!(act(), act(), act());
    assert_eq!([first.status, second.status, third.status], [200; 3]);
    assert_eq!(house.trail("T1").await.len(), 2);
}

#[tokio::test]
async fn who_reads_alerts_may_not_acknowledge_them() {
    let house = House::furnished().await;
    assert_eq!(
        house
            .submit(&house.coordinator(), &phq9("P1", MODERATE))
            .await
            .status,
        201
    );
    for reader in [
        house.staff("sponsor", "T1", None),
        house.staff("monitor", "T1", Some("S1")),
        house.admin(),
    ] {
        let id = house.get("alert?trialId=T1", &reader).await.ids()[0].to_owned();
        let path = format!("/api/v1/epro/alert/{id}/acknowledge");
        let refused = house.post(&path, &reader, "{}").await;
        assert_eq!(refused.problem(), (403, "PERMISSION_DENIED"));
    }
    let coordinator = house.coordinator();
    for unknown in ["none", "0190a3c4-7b1e-7c3a-9f00-0123456789ab"] {
        let path = format!("/api/v1/epro/alert/{unknown}/acknowledge");
        let answer = house.post(&path, &coordinator, "{}").await;
        assert_eq!(answer.problem(), (404, "ALERT_NOT_FOUND"));
    }
    let id = house.get("alert", &coordinator).await.ids()[0].to_owned();
    let path = format!("/api/v1/epro/alert/{id}/acknowledge");
    let long = json!({"note": "x".repeat(2001)}).to_string();
    assert_eq!(
        house.post(&path, &coordinator, long).await.problem(),
        (400, "REQUEST_INVALID")
    );
    assert_eq!(
        house
            .get("alert?status=closed", &coordinator)
            .await
            .problem(),
        (400, "REQUEST_INVALID")
    );
}

#[tokio::test]
async fn alerts_of_all_places_and_states_come_in_one_order() {
    let house = House::furnished().await;
    let both = house.staff("coordinator", "T1", None);
    for subject in ["P1", "P3", "P1", "P3", "P2"] {
        assert_eq!(
            house.submit(&both, &phq9(subject, MODERATE)).await.status,
            201
        );
    }
    let all = house.get("alert", &both).await;
    let ids: Vec<String> = all.ids().iter().map(|id| (*id).to_owned()).collect();
    assert!(ids.is_sorted() && ids.len() == 5);
    let path = format!("/api/v1/epro/alert/{}/acknowledge", ids[2]);
    assert_eq!(house.post(&path, &both, "{}").await.status, 200);
    let mut paged = Vec::new();
    let mut path = "alert?limit=2".to_owned();
    loop {
        let page = house.get(&path, &both).await;
        paged.extend(page.ids().iter().map(|id| (*id).to_owned()));
        match page.json["nextCursor"].as_str() {
            Some(cursor) => path = format!("alert?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(paged, ids);
    let subjects: Vec<&str> = house.get("alert", &house.coordinator()).await.json["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|alert| match alert["siteId"].as_str() {
            Some("S1") => "ours",
            _ => "theirs",
        })
        .collect();
    assert_eq!(subjects, ["ours"; 3]);
}
