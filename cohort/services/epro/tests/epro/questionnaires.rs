//! Publishing, reading and listing questionnaires.

use serde_json::{Value, json};

use crate::house::{House, MILD, instrument, phq9};

#[tokio::test]
async fn a_version_is_published_once() {
    let house = House::new().await;
    let first = house.publish(&house.admin(), &instrument("phq9")).await;
    assert_eq!(first.status, 201, "{}", first.json);
    assert_eq!(first.json["url"], "urn:cohort:questionnaire:phq9");
    assert_eq!(first.json["version"], "1.0.0");
    assert_eq!(first.json["createdAt"], "2026-08-01T08:00:00Z");

    let mut same = instrument("phq9");
    same["meta"] = json!({"lastUpdated": "2026-08-01T09:00:00Z"});
    let again = house.publish(&house.admin(), &same).await;
    assert_eq!((again.status, &again.json), (200, &first.json));

    let mut other = instrument("phq9");
    other["title"] = json!("another title");
    let conflict = house.publish(&house.admin(), &other).await;
    assert_eq!(conflict.problem(), (409, "QUESTIONNAIRE_VERSION_EXISTS"));

    other["version"] = json!("1.0.1");
    assert_eq!(house.publish(&house.admin(), &other).await.status, 201);
    let trail = house.trail("service").await;
    let acts: Vec<&str> = trail
        .iter()
        .map(|stored| stored.record.action.as_str())
        .collect();
    assert_eq!(acts, ["questionnaire.publish", "questionnaire.publish"]);
    assert_eq!(trail[0].record.actor, "account-admin");
    assert_eq!(
        trail[0].record.entity_id,
        first.json["id"].as_str().unwrap()
    );
}

#[tokio::test]
async fn many_who_publish_the_same_get_one_questionnaire() {
    let house = House::new().await;
    let (admin, questionnaire) = (house.admin(), instrument("gad7"));
    let publish = || house.publish(&admin, &questionnaire);
    let (first, second, third) = tokio::join!(publish(), publish(), publish());
    let mut statuses = [first.status, second.status, third.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 201]);
    assert_eq!(first.json, second.json);
    assert_eq!(house.count("SELECT count(*) FROM questionnaire").await, 1);
}

#[tokio::test]
async fn every_problem_of_a_questionnaire_is_told_at_once() {
    let house = House::new().await;
    let mut broken = instrument("phq9");
    broken["status"] = json!("published");
    broken["item"][1]["type"] = json!("quantity");
    broken["item"][2]["linkId"] = json!("/44259-0");
    let answer = house.publish(&house.admin(), &broken).await;
    assert_eq!(answer.problem(), (400, "REQUEST_INVALID"));
    let errors = answer.json["errors"].as_array().unwrap();
    let rules: Vec<&str> = errors
        .iter()
        .map(|error| error["rule"].as_str().unwrap())
        .collect();
    for rule in ["status", "unsupported", "duplicate"] {
        assert!(rules.contains(&rule), "{rule} is not in {rules:?}");
    }
    assert_eq!(house.count("SELECT count(*) FROM questionnaire").await, 0);
}

#[tokio::test]
async fn only_who_may_write_for_all_studies_publishes() {
    let house = House::new().await;
    for (token, allowed) in [
        (house.admin(), true),
        (house.staff("sponsor", "T1", None), false),
        (house.coordinator(), false),
        (house.patient("P1", "T1", "S1"), false),
    ] {
        let answer = house.publish(&token, &instrument("phq9")).await;
        match allowed {
            true => assert_eq!(answer.status, 201, "{}", answer.json),
            false => assert_eq!(answer.problem(), (403, "PERMISSION_DENIED")),
        }
    }
}

#[tokio::test]
async fn a_questionnaire_is_read_as_it_was_published() {
    let house = House::furnished().await;
    let patient = house.patient("P1", "T1", "S1");
    let list = house.get("questionnaire", &patient).await;
    let id = list.ids()[0].to_owned();
    let read = house.get(&format!("questionnaire/{id}"), &patient).await;
    assert_eq!((read.status, read.json), (200, instrument("phq9")));
    let upper = format!("questionnaire/{}", id.to_uppercase());
    assert_eq!(house.get(&upper, &patient).await.status, 200);
    for unknown in [
        "questionnaire/none",
        "questionnaire/0190a3c4-7b1e-7c3a-9f00-0123456789ab",
    ] {
        let answer = house.get(unknown, &patient).await;
        assert_eq!(answer.problem(), (404, "QUESTIONNAIRE_NOT_FOUND"));
    }
}

#[tokio::test]
async fn the_list_comes_in_pages() {
    let house = House::new().await;
    for version in 1..=5 {
        let mut questionnaire = instrument("gad7");
        questionnaire["version"] = json!(version.to_string());
        assert_eq!(
            house.publish(&house.admin(), &questionnaire).await.status,
            201
        );
    }
    let mut versions: Vec<Value> = Vec::new();
    let mut path = "questionnaire?limit=2".to_owned();
    loop {
        let page = house.get(&path, &house.coordinator()).await;
        assert!(page.ids().len() <= 2);
        versions.extend(
            page.json["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["version"].clone()),
        );
        match page.json["nextCursor"].as_str() {
            Some(cursor) => path = format!("questionnaire?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(versions, ["1", "2", "3", "4", "5"]);
    for bad in [
        "questionnaire?cursor=1",
        "questionnaire?limit=0",
        "questionnaire?limit=201",
    ] {
        assert_eq!(
            house.get(bad, &house.admin()).await.problem(),
            (400, "REQUEST_INVALID")
        );
    }
}

/// A published questionnaire is compiled once and answered from memory, and its row can neither
/// be changed nor removed.
#[tokio::test]
async fn a_questionnaire_is_immutable_and_compiled_once() {
    let house = House::furnished().await;
    let coordinator = house.coordinator();
    assert_eq!(
        house.submit(&coordinator, &phq9("P1", MILD)).await.status,
        201
    );
    let cx = tenon::Context::background();
    for sql in [
        "UPDATE questionnaire SET title = 'x'",
        "DELETE FROM questionnaire",
        "UPDATE response SET resource = '{}'",
        "DELETE FROM response",
        "UPDATE score SET value = 0",
        "DELETE FROM score",
    ] {
        let refused = house
            .db
            .write(&cx, async move |tx| tx.execute(sql, &[]).await)
            .await;
        assert!(refused.is_err(), "{sql}");
    }
    let remove = async |tx: &mut tenon::store::Tx| {
        tx.execute("DROP TRIGGER questionnaire_stays", &[]).await?;
        tx.execute("DELETE FROM questionnaire", &[]).await
    };
    assert_eq!(house.db.write(&cx, remove).await.unwrap(), 2);
    assert_eq!(
        house.submit(&coordinator, &phq9("P1", MILD)).await.status,
        201
    );
}
