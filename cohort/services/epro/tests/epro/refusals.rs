//! Who may not, and what is not a response.

use http::Request;
use serde_json::{Value, json};
use tenon::rest::axum::body::Body;

use crate::house::{House, MILD, MODERATE, answered, phq9};

#[tokio::test]
async fn r_15_another_sites_subject_is_hidden() {
    let house = House::furnished().await;
    let theirs = house.staff("coordinator", "T1", Some("S2"));
    let response = phq9("P3", MODERATE);
    assert_eq!(house.submit(&theirs, &response).await.status, 201);
    let alert = house.get("alert", &theirs).await.ids()[0].to_owned();
    let path = format!("response/{}", response["id"].as_str().unwrap());

    for stranger in [
        house.coordinator(),
        house.staff("investigator", "T2", None),
        house.staff("monitor", "T1", Some("S1")),
        house.patient("P1", "T1", "S1"),
    ] {
        let read = house.get(&path, &stranger).await;
        assert_eq!(read.problem(), (404, "RESPONSE_NOT_FOUND"));
        assert!(house.get("response", &stranger).await.ids().is_empty());
        assert!(
            house
                .get("response?subjectId=P3", &stranger)
                .await
                .ids()
                .is_empty()
        );
        assert!(
            house
                .get("response?trialId=T1", &stranger)
                .await
                .ids()
                .is_empty()
        );
    }
    let acknowledge = format!("/api/v1/epro/alert/{alert}/acknowledge");
    for stranger in [house.coordinator(), house.staff("investigator", "T2", None)] {
        let submitted = house.submit(&stranger, &phq9("P3", MILD)).await;
        assert_eq!(submitted.problem(), (404, "SUBJECT_NOT_FOUND"));
        assert!(
            house
                .get("alert?trialId=T1", &stranger)
                .await
                .ids()
                .is_empty()
        );
        let acted = house.post(&acknowledge, &stranger, "{}").await;
        assert_eq!(acted.problem(), (404, "ALERT_NOT_FOUND"));
    }
    assert_eq!(house.responses().await, 1);
    // Their own people see it.
    assert_eq!(house.get(&path, &theirs).await.status, 200);
    let sponsor = house.staff("sponsor", "T1", None);
    assert_eq!(house.get(&path, &sponsor).await.status, 200);
}

#[tokio::test]
async fn a_patient_sees_and_sends_its_own_alone() {
    let house = House::furnished().await;
    let (own, others) = (phq9("P1", MODERATE), phq9("P2", MILD));
    let patient = house.patient("P1", "T1", "S1");
    assert_eq!(house.submit(&patient, &own).await.status, 201);
    assert_eq!(
        house.submit(&house.coordinator(), &others).await.status,
        201
    );
    let refused = house.submit(&patient, &phq9("P2", MILD)).await;
    assert_eq!(refused.problem(), (404, "SUBJECT_NOT_FOUND"));
    let list = house.get("response", &patient).await;
    assert_eq!(list.ids(), [own["id"].as_str().unwrap()]);
    let path = format!("response/{}", others["id"].as_str().unwrap());
    assert_eq!(
        house.get(&path, &patient).await.problem(),
        (404, "RESPONSE_NOT_FOUND")
    );
    assert_eq!(
        house.get("alert", &patient).await.problem(),
        (403, "PERMISSION_DENIED")
    );
}

#[tokio::test]
async fn r_20_sponsors_administrators_and_monitors_cannot_submit() {
    let house = House::furnished().await;
    for token in [
        house.admin(),
        house.staff("sponsor", "T1", None),
        house.staff("monitor", "T1", Some("S1")),
    ] {
        let refused = house.submit(&token, &phq9("P1", MILD)).await;
        assert_eq!(refused.problem(), (403, "PERMISSION_DENIED"));
    }
    assert_eq!(house.responses().await, 0);
}

/// Each route with each role: who the door lets through at all.
#[tokio::test]
async fn r_15_every_route_asks_for_its_permission() {
    let house = House::furnished().await;
    let roles = [
        "admin",
        "sponsor",
        "investigator",
        "coordinator",
        "monitor",
        "patient",
    ];
    let id = "0190a3c4-7b1e-7c3a-9f00-0123456789ab";
    for (method, path, allowed) in [
        ("POST", "questionnaire".to_owned(), "as"),
        ("GET", "questionnaire".to_owned(), "asicmp"),
        ("GET", format!("questionnaire/{id}"), "asicmp"),
        ("POST", "response".to_owned(), "icp"),
        ("GET", "response".to_owned(), "asicmp"),
        ("GET", format!("response/{id}"), "asicmp"),
        ("GET", "alert".to_owned(), "asicm"),
        ("POST", format!("alert/{id}/acknowledge"), "ic"),
    ] {
        let request = |token: Option<&str>| {
            let mut request = Request::builder()
                .method(method)
                .uri(format!("/api/v1/epro/{path}"))
                .header("content-type", "application/json");
            if let Some(token) = token {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            request.body(Body::from("{}")).unwrap()
        };
        let nobody = house.send(request(None)).await;
        assert_eq!(nobody.problem(), (401, "TOKEN_MISSING"), "{method} {path}");
        for role in roles {
            let token = match role {
                "admin" => house.admin(),
                "patient" => house.patient("P1", "T1", "S1"),
                _ => house.staff(role, "T1", None),
            };
            let answer = house.send(request(Some(&token))).await;
            let passes = allowed.contains(&role[..1]);
            // A sponsor of one study passes the door of the library and is refused behind it.
            let refused_inside =
                (method, path.as_str(), role) == ("POST", "questionnaire", "sponsor");
            let expected = passes && !refused_inside;
            assert_eq!(
                answer.status != 403,
                expected,
                "{method} {path} {role}: {}",
                answer.json
            );
        }
    }
}

#[tokio::test]
async fn what_is_no_json_is_refused_before_anybody_is_asked() {
    let house = House::furnished().await;
    let patient = house.patient("P1", "T1", "S1");
    let good = phq9("P1", MILD).to_string();
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let twice = good.replacen('{', "{\"status\":\"completed\",", 1);
    let twice_below = good.replacen("\"linkId\"", "\"linkId\":\"x\",\"linkId\"", 1);
    for body in [
        String::new(),
        "{".to_owned(),
        format!("{good} x"),
        good.replace("completed\"", "completed"),
        deep,
        twice,
        twice_below,
        "\u{feff}{}".to_owned(),
    ] {
        let start: String = body.chars().take(20).collect();
        let answer = house.post("/api/v1/epro/response", &patient, body).await;
        assert_eq!(answer.status, 400, "{start}: {}", answer.json);
    }
    let huge = format!("{{\"x\":\"{}\"}}", "a".repeat(2 << 20));
    let answer = house.post("/api/v1/epro/response", &patient, huge).await;
    assert_eq!(answer.problem(), (413, "BODY_TOO_LARGE"));
    let request = Request::post("/api/v1/epro/response")
        .header("authorization", format!("Bearer {patient}"))
        .header("content-type", "text/plain")
        .body(Body::from(good))
        .unwrap();
    assert_eq!(
        house.send(request).await.problem(),
        (415, "MEDIA_TYPE_UNSUPPORTED")
    );
    assert_eq!(
        house
            .neighbours
            .asked_for_standing
            .load(std::sync::atomic::Ordering::Relaxed),
        0
    );
    assert_eq!(house.responses().await, 0);
}

#[tokio::test]
async fn every_problem_of_a_response_is_told_at_once() {
    let house = House::furnished().await;
    let mut response = phq9("P1", MILD);
    response["id"] = json!("not-a-uuid");
    response["subject"] = json!({"reference": "Practitioner/1"});
    response["status"] = json!("in-progress");
    response["item"][0]["answer"][0]["valueCoding"]["code"] = json!("LA0000-0");
    response["item"].as_array_mut().unwrap().remove(1);
    response["extension"] = json!([{"url": "urn:cohort:time-zone", "valueInteger": 8}]);
    let answer = house.submit(&house.coordinator(), &response).await;
    assert_eq!(answer.problem(), (400, "REQUEST_INVALID"));
    let errors = answer.json["errors"].as_array().unwrap();
    let found: Vec<(&str, &str)> = errors
        .iter()
        .map(|error| {
            (
                error["path"].as_str().unwrap(),
                error["rule"].as_str().unwrap(),
            )
        })
        .collect();
    for expected in [
        ("id", "format"),
        ("subject.reference", "format"),
        ("status", "status"),
        ("item[0].answer[0].valueCoding (/44250-9)", "illegal-option"),
        ("extension[0]", "format"),
    ] {
        let near = |(path, rule): &(&str, &str)| {
            *rule == expected.1 && expected.0.starts_with(path.split(' ').next().unwrap())
        };
        assert!(found.iter().any(near), "{expected:?} is not in {found:?}");
    }
    assert!(
        found.iter().any(|(_, rule)| *rule == "required"),
        "{found:?}"
    );
    assert!(errors.iter().all(|error| error["in"] == "body"));
}

#[tokio::test]
async fn an_unknown_or_retired_questionnaire_and_an_unknown_subject_are_told() {
    let house = House::furnished().await;
    let coordinator = house.coordinator();
    let mut response = phq9("P1", MILD);
    for questionnaire in [
        json!("urn:cohort:questionnaire:phq9|9"),
        json!("phq9"),
        Value::Null,
    ] {
        response["questionnaire"] = questionnaire;
        let answer = house.submit(&coordinator, &response).await;
        assert_eq!(answer.problem(), (400, "REQUEST_INVALID"));
        assert_eq!(answer.json["errors"][0]["path"], "questionnaire");
    }
    let mut retired = crate::house::instrument("gad7");
    retired["version"] = json!("0.9");
    retired["status"] = json!("retired");
    assert_eq!(house.publish(&house.admin(), &retired).await.status, 201);
    let mut response = answered("gad7", "P1", &[0; 7]);
    response["questionnaire"] = json!("urn:cohort:questionnaire:gad7|0.9");
    let answer = house.submit(&coordinator, &response).await;
    assert_eq!(
        answer.json["errors"][0]["rule"], "questionnaire",
        "{}",
        answer.json
    );

    let answer = house.submit(&coordinator, &phq9("P99", MILD)).await;
    assert_eq!(answer.problem(), (404, "SUBJECT_NOT_FOUND"));
    for path in [
        "response/P1",
        "response/0190a3c4-7b1e-7c3a-9f00-0123456789ab",
    ] {
        let answer = house.get(path, &coordinator).await;
        assert_eq!(answer.problem(), (404, "RESPONSE_NOT_FOUND"));
    }
}
