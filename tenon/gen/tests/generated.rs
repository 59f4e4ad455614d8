//! Generated code at work: the golden file of every type, compiled here, binds requests and
//! writes JSON as the contract says.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails the test")]

#[path = "cases/every_type/expected/contract/src/gen/rest.rs"]
#[rustfmt::skip]
#[allow(dead_code, unreachable_pub, reason = "in its crate all of it is public")]
mod rest;

use std::borrow::Cow;

use rest::{Everything, FromEverywhere, Leaf};
use serde_json::{Value, json};
use tenon::{
    Result,
    rest::{Bind, Parts},
};

/// A body with every required field.
fn whole() -> Value {
    json!({
        "shared": "s", "bool": true, "int": 4, "int8": -128, "int16": 2, "int64": "-9",
        "uint8": 255, "uint16": 1, "uint64": 1, "byte": 1, "rune": 20142, "float32": 0.5,
        "text": "completed", "omitted": "", "bytes": "aGk=", "time": "2026-01-31T08:30:00+08:00",
        "any": null, "list": [1], "matrix": [[0.5], []], "pair": [1, 2], "map": {"a": 1},
        "numbered": {"7": {"name": "n"}}, "deep": {"a": [{"b": {"name": "d"}}]},
        "leaf": {"name": "l"}, "leaves": [], "blobs": ["aGk="], "anonymous": {"inner": "i"},
        "left": 1, "Untagged": "u", "snake_case": "s",
        "person": {"id": "S-1", "birthDate": "1949-12-31", "remarks": null}
    })
}

fn bind<T: Bind>(path: &[(&str, Cow<'_, str>)], query: &str, body: &str) -> Result<T> {
    let mut headers = http::HeaderMap::new();
    headers.insert("x-roles", http::HeaderValue::from_static("a, b"));
    T::bind(&Parts {
        path,
        query,
        headers: &headers,
        body: body.as_bytes(),
        strict: true,
        json_depth: 127,
    })
}

fn everything(change: impl FnOnce(&mut Value)) -> Result<Everything> {
    let mut body = whole();
    change(&mut body);
    bind(&[], "", &body.to_string())
}

fn rules<T: std::fmt::Debug>(outcome: Result<T>) -> Vec<String> {
    let error = outcome.unwrap_err();
    let found = error.all_violations().iter();
    found
        .map(|found| format!("{}.{} {}", found.location, found.path, found.rule))
        .collect()
}

#[test]
fn every_type_is_read() {
    let read = everything(|_| {}).unwrap();
    assert_eq!((read.int32, read.uint, read.float64), (-7, u64::MAX, 0.5));
    assert_eq!(read.int64, -9);
    assert_eq!(read.bytes.as_slice(), b"hi");
    assert_eq!(read.time.to_string(), "2026-01-31T00:30:00Z");
    assert_eq!(read.any, Value::Null);
    assert_eq!(read.anything, None);
    assert_eq!(read.numbered[&7].name, "n");
    assert_eq!(read.deep["a"][0]["b"].name, "d");
    assert_eq!(read.anonymous.inner, "i");
    assert_eq!(read.parent, None);
}

#[test]
fn a_type_inside_itself_is_read() {
    let read = everything(|body| body["parent"] = whole()).unwrap();
    assert_eq!(read.parent.unwrap().shared, "s");
    let wrong = everything(|body| {
        body["parent"] = whole();
        body["parent"]["parent"] = json!({"leaf": {"name": 1}});
    });
    let found = rules(wrong);
    assert!(found.contains(&"body.parent.parent.leaf.name type".to_owned()));
    assert!(found.contains(&"body.parent.parent.time required".to_owned()));
}

#[test]
fn rules_of_the_contract_are_checked() {
    let outcome = everything(|body| {
        body["int"] = json!(5);
        body["int16"] = json!(4);
        body["int64"] = json!(-9);
        body["uint64"] = json!(0);
        body["float32"] = json!(0);
        body["float64"] = json!(1.5);
        body["text"] = json!("closed");
        body["pair"] = json!([1]);
        body["numbered"] = json!({"x": {"name": "n"}});
        body["first"] = json!("alone");
        body["right"] = json!(2);
        body["surprise"] = json!(1);
        body["leaf"]["surprise"] = json!(1);
    });
    let mut found = rules(outcome);
    found.sort();
    assert_eq!(
        found,
        [
            "body.first presence",
            "body.float32 range",
            "body.float64 range",
            "body.int range",
            "body.int16 options",
            "body.int64 type",
            "body.leaf.surprise unknown",
            "body.left presence",
            "body.numbered.* type",
            "body.pair length",
            "body.second presence",
            "body.surprise unknown",
            "body.text options",
            "body.uint64 range",
        ]
    );
}

#[test]
fn what_is_read_is_written_as_the_contract_says() {
    let mut body = whole();
    let written = serde_json::to_value(everything(|_| {}).unwrap()).unwrap();
    // Left out when empty, filled in when absent, in UTC.
    body.as_object_mut().unwrap().remove("omitted");
    body["person"] = json!({
        "id": "S-1", "birthDate": "1949-12-31", "remarks": null, "weight": "70.5", "children": 0,
        "title": "", "language": "zh", "nickname": "none",
    });
    body["int32"] = json!(-7);
    body["uint"] = json!(u64::MAX);
    body["float64"] = json!(0.5);
    body["time"] = json!("2026-01-31T00:30:00Z");
    body["matrix"] = json!([[0.5], []]);
    body["pair"] = json!([1.0, 2.0]);
    assert_eq!(written, body);
}

#[test]
fn all_four_places_are_read_together() {
    let path = [
        ("id", Cow::from("-5")),
        ("day-of", "2026-01-31T00:00:00Z".into()),
    ];
    let read: FromEverywhere = bind(
        &path,
        "pair=1,2&tags=a&tags=b&exact=true&page2=false",
        r#"{"leaves":[{"name":"x"}]}"#,
    )
    .unwrap();
    assert_eq!((read.id, read.page, read.size), (-5, 1, None));
    assert_eq!(read.tags.unwrap(), ["a", "b"]);
    assert_eq!(read.roles, ["a", "b"]);
    assert_eq!(
        read.leaves,
        [Leaf {
            name: "x".to_owned()
        }]
    );
    let path = [("id", Cow::from("x")), ("day-of", "today".into())];
    let outcome: Result<FromEverywhere> =
        bind(&path, "pair=1&size=0&page=0&exact=1", r#"{"leaves":[{}]}"#);
    assert_eq!(
        rules(outcome),
        [
            "path.id type",
            "path.day-of type",
            "query.page range",
            "query.size range",
            "query.pair length",
            "query.exact presence",
            "body.leaves[0].name required",
        ]
    );
}
