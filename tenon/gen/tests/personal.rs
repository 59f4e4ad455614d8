//! What a contract calls personal, through the door of a service generated from it: the values
//! arrive and are answered, and nothing prints them.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails the test")]

#[path = "cases/every_type/expected/contract/src/gen/rest.rs"]
#[rustfmt::skip]
#[allow(dead_code, unreachable_pub, reason = "in its crate all of it is public")]
mod rest;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use http::{Request, StatusCode};
use http_body_util::BodyExt;
use rest::{Everything, FindPerson, FromEverywhere, Leaf, PathOnly, Person, TypesApi};
use serde_json::{Value, json};
use tenon::{
    Context, Json, Personal, Result, catalogue,
    config::RestConfig,
    rest::{
        Door,
        axum::{Router, body::Body},
    },
};
use tower::ServiceExt;

/// A service that answers what it was sent, and keeps how the requests print themselves.
#[derive(Clone, Default)]
struct Echo {
    shown: Arc<Mutex<Vec<String>>>,
}

impl Echo {
    fn show(&self, request: &impl std::fmt::Debug) {
        let mut shown = self.shown.lock().unwrap();
        shown.extend([format!("{request:?}"), format!("{request:#?}")]);
    }

    fn router(&self) -> Router {
        let routes = rest::routes(self.clone());
        let door = Door::new("types", RestConfig::default(), routes);
        door.router().unwrap()
    }
}

impl TypesApi for Echo {
    async fn everything(&self, _: &Context, req: Everything) -> Result<Everything> {
        self.show(&req);
        Ok(req)
    }

    async fn find_person(&self, _: &Context, req: FindPerson) -> Result<Person> {
        self.show(&req);
        // The one door: by its name, or the value with its wrapping, as it is.
        assert_eq!(req.number.expose(), "canary-number");
        Ok(Person {
            id: "S-1".to_owned(),
            name: req.name,
            birth_date: req.number,
            phones: Some(req.phones),
            age: Some(req.age),
            born_at: req.born,
            relatives: req
                .alias
                .map(|alias| BTreeMap::from([("alias".to_owned(), alias.into_exposed())]).into()),
            home: Some(req.home),
            title: req.note.unwrap_or_default(),
            ..Person::default()
        })
    }

    async fn everywhere(&self, _: &Context, _: FromEverywhere) -> Result<Leaf> {
        Err(catalogue::METHOD_UNIMPLEMENTED.error())
    }

    async fn path_only(&self, _: &Context, _: PathOnly) -> Result<()> {
        Err(catalogue::METHOD_UNIMPLEMENTED.error())
    }

    async fn listed(&self, _: &Context, req: Vec<Leaf>) -> Result<Vec<Leaf>> {
        Ok(req)
    }

    async fn mapped(
        &self,
        _: &Context,
        _: BTreeMap<String, Leaf>,
    ) -> Result<BTreeMap<String, i64>> {
        Err(catalogue::METHOD_UNIMPLEMENTED.error())
    }

    async fn anything(&self, _: &Context, req: Json) -> Result<Json> {
        Ok(req)
    }

    async fn text(&self, _: &Context) -> Result<String> {
        Err(catalogue::METHOD_UNIMPLEMENTED.error())
    }

    async fn number(&self, _: &Context) -> Result<i64> {
        Err(catalogue::METHOD_UNIMPLEMENTED.error())
    }
}

async fn post(echo: &Echo, path: &str, body: &Value) -> (StatusCode, Value) {
    let request = Request::post(path)
        .header("content-type", "application/json")
        .header("x-born", "1949-12-31T00:00:00Z")
        .header("x-alias", "canary-alias, canary-other")
        .body(Body::from(body.to_string()))
        .unwrap();
    let response = echo.router().oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let mut answer: Value = serde_json::from_slice(&bytes).unwrap();
    // Random digits could hold a canary.
    answer.as_object_mut().unwrap().remove("traceId");
    (status, answer)
}

/// Somebody of whom everything is told.
fn person() -> Value {
    json!({
        "id": "S-1", "name": "canary-name", "birthDate": "canary-date", "sex": "U", "age": "149",
        "weight": "81234.5", "children": 77_777, "title": "canary-title", "language": "canary-zh",
        "suffix": "canary-suffix", "nickname": "canary-nick", "phones": ["canary-1", "canary-2"],
        "position": [81_234.25, 81_234.5], "relatives": {"canary-mother": ["canary-mother-name"]},
        "photo": "Y2FuYXJ5", "bornAt": "1949-12-31T08:12:34Z", "remarks": {"canary": [true]},
        "home": {"name": "canary-home"}, "homes": [{"name": "canary-homes"}],
        "twin": {
            "id": "S-2", "name": "canary-twin", "birthDate": "canary-twin", "remarks": null,
            "weight": "70.5", "children": 0, "title": "", "language": "zh", "nickname": "none",
        },
    })
}

/// What [`person`] is found by.
const CANARIES: [&str; 6] = ["canary", "149", "8123", "77777", "1949", "Y2Fu"];

/// A body with every required field, and somebody in it.
fn everything(person: &Value) -> Value {
    json!({
        "shared": "s", "bool": true, "int": 4, "int8": -128, "int16": 2, "int64": "-9",
        "uint8": 255, "uint16": 1, "uint64": 1, "byte": 1, "rune": 20142, "float32": 0.5,
        "text": "completed", "omitted": "", "bytes": "aGk=", "time": "2026-01-31T08:30:00Z",
        "any": null, "list": [1], "matrix": [[0.5], []], "pair": [1, 2], "map": {"a": 1},
        "numbered": {}, "deep": {}, "leaf": {"name": "l"}, "leaves": [], "blobs": ["aGk="],
        "anonymous": {"inner": "i"}, "left": 1, "Untagged": "u", "snake_case": "s",
        "person": person,
    })
}

/// Fails where a text shows anything of somebody.
fn assert_clean(text: &str) {
    for canary in CANARIES {
        assert!(!text.contains(canary), "{canary} is in {text}");
    }
}

#[tokio::test]
async fn personal_values_of_every_type_arrive_and_are_answered_and_nothing_shows_them() {
    let echo = Echo::default();
    let sent = person();
    let (status, answered) = post(&echo, "/everything", &everything(&sent)).await;
    assert_eq!(status, 200, "{answered}");
    assert_eq!(answered["person"], sent);
    let shown = echo.shown.lock().unwrap().clone();
    assert_eq!(shown.len(), 2);
    for text in shown {
        assert!(text.contains("S-1"), "{text}");
        assert!(text.matches("[personal]").count() >= 19, "{text}");
        assert_clean(&text);
    }
}

#[tokio::test]
async fn personal_values_of_path_query_headers_and_body_arrive_together() {
    let echo = Echo::default();
    let path = "/person/canary-number?name=canary-name&phones=canary-1&phones=canary-2&age=149";
    let body = json!({"home": {"name": "canary-home"}, "note": "canary-note"});
    let (status, answered) = post(&echo, path, &body).await;
    assert_eq!(status, 200, "{answered}");
    let expected = json!({
        "id": "S-1", "name": "canary-name", "birthDate": "canary-number", "age": "149",
        "weight": "0", "children": 0, "title": "canary-note", "language": "", "remarks": null,
        "phones": ["canary-1", "canary-2"], "bornAt": "1949-12-31T00:00:00Z",
        "relatives": {"alias": ["canary-alias", "canary-other"]}, "home": {"name": "canary-home"},
    });
    assert_eq!(answered, expected);
    for text in echo.shown.lock().unwrap().iter() {
        assert!(text.contains("FindPerson"), "{text}");
        assert_clean(text);
    }
}

#[tokio::test]
async fn what_does_not_fit_is_named_and_not_quoted() {
    let echo = Echo::default();
    let mut wrong = person();
    for field in [
        "name",
        "phones",
        "position",
        "home",
        "children",
        "relatives",
    ] {
        wrong[field] = json!({"canary": "canary"});
    }
    wrong["sex"] = json!("canary-sex");
    wrong["age"] = json!("8123");
    wrong["weight"] = json!("canary");
    wrong["photo"] = json!("canary!");
    wrong["bornAt"] = json!("1949-12-31");
    wrong["homes"] = json!([{"name": 8123}]);
    wrong["twin"]["remarks"].take();
    wrong["twin"]["birthDate"].take();
    let (status, problem) = post(&echo, "/everything", &everything(&wrong)).await;
    assert_eq!(status, 400, "{problem}");
    let mut found: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| {
            error["path"]
                .as_str()
                .unwrap()
                .trim_start_matches("person.")
        })
        .collect();
    found.sort_unstable();
    let expected = [
        "age",
        "bornAt",
        "children",
        "home.name",
        "homes[0].name",
        "name",
        "phones",
        "photo",
        "position",
        "relatives.*",
        "sex",
        "twin.birthDate",
        "weight",
    ];
    assert_eq!(found, expected);
    assert_clean(&problem.to_string());

    let path = "/person/canary?name=canary&name=canary&age=8123";
    let (status, problem) = post(&echo, path, &json!({"home": "canary"})).await;
    assert_eq!(status, 400, "{problem}");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 4, "{problem}");
    assert_clean(&problem.to_string());
    assert_eq!(echo.shown.lock().unwrap().len(), 0);
}

#[test]
fn a_personal_field_is_as_large_as_its_value() {
    assert_eq!(size_of::<Personal<Leaf>>(), size_of::<Leaf>());
    let person = Person::default();
    assert_eq!(size_of_val(&person.name), size_of::<Option<String>>());
    assert_eq!(size_of_val(&person.position), size_of::<Option<Vec<f64>>>());
    assert_eq!(size_of_val(&person.twin), size_of::<Option<Box<Person>>>());
}
