//! Every route with every caller and every object, held against the table.

use serde_json::{Value, json};
use uuid::Uuid;

use super::strangers;
use crate::{
    cast::{Actor, Cast, PASSWORD, code},
    contract,
    http::{Answer, Call},
    phq9,
    run::Outcome,
    table::{self, Row},
    world::World,
};

pub(super) const TABLE: &str = include_str!("../../access/rest.txt");

/// A route without a rule in the table, or a rule without its route.
pub(super) async fn every_route_has_a_rule(world: &World) -> Outcome {
    let rows = table::read(TABLE);
    let operations = contract::operations(world.document().await);
    let known = operations
        .iter()
        .map(|(method, path)| format!("{method} {path}"));
    table::assert_complete(&rows, known);
    for (method, path) in &operations {
        let (_, operation) = contract::operation(world.document().await, method, path).unwrap();
        let row = rows
            .iter()
            .find(|row| row.route == format!("{method} {path}"));
        let documented = operation.get("security").is_none();
        assert_eq!(row.unwrap().is_open, documented, "{method} {path}");
    }
    Outcome::Measured(format!("{} routes", operations.len()))
}

pub(super) async fn r_15_every_route_with_every_role_and_every_object(world: &World) -> Outcome {
    let cast = world.cast().await;
    let strangers = strangers::all(world).await;
    let (mut wrong, mut calls) = (Vec::new(), 0);
    for row in table::read(TABLE) {
        for actor in Actor::ALL {
            let call = request(world, cast, &row, actor).token(cast.token(actor));
            let answer = call.send().await;
            let expected = row.cell(actor);
            let got = seen(cast, &row, &answer, expected);
            calls += 1;
            if got != expected {
                let (route, object) = (row.route, row.object);
                wrong.push(format!(
                    "{route} {object} {actor:?}: {got}, not {expected}: {answer}"
                ));
            }
            for foreign in foreign(cast, actor, &row, &answer.json) {
                wrong.push(format!(
                    "{} shows {actor:?} what is not its own: {foreign}",
                    row.route
                ));
            }
        }
        for stranger in &strangers {
            let mut call = request(world, cast, &row, Actor::Investigator);
            if let Some(token) = &stranger.token {
                call = call.token(token);
            }
            let answer = call.send().await;
            calls += 1;
            let is_right = match row.is_open {
                true => answer.status.to_string() == row.cell(Actor::Investigator),
                false => answer.problem() == (401, stranger.code),
            };
            if !is_right {
                wrong.push(format!("{} {}: {answer}", row.route, stranger.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Outcome::Measured(format!("{calls} calls"))
}

fn request<'w>(world: &'w World, cast: &Cast, row: &Row, actor: Actor) -> Call<'w> {
    let Sample { method, path, body } = sample(cast, row, actor);
    let call = world.call(method, path);
    match body {
        Some(body) => call.json(&body),
        None => call,
    }
}

/// A request that fits its contract.
pub(super) struct Sample {
    pub(super) method: &'static str,
    /// With its query.
    pub(super) path: String,
    pub(super) body: Option<Value>,
}

/// The request of a row. What it would do again and again without harm: each caller that is
/// allowed makes something new, or asks for what is so already.
pub(super) fn sample(cast: &Cast, row: &Row, actor: Actor) -> Sample {
    let (method, path) = row.route.split_once(' ').unwrap();
    let nothing = Uuid::now_v7().to_string();
    let subject = match row.object {
        "own" | "-" => Some(&cast.subjects[0]),
        "peer" => Some(&cast.subjects[1]),
        "site" => Some(&cast.subjects[2]),
        "study" => Some(&cast.subjects[3]),
        _ => None,
    };
    let part = |of: fn(&crate::cast::Subject) -> &String| subject.map_or(&nothing, of).as_str();
    let (study, site) = (part(|s| &s.place.study), part(|s| &s.place.site));
    let id = part(|s| &s.id);
    let target = if subject.is_some() {
        &cast.target
    } else {
        &nothing
    };
    let questionnaire = if subject.is_some() {
        &cast.questionnaire
    } else {
        &nothing
    };
    let last = match path.split('/').nth(3).unwrap() {
        "identity" => target,
        _ => part(|s| &s.alert),
    };
    let filled = path
        .replace("{trialId}", study)
        .replace("{patientId}", id)
        .replace("{responseId}", part(|s| &s.response))
        .replace("{questionnaireId}", questionnaire)
        .replace("{id}", last);
    if method == "GET" {
        let query = match path.ends_with('}') || path.ends_with("progress") {
            true => "",
            false => "?limit=200",
        };
        return Sample {
            method,
            path: filled + query,
            body: None,
        };
    }
    let grant = json!({"role": "monitor", "trialId": study});
    let body = match path.rsplit('/').next().unwrap() {
        "login" => json!({"username": code("nobody"), "password": PASSWORD}),
        "refresh" | "logout" => json!({"refreshToken": "of nobody"}),
        "password" => json!({"currentPassword": PASSWORD, "newPassword": "short"}),
        "account" => {
            json!({"username": format!("m{}", Uuid::new_v4().simple()), "password": PASSWORD})
        }
        "grant" => grant,
        // One that it never had.
        "revoke" => json!({"role": "sponsor", "trialId": study}),
        "status" if path.contains("account") => json!({"status": "active", "reason": "as it is"}),
        "status" => json!({"status": 1, "reason": "again", "date": "2024-05-17"}),
        "trial" => json!({"code": code("M"), "title": "Of the matrix"}),
        "site" => json!({"code": code("M"), "name": "Of the matrix"}),
        "patient" => json!({
            "trialId": study, "siteId": site, "subjectNo": code("M"), "sex": "U", "birthDate": "1990",
        }),
        "questionnaire" => phq9::instrument("phq9"),
        "response" => phq9::response(id, phq9::MILD),
        "acknowledge" => json!({"note": format!("seen by {actor:?}")}),
        other => panic!("no request is known for {other}"),
    };
    Sample {
        method,
        path: filled,
        body: Some(body),
    }
}

/// An answer as the table writes it.
fn seen(cast: &Cast, row: &Row, answer: &Answer, expected: &str) -> String {
    if answer.status != 200 || !expected.starts_with('=') {
        return answer.status.to_string();
    }
    let items = answer.json["items"].as_array().unwrap();
    let found: Vec<String> = items
        .iter()
        .map(|item| crate::http::text(item, "id"))
        .collect();
    table::shown(&found, &known(cast, row.route))
}

/// The objects that a list is asked for, in the order of their numbers.
fn known<'c>(cast: &'c Cast, route: &str) -> Vec<&'c str> {
    let [a1, a2, b1] = &cast.places;
    let subjects = cast.subjects.iter();
    match route.rsplit('/').next().unwrap() {
        "trial" => vec![&a1.study, &b1.study],
        "site" => vec![&a1.site, &a2.site, &b1.site],
        "patient" => subjects.map(|subject| subject.id.as_str()).collect(),
        "response" => subjects.map(|subject| subject.response.as_str()).collect(),
        "alert" => subjects.map(|subject| subject.alert.as_str()).collect(),
        other => panic!("no objects are known for {other}"),
    }
}

/// The entries of a list that lie outside of the caller's scope, known to the table or not.
fn foreign(cast: &Cast, actor: Actor, row: &Row, list: &Value) -> Vec<Value> {
    let kind = row.route.rsplit('/').next().unwrap();
    let [a1, a2, b1] = &cast.places;
    let belongs = |item: &Value| {
        let (study, site) = match kind {
            "trial" => (&item["id"], &Value::Null),
            "site" => (&item["trialId"], &item["id"]),
            _ => (&item["trialId"], &item["siteId"]),
        };
        let subject = if kind == "patient" {
            &item["id"]
        } else {
            &item["subjectId"]
        };
        let at = |place: &crate::cast::Place| {
            *study == place.study && (site.is_null() || *site == place.site)
        };
        match actor {
            Actor::Admin => true,
            Actor::Sponsor => *study == a1.study,
            Actor::Investigator | Actor::Coordinator | Actor::Monitor => at(a1),
            Actor::OtherSite => at(a2),
            Actor::OtherStudy => at(b1),
            Actor::Patient => *subject == cast.subjects[0].id,
            Actor::OtherPatient => *subject == cast.subjects[1].id,
        }
    };
    if !["trial", "site", "patient", "response", "alert"].contains(&kind) {
        return Vec::new();
    }
    let items = list["items"].as_array().into_iter().flatten();
    items.filter(|item| !belongs(item)).cloned().collect()
}

/// Filters narrow what a caller sees: with somebody else's study or subject they show nothing.
pub(super) async fn r_15_no_filter_shows_what_is_not_the_callers(world: &World) -> Outcome {
    let cast = world.cast().await;
    let [_, peer, site, study] = &cast.subjects;
    let mut asked = 0;
    for (actor, subject, whose) in [
        (Actor::Coordinator, site, &site.place.study),
        (Actor::Coordinator, study, &study.place.study),
        (Actor::Sponsor, study, &study.place.study),
        (Actor::OtherStudy, site, &site.place.study),
        (Actor::Patient, peer, &study.place.study),
    ] {
        let mut paths = vec![
            format!("/api/v1/epro/response?subjectId={}", subject.id),
            format!(
                "/api/v1/epro/response?subjectId={}&trialId={whose}",
                subject.id
            ),
        ];
        // The coordinator of A1 works in study A as well: there the filter by study shows A1.
        if *whose != cast.own().place.study || actor == Actor::OtherStudy {
            paths.push(format!("/api/v1/patient?trialId={whose}"));
            if actor != Actor::Patient {
                paths.push(format!("/api/v1/epro/alert?trialId={whose}"));
            }
        }
        for path in paths {
            let list = world.get(cast.token(actor), path.clone()).await.expect(200);
            assert_eq!(list["items"], json!([]), "{actor:?} {path}");
            assert_eq!(list["nextCursor"], Value::Null, "{actor:?} {path}");
            asked += 1;
        }
    }
    Outcome::Measured(format!("{asked} lists"))
}

/// Also not under an account that they create for themselves: an account of staff has no subject.
pub(super) async fn r_20_sponsors_and_administrators_never_write_subject_data(
    world: &World,
) -> Outcome {
    let cast = world.cast().await;
    let own = cast.own();
    for actor in [Actor::Admin, Actor::Sponsor] {
        let token = cast.token(actor);
        let response = phq9::response(&own.id, phq9::MILD);
        let answer = world.post(token, "/api/v1/epro/response", &response).await;
        assert_eq!(answer.problem(), (403, "PERMISSION_DENIED"), "{actor:?}");
        let path = format!("/api/v1/patient/{}/status", own.id);
        let body = json!({"status": 2, "reason": "wanted", "date": "2024-05-17"});
        let answer = world.post(token, &path, &body).await;
        assert_eq!(answer.problem(), (403, "PERMISSION_DENIED"), "{actor:?}");
    }
    // Who grants himself the role of a patient stands for no subject.
    let admin = &cast.accounts[&Actor::Admin];
    let grant = json!({"role": "patient", "trialId": own.place.study});
    let path = format!("/api/v1/identity/account/{}/grant", admin.id);
    let answer = world.post(&admin.token, &path, &grant).await;
    assert_eq!(answer.problem(), (409, "ROLE_CONFLICT"));
    let path = format!("/api/v1/patient/{}", own.id);
    let subject = world
        .get(cast.token(Actor::Coordinator), path)
        .await
        .expect(200);
    assert_eq!(subject["patient"]["status"], 1);
    Outcome::Passed
}

pub(super) async fn r_34_names_are_shown_to_those_who_may_know_them(world: &World) -> Outcome {
    let cast = world.cast().await;
    let one = format!("/api/v1/patient/{}", cast.own().id);
    for actor in Actor::ALL {
        let may_know = matches!(actor, Actor::Investigator | Actor::Coordinator);
        let answer = world.get(cast.token(actor), one.clone()).await;
        if answer.status == 200 {
            let patient = &answer.json["patient"];
            for personal in ["name", "identityNumber", "phone"] {
                assert_eq!(
                    patient[personal].is_string(),
                    may_know,
                    "{actor:?} {personal}"
                );
            }
        }
        let list = world
            .get(cast.token(actor), "/api/v1/patient?limit=200")
            .await
            .expect(200);
        let items = list["items"].as_array().unwrap();
        let shown = items.iter().filter(|item| !item["name"].is_null()).count();
        let own_site = matches!(actor, Actor::OtherSite | Actor::OtherStudy);
        assert_eq!(shown > 0, may_know || own_site, "{actor:?}");
    }
    Outcome::Passed
}
