//! The article's walk: from a login to a score, an alert and somebody who takes care of it.

use serde_json::{Value, json};

use crate::{
    cast::{self, Place, login},
    http::text,
    phq9,
    run::Outcome,
    world::World,
};

/// What the walk needs of the site: its place and its coordinator.
struct Site {
    admin: String,
    place: Place,
    coordinator: String,
}

/// A study of three subjects at most, with one site and its coordinator.
async fn open(world: &World) -> Site {
    // The questionnaires are published with the cast.
    world.cast().await;
    let admin = login(world, "admin", world.administrator()).await.token;
    let study = cast::study(world, &admin, &json!({"target": 3})).await;
    let place = cast::site(world, &admin, &study).await;
    let grant = json!({"role": "coordinator", "trialId": study, "siteId": place.site});
    let coordinator = cast::account(world, &admin, &grant, None).await.token;
    Site {
        admin,
        place,
        coordinator,
    }
}

impl Site {
    async fn subject(&self, world: &World, number: u32) -> Value {
        let body = cast::person(&self.place, number);
        let made = world
            .post(&self.coordinator, "/api/v1/patient", &body)
            .await
            .expect(201);
        made["patient"].clone()
    }

    async fn account(&self, world: &World, subject: &str) -> String {
        let grant = json!({"role": "patient", "trialId": self.place.study});
        cast::account(world, &self.admin, &grant, Some(subject))
            .await
            .token
    }
}

pub(super) async fn from_login_to_an_acknowledged_alert(world: &World) -> Outcome {
    let site = open(world).await;
    let (study, coordinator) = (&site.place.study, site.coordinator.as_str());
    let person = cast::person(&site.place, 11);
    let made = world
        .post(coordinator, "/api/v1/patient", &person)
        .await
        .expect(201);
    let patient = &made["patient"];
    assert_eq!(patient["status"], 0);
    for told in [
        "name",
        "identityNumber",
        "sex",
        "birthDate",
        "subjectNo",
        "siteId",
        "trialId",
    ] {
        assert_eq!(patient[told], person[told], "{told}");
    }
    let id = text(patient, "id");
    assert_progress(world, &site, &json!([0, 0])).await;
    let moved = cast::shift(world, coordinator, &id, 1).await.expect(200);
    assert_eq!(moved["patient"]["status"], 1);
    assert_progress(world, &site, &json!([33, 1])).await;

    let own = site.account(world, &id).await;
    let response = phq9::response(&id, phq9::MODERATE);
    let call = world.call("POST", "/api/v1/epro/response").token(&own);
    let call = call.bytes("application/fhir+json", response.to_string());
    let receipt = call.send().await.expect(201);
    let score = json!([{
        "name": "phq9", "value": 10, "band": "moderate", "algorithm": "phq9/1", "missing": [],
    }]);
    assert_eq!(receipt["scores"], score);
    let path = format!("/api/v1/epro/response/{}", text(&response, "id"));
    let read = world.get(coordinator, path).await.expect(200);
    assert_eq!(
        (&read["originator"], &read["resource"]),
        (&json!("patient"), &response)
    );
    acknowledge(world, &site, &response).await;

    // The last visit comes after the withdrawal.
    cast::shift(world, coordinator, &id, 2).await.expect(200);
    let last = phq9::response(&id, phq9::MILD);
    world
        .post(&own, "/api/v1/epro/response", &last)
        .await
        .expect(201);
    assert_progress(world, &site, &json!([33, 1])).await;

    let trail = world.epro_trail(study).await;
    let actions: Vec<_> = trail
        .iter()
        .map(|stored| stored.record.action.as_str())
        .collect();
    assert_eq!(
        actions,
        ["response.submit", "alert.acknowledge", "response.submit"]
    );
    assert_eq!(trail[0].record.entity_id, text(&response, "id"));
    Outcome::Passed
}

/// The alert of a response is open, is acknowledged once, and stays as it was then.
async fn acknowledge(world: &World, site: &Site, response: &Value) {
    let token = site.coordinator.as_str();
    let list = format!(
        "/api/v1/epro/alert?trialId={}&status=open",
        site.place.study
    );
    let alerts = world.get(token, list.clone()).await.expect(200);
    let [alert] = &alerts["items"].as_array().unwrap()[..] else {
        panic!("one alert is open: {alerts}")
    };
    assert_eq!(
        (&alert["responseId"], &alert["rule"]),
        (&response["id"], &json!("phq9-item9"))
    );
    let path = format!("/api/v1/epro/alert/{}/acknowledge", text(alert, "id"));
    let first = world
        .post(token, &path, &json!({"note": "called back"}))
        .await
        .expect(200);
    assert_eq!(
        (&first["status"], &first["note"]),
        (&json!("acknowledged"), &json!("called back"))
    );
    let second = world
        .post(token, &path, &json!({"note": "again"}))
        .await
        .expect(200);
    assert_eq!(second, first);
    let left = world.get(token, list).await.expect(200);
    assert_eq!(left["items"], json!([]));
}

/// Percent and number of the enrolled, the same at the gateway and at the article's own address.
async fn assert_progress(world: &World, site: &Site, percent_and_enrolled: &Value) {
    let study = &site.place.study;
    let path = format!("/api/v1/trial/{study}/progress");
    let expected = json!({
        "trialId": study,
        "progress": percent_and_enrolled[0],
        "status": "recruiting",
        "enrolled": percent_and_enrolled[1],
        "target": 3,
    });
    let token = site.coordinator.as_str();
    assert_eq!(world.get(token, path.clone()).await.expect(200), expected);
    let open = world.call("GET", path).at(world.ports().rest("progress"));
    assert_eq!(open.send().await.expect(200), expected);
}

/// 2 and 4 still answer what the study assigns; 3, 5 and 6 answer nothing, and all are final.
pub(super) async fn r_17_who_left_answers_what_is_assigned_or_nothing(world: &World) -> Outcome {
    let site = open(world).await;
    let token = site.coordinator.as_str();
    for (number, status, answers) in [
        (21, 2, true),
        (22, 4, true),
        (23, 3, false),
        (24, 5, false),
        (25, 6, false),
    ] {
        let subject = site.subject(world, number).await;
        let id = text(&subject, "id");
        let own = site.account(world, &id).await;
        // The study assigns nothing to those who are being screened.
        let early = world
            .post(
                &own,
                "/api/v1/epro/response",
                &phq9::response(&id, phq9::MILD),
            )
            .await;
        assert_eq!(early.problem(), (409, "QUESTIONNAIRE_NOT_ASSIGNED"));
        if status != 3 {
            cast::shift(world, token, &id, 1).await.expect(200);
        }
        cast::shift(world, token, &id, status).await.expect(200);
        for by in [&own, token] {
            let response = phq9::response(&id, phq9::MILD);
            let answer = world.post(by, "/api/v1/epro/response", &response).await;
            match answers {
                true => drop(answer.expect(201)),
                false => assert_eq!(
                    answer.problem(),
                    (409, "SUBJECT_MAY_NOT_ANSWER"),
                    "{status}"
                ),
            }
        }
        for next in 0..=6 {
            let answer = cast::shift(world, token, &id, next).await;
            assert_eq!(answer.status, 409, "{status} to {next}: {answer}");
        }
    }
    assert_progress(world, &site, &json!([133, 4])).await;
    Outcome::Passed
}
