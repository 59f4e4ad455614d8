//! The same submission again, and another one under its id.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    cast::Actor,
    http::{Answer, text},
    phq9,
    run::Outcome,
    world::World,
};

const PATH: &str = "/api/v1/epro/response";

pub(super) async fn r_30_a_hundred_posts_of_one_response_store_it_once(world: &World) -> Outcome {
    let cast = world.cast().await;
    let (own, token) = (cast.own(), cast.token(Actor::Patient));
    let before = world.audited().await["epro"];
    let response = phq9::response(&own.id, phq9::MODERATE);
    let posts = (0..100).map(|_| world.post(token, PATH, &response));
    let answers: Vec<Answer> = join_all(posts).await;
    let of = |status| {
        answers
            .iter()
            .filter(|answer| answer.status == status)
            .count()
    };
    assert_eq!(
        (of(201), of(200)),
        (1, 99),
        "{:?}",
        answers.iter().map(|a| a.status).collect::<Vec<_>>()
    );
    let receipts: BTreeSet<String> = answers
        .iter()
        .map(|answer| answer.json.to_string())
        .collect();
    assert_eq!(receipts.len(), 1, "{receipts:?}");
    assert_eq!(world.audited().await["epro"], before + 1);

    // The order of members, white space, and what only shows it to people mean nothing.
    let mut shuffled: Vec<(String, Value)> = response
        .as_object()
        .unwrap()
        .clone()
        .into_iter()
        .rev()
        .collect();
    shuffled.push((
        "text".to_owned(),
        json!({"status": "generated", "div": "<div/>"}),
    ));
    let members = shuffled
        .iter()
        .map(|(name, value)| format!(" \"{name}\" :\n{value}"));
    let again = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
    let call = world
        .call("POST", PATH)
        .token(token)
        .bytes("application/fhir+json", again);
    let answer = call.send().await;
    assert_eq!(
        (answer.status, answer.json.to_string()),
        (200, receipts.into_iter().next().unwrap())
    );

    assert_stored_once(world, &response).await;
    Outcome::Passed
}

/// One response and one alert, in the lists of those who may see them.
async fn assert_stored_once(world: &World, response: &Value) {
    let cast = world.cast().await;
    let token = cast.token(Actor::Patient);
    let list = world
        .get(token, format!("{PATH}?limit=200"))
        .await
        .expect(200);
    let items = list["items"].as_array().unwrap();
    assert_eq!(
        items
            .iter()
            .filter(|item| item["id"] == response["id"])
            .count(),
        1
    );
    let alerts = world
        .get(
            cast.token(Actor::Coordinator),
            "/api/v1/epro/alert?limit=200",
        )
        .await
        .expect(200);
    let alerts = alerts["items"].as_array().unwrap();
    assert_eq!(
        alerts
            .iter()
            .filter(|alert| alert["responseId"] == response["id"])
            .count(),
        1
    );
}

pub(super) async fn r_30_another_content_under_a_stored_id_is_refused_and_recorded(
    world: &World,
) -> Outcome {
    let cast = world.cast().await;
    let (own, token) = (cast.own(), cast.token(Actor::Patient));
    let response = phq9::response(&own.id, phq9::MILD);
    world.post(token, PATH, &response).await.expect(201);
    let mut other = phq9::response(&own.id, phq9::MODERATE);
    other["id"] = response["id"].clone();
    let answers = join_all((0..5).map(|_| world.post(token, PATH, &other))).await;
    for answer in &answers {
        assert_eq!(answer.problem(), (409, "RESPONSE_ID_CONFLICT"));
    }
    let id = text(&response, "id");
    let trail = world.epro_trail(&own.place.study).await;
    let told: Vec<_> = trail
        .iter()
        .map(|stored| &stored.record)
        .filter(|record| record.entity_id == id)
        .collect();
    let actions: Vec<_> = told.iter().map(|record| record.action.as_str()).collect();
    assert_eq!(actions[0], "response.submit");
    assert_eq!(&actions[1..], ["response.conflict"; 5]);
    assert_eq!(told[1].actor, cast.accounts[&Actor::Patient].id);
    let read = world.get(token, format!("{PATH}/{id}")).await.expect(200);
    assert_eq!(read["resource"], response);

    // Two contents under one new id at the same moment: one is stored, the other one refused.
    let first = phq9::response(&own.id, phq9::MILD);
    let mut second = phq9::response(&own.id, phq9::MODERATE);
    second["id"] = first["id"].clone();
    let both =
        (0..20).map(|turn| world.post(token, PATH, if turn % 2 == 0 { &first } else { &second }));
    let answers = join_all(both).await;
    let of = |status| {
        answers
            .iter()
            .filter(|answer| answer.status == status)
            .count()
    };
    assert_eq!((of(201), of(200), of(409)), (1, 9, 10));
    Outcome::Passed
}
