//! What a submission stores: answers as received, scores, discrepancies, who, when, and the trail.

use std::sync::atomic::Ordering;

use jiff::SignedDuration;
use serde_json::{Value, json};
use tenon::{Context, store::outbox};

use crate::house::{GAD7, House, MILD, MODERATE, PHQ9, answered, instrument, phq9};

const DIFFICULTY: &str = "/69722-7";
const TOTAL: &str = "/44261-6";

fn band(total: i64) -> &'static str {
    match total {
        0..=4 => "minimal",
        5..=9 => "mild",
        10..=14 => "moderate",
        15..=19 => "moderately severe",
        _ => "severe",
    }
}

/// The 30 published administrations: 28 are stored and scored, the two with an option of another
/// item are refused naming both, the one wrong total is told.
#[tokio::test]
async fn r_31_published_phq9_administrations_are_stored_or_refused() {
    let house = House::furnished().await;
    let coordinator = house.coordinator();
    let vectors = include_str!("../../../../clinical/tests/vectors/phq9.csv");
    let mut reader = csv::Reader::from_reader(vectors.as_bytes());
    let (mut stored, mut refused, mut wrong) = (0, 0, Vec::new());
    for row in reader.records() {
        let row = row.unwrap();
        let values: Vec<i64> = (3..12).map(|column| row[column].parse().unwrap()).collect();
        let claimed: i64 = row[13].parse().unwrap();
        let mut response = answered("phq9", "P1", &values);
        let items = response["item"].as_array_mut().unwrap();
        items.push(
            json!({"linkId": DIFFICULTY, "answer": [{"valueCoding": {"display": &row[12]}}]}),
        );
        items.push(json!({"linkId": TOTAL, "answer": [{"valueInteger": claimed}]}));
        let answer = house.submit(&coordinator, &response).await;
        if answer.status == 400 {
            assert_eq!(&row[0], "CDISC014");
            let error = &answer.json["errors"][0];
            assert_eq!(error["path"], "item[9].answer[0] (/69722-7)");
            assert_eq!(error["rule"], "illegal-option");
            let expected = error["expected"].as_str().unwrap();
            assert!(expected.contains("LA6568-5 (Not at all) is an option of another item"));
            refused += 1;
            continue;
        }
        let total: i64 = values.iter().sum();
        assert_eq!(answer.status, 201, "{}", answer.json);
        assert_eq!(
            answer.json["scores"],
            json!([{"name": "phq9", "value": total, "band": band(total), "algorithm": "phq9/1", "missing": []}])
        );
        if answer.json["discrepancies"] != json!([]) {
            wrong.push((row[0].to_owned(), answer.json["discrepancies"].clone()));
        }
        stored += 1;
    }
    assert_eq!((stored, refused), (28, 2));
    let found = json!([{"linkId": TOTAL, "claimed": 27, "computed": 26}]);
    assert_eq!(wrong, [("CDISC004".to_owned(), found)]);
    assert_eq!(house.responses().await, 28);
    assert_eq!(house.count("SELECT count(*) FROM score").await, 28);
    assert_eq!(house.count("SELECT count(*) FROM discrepancy").await, 1);
    assert_eq!(house.count("SELECT count(*) FROM alert").await, 16);
}

#[tokio::test]
async fn a_receipt_names_the_response_and_the_time_of_the_server() {
    let house = House::furnished().await;
    let response = phq9("P1", MODERATE);
    let answer = house
        .submit(&house.patient("P1", "T1", "S1"), &response)
        .await;
    assert_eq!(answer.status, 201, "{}", answer.json);
    assert_eq!(answer.json["id"], response["id"]);
    assert_eq!(answer.json["receivedAt"], "2026-08-01T08:00:00Z");
    let number = answer.json["receiptNo"].as_str().unwrap();
    assert!(
        number.starts_with("20260801-") && number.len() == 26,
        "{number}"
    );

    let path = format!("response/{}", response["id"].as_str().unwrap());
    let read = house.get(&path, &house.coordinator()).await;
    assert_eq!(read.json["receiptNo"], number);
    assert_eq!(read.json["resource"], response);
    assert_eq!(read.json["questionnaire"], PHQ9);
    assert_eq!(read.json["scores"], answer.json["scores"]);
    assert_eq!(
        (&read.json["trialId"], &read.json["siteId"]),
        (&json!("T1"), &json!("S1"))
    );
}

/// What a device may tell of itself.
fn told() -> Value {
    json!([
        {"url": "urn:cohort:device-start", "valueDateTime": "2026-08-01T15:58:00+08:00"},
        {"url": "urn:cohort:time-zone", "valueString": "Asia/Shanghai"},
        {"url": "urn:cohort:app-version", "valueString": "cohort-web 0.1.0"},
        {"url": "urn:cohort:paradata", "valueString": "{\"items\":[]}"},
        {"url": "urn:cohort:task", "valueString": "task-7"},
    ])
}

/// The fields that every response must have, as they are stored.
#[tokio::test]
async fn r_05_the_clocks_of_the_device_are_recorded_beside_the_time_of_the_server() {
    const TEXTS: &str = "SELECT language, device_started, device_completed, time_zone, app_version,
        paradata, task_id, metadata_version, questionnaire_version, originator, submitted_by
        FROM response";
    let house = House::furnished().await;
    let mut response = phq9("P1", MILD);
    response["language"] = json!("zh-CN");
    response["authored"] = json!("2026-08-01T15:59:30+08:00");
    response["extension"] = told();
    let patient = house.patient("P1", "T1", "S1");
    assert_eq!(house.submit(&patient, &response).await.status, 201);
    struct Texts(Vec<Option<String>>);
    impl tenon::store::FromRow for Texts {
        fn from_row(row: &tenon::store::Row<'_>) -> tenon::Result<Self> {
            (0..11)
                .map(|column| row.get(column))
                .collect::<tenon::Result<_>>()
                .map(Self)
        }
    }
    let cx = Context::background();
    let Texts(texts) = house.db.one(&cx, TEXTS, &[]).await.unwrap();
    let texts: Vec<&str> = texts
        .iter()
        .map(|text| text.as_deref().unwrap_or("-"))
        .collect();
    let expected = [
        "zh-CN",
        "2026-08-01T15:58:00+08:00",
        "2026-08-01T15:59:30+08:00",
        "Asia/Shanghai",
        "cohort-web 0.1.0",
        "{\"items\":[]}",
        "task-7",
        "-",
        "1.0.0",
        "patient",
        "account-P1",
    ];
    assert_eq!(texts, expected);
    let sql = "SELECT received_at FROM response";
    assert_eq!(house.count(sql).await, 1_785_571_200_000_000);
    assert_eq!(house.count("SELECT length(digest) FROM response").await, 32);
    let sql = "SELECT inputs || ' ' || missing_rule FROM score";
    let score: String = house.db.one(&cx, sql, &[]).await.unwrap();
    assert_eq!(score, format!("{PHQ9} no-total-if-any-missing"));
}

/// How a number is written is part of what was sent.
#[tokio::test]
async fn the_text_of_a_response_is_kept_as_it_was_sent() {
    let house = House::furnished().await;
    let mut questionnaire = instrument("gad7");
    questionnaire["version"] = json!("dose");
    let dose = json!({"linkId": "dose", "type": "decimal", "text": "dose"});
    questionnaire["item"].as_array_mut().unwrap().push(dose);
    assert_eq!(
        house.publish(&house.admin(), &questionnaire).await.status,
        201
    );
    let mut response = answered("gad7", "P1", &[1; 7]);
    response["questionnaire"] = json!("urn:cohort:questionnaire:gad7|dose");
    let dose = json!({"linkId": "dose", "answer": [{"valueDecimal": 1.5}]});
    response["item"].as_array_mut().unwrap().push(dose);
    let text = response.to_string().replace("1.5}", "1.50 }");
    let (path, patient) = ("/api/v1/epro/response", house.patient("P1", "T1", "S1"));
    let answer = house.post(path, &patient, text.clone()).await;
    assert_eq!(answer.status, 201, "{}", answer.json);
    let sql = "SELECT resource FROM response";
    let kept: String = house
        .db
        .one(&Context::background(), sql, &[])
        .await
        .unwrap();
    assert_eq!(kept, text);
    // Another spelling of the same number is the same content.
    assert_eq!(house.submit(&patient, &response).await.status, 200);
}

#[tokio::test]
async fn r_01_a_submission_leaves_exactly_one_audit_record() {
    let house = House::furnished().await;
    let response = phq9("P1", MODERATE);
    let receipt = house.submit(&house.coordinator(), &response).await;
    assert_eq!(receipt.status, 201, "{}", receipt.json);
    let trail = house.trail("T1").await;
    assert_eq!(trail.len(), 1);
    let record = &trail[0].record;
    assert_eq!(record.action, "response.submit");
    assert_eq!(record.entity_id, response["id"].as_str().unwrap());
    assert_eq!(
        (record.actor.as_str(), record.actor_role.as_str()),
        ("account-coordinator", "coordinator")
    );
    assert_eq!(record.session.as_deref(), Some("session-1"));
    assert_eq!(record.time, "2026-08-01T08:00:00Z".parse().unwrap());
    assert!(record.old.is_none());
    let new = record.new.as_ref().unwrap();
    assert_eq!(new["receiptNo"], receipt.json["receiptNo"]);
    assert_eq!(new["digest"].as_str().unwrap().len(), 64);
    assert_eq!(record.attributes["subject"], "P1");
    assert_eq!(record.attributes["site"], "S1");
    assert_eq!(record.attributes["username"], "account-coordinator-name");
    let report = house.db.verify_audit().await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    // Nobody asks for events of a submission, so none waits for ever.
    let waiting = outbox::waiting(&house.db, &Context::background()).await;
    assert_eq!(waiting.unwrap(), 0);
}

#[tokio::test]
async fn r_23_the_originator_is_recorded() {
    let house = House::furnished().await;
    for (token, originator, on_behalf_of) in [
        (house.patient("P1", "T1", "S1"), "patient", None),
        (house.coordinator(), "site", Some("P1")),
        (
            house.staff("investigator", "T1", Some("S1")),
            "site",
            Some("P1"),
        ),
    ] {
        house.clock.advance(SignedDuration::from_secs(1));
        let response = phq9("P1", MILD);
        assert_eq!(house.submit(&token, &response).await.status, 201);
        let path = format!("response/{}", response["id"].as_str().unwrap());
        let read = house.get(&path, &house.coordinator()).await;
        assert_eq!(read.json["originator"], originator);
        let trail = house.trail("T1").await;
        let last = &trail.last().unwrap().record;
        assert_eq!(last.on_behalf_of.as_deref(), on_behalf_of);
    }
}

/// Free text is the patient's; it is in the response and nowhere else.
#[tokio::test]
async fn answers_are_neither_in_the_trail_nor_in_problems() {
    const SECRET: &str = "what-only-the-patient-said";
    let house = House::furnished().await;
    let questionnaire = json!({
        "resourceType": "Questionnaire", "url": "urn:test:free", "version": "1", "status": "active",
        "item": [{"linkId": "why", "type": "string", "maxLength": 40},
                 {"linkId": "count", "type": "integer"}]
    });
    assert_eq!(
        house.publish(&house.admin(), &questionnaire).await.status,
        201
    );
    let mut response = phq9("P1", MILD);
    response["questionnaire"] = json!("urn:test:free|1");
    response["item"] = json!([{"linkId": "why", "answer": [{"valueString": SECRET}]}]);
    let answer = house.submit(&house.coordinator(), &response).await;
    assert_eq!(answer.status, 201, "{}", answer.json);
    assert_eq!(answer.json["scores"], json!([]));
    let trail = format!("{:?}", house.trail("T1").await);
    assert!(trail.contains("response.submit") && !trail.contains(SECRET));
    response["id"] = json!("0190a3c4-7b1e-7c3a-9f00-0123456789ab");
    response["item"][0]["answer"][0]["valueString"] = json!(SECRET.repeat(2));
    response["item"]
        .as_array_mut()
        .unwrap()
        .push(json!({"linkId": "count", "answer": [{"valueInteger": SECRET}]}));
    let refused = house.submit(&house.coordinator(), &response).await;
    assert_eq!(refused.status, 400);
    assert_eq!(
        refused.json["errors"].as_array().unwrap().len(),
        2,
        "{}",
        refused.json
    );
    assert!(!refused.json.to_string().contains(SECRET));
}

/// Which statuses answer which questionnaires: clinical.md 2.3.
#[tokio::test]
async fn r_17_statuses_answer_what_is_assigned_to_them() {
    let house =
        House::with(|config, _| config.assignments_kept_for = std::time::Duration::ZERO).await;
    house.furnish().await;
    let coordinator = house.coordinator();
    const ALL: (bool, &[&str], &[&str]) = (true, &[], &[GAD7]);
    const ONLY_PHQ9: (bool, &[&str], &[&str]) = (false, &[PHQ9], &[GAD7]);
    const NOTHING: (bool, &[&str], &[&str]) = (false, &[], &[]);
    for ((all, assigned, screening), allowed) in [
        // Whether PHQ-9 and GAD-7 may be answered in screening, and later.
        (ALL, [(false, true), (true, true)]),
        (ONLY_PHQ9, [(false, true), (true, false)]),
        (NOTHING, [(false, false), (false, false)]),
    ] {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let assignment = trial_contract::rpc::GetAssignmentResp {
            trial_id: "T1".to_owned(),
            all,
            assigned: owned(assigned),
            screening: owned(screening),
        };
        house
            .neighbours
            .assignments
            .lock()
            .unwrap()
            .insert("T1".to_owned(), assignment);
        for status in 0..=6 {
            house.neighbours.move_subject("P1", status);
            let responses = [phq9("P1", MILD), answered("gad7", "P1", &[0; 7])];
            for (response, (in_screening, later)) in responses.iter().zip(allowed) {
                let answer = house.submit(&coordinator, response).await;
                let expected = match status {
                    0 if in_screening => (201, ""),
                    1 | 2 | 4 if later => (201, ""),
                    0 | 1 | 2 | 4 => (409, "QUESTIONNAIRE_NOT_ASSIGNED"),
                    _ => (409, "SUBJECT_MAY_NOT_ANSWER"),
                };
                assert_eq!(
                    answer.problem(),
                    expected,
                    "status {status}, {assigned:?}, all {all}"
                );
            }
        }
    }
}

#[tokio::test]
async fn the_study_is_asked_once_in_a_while() {
    let house = House::furnished().await;
    let coordinator = house.coordinator();
    for _ in 0..5 {
        assert_eq!(
            house.submit(&coordinator, &phq9("P1", MILD)).await.status,
            201
        );
    }
    let neighbours = &house.neighbours;
    assert_eq!(neighbours.asked_for_assignment.load(Ordering::Relaxed), 1);
    assert_eq!(neighbours.asked_for_standing.load(Ordering::Relaxed), 5);
}

/// What was answered in an item that is not enabled is kept, flagged, and counts for nothing.
#[tokio::test]
async fn answers_of_disabled_items_are_kept_and_flagged() {
    let house = House::furnished().await;
    let questionnaire = json!({
        "resourceType": "Questionnaire", "url": "urn:test:branch", "version": "1", "status": "active",
        "item": [
            {"linkId": "smokes", "type": "boolean"},
            {"linkId": "packs", "type": "integer", "enableWhen": [
                {"question": "smokes", "operator": "=", "answerBoolean": true}]}
        ]
    });
    assert_eq!(
        house.publish(&house.admin(), &questionnaire).await.status,
        201
    );
    let mut response = phq9("P1", MILD);
    response["questionnaire"] = json!("urn:test:branch|1");
    response["item"] = json!([
        {"linkId": "smokes", "answer": [{"valueBoolean": false}]},
        {"linkId": "packs", "answer": [{"valueInteger": 2}]},
    ]);
    assert_eq!(
        house.submit(&house.coordinator(), &response).await.status,
        201
    );
    let path = format!("response/{}", response["id"].as_str().unwrap());
    let read = house.get(&path, &house.coordinator()).await;
    assert_eq!(read.json["notCollected"], json!(["packs"]));
    let kept: &Value = &read.json["resource"]["item"][1]["answer"][0]["valueInteger"];
    assert_eq!(kept, 2);
}
