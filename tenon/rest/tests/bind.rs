//! Binding through its public door: types as the generator writes them, requests as they come.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails the test")]

use std::{borrow::Cow, collections::BTreeMap};

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;
use tenon_core::{Error, Result, catalogue};
use tenon_rest::{
    Bind, Parts,
    bind::{self, Fields, MapAccess, Slot},
};

#[derive(Debug, PartialEq)]
struct SubmitReq {
    trial_id: String,
    dry_run: Option<bool>,
    sites: Option<Vec<i32>>,
    limit: i64,
    device: String,
    items: Vec<Item>,
    labels: Option<BTreeMap<String, u8>>,
    extra: Option<serde_json::Value>,
    taken_at: Option<Timestamp>,
    photo: Option<bind::Base64>,
    serial: Option<u64>,
    pair: Option<Vec<f32>>,
}

struct SubmitReqBody {
    items: Vec<Item>,
    labels: Option<BTreeMap<String, u8>>,
    extra: Option<serde_json::Value>,
    taken_at: Option<Timestamp>,
    photo: Option<bind::Base64>,
    serial: Option<u64>,
    pair: Option<Vec<f32>>,
}

impl Bind for SubmitReq {
    fn bind(parts: &Parts<'_>) -> Result<Self> {
        bind::read(parts, |input| {
            let trial_id = input.path("trialId").required();
            let dry_run = input.query("dryRun").optional();
            let sites = input.query_list("sites").optional();
            let limit = input.query("limit").range(1..=200).or(50);
            let device = input
                .header("X-Device")
                .one_of(&["phone", "tablet"])
                .required();
            let body: Option<SubmitReqBody> = input.body();
            let body = body?;
            Some(Self {
                trial_id: trial_id?,
                dry_run: dry_run?,
                sites: sites?,
                limit: limit?,
                device: device?,
                items: body.items,
                labels: body.labels,
                extra: body.extra,
                taken_at: body.taken_at,
                photo: body.photo,
                serial: body.serial,
                pair: body.pair,
            })
        })
    }
}

impl bind::Object for SubmitReqBody {
    const KEYS: &'static [&'static str] = &[
        "items", "labels", "extra", "takenAt", "photo", "serial", "pair",
    ];

    fn read<'de, A: MapAccess<'de>>(
        mut json: Fields<'_, 'de, A>,
    ) -> Result<Option<Self>, A::Error> {
        let mut items = Slot::Absent;
        let mut labels = Slot::Absent;
        let mut extra = Slot::Absent;
        let mut taken_at = Slot::Absent;
        let mut photo = Slot::Absent;
        let mut serial = Slot::Absent;
        let mut pair = Slot::Absent;
        while let Some(key) = json.next_key()? {
            match key {
                0 => items = json.value()?,
                1 => labels = json.value()?,
                2 => extra = json.value()?,
                3 => taken_at = json.value()?,
                4 => photo = json.value()?,
                5 => serial = json.quoted()?,
                _ => pair = json.value()?,
            }
        }
        let pair_given = pair.is_given();
        let items = json.field(0, items).required();
        let labels = json.field(1, labels).optional();
        let extra = json.field(2, extra).optional();
        let taken_at = json.field(3, taken_at).optional();
        let photo = json.field(4, photo).with("pair", pair_given).optional();
        let serial = json.field(5, serial).optional();
        let pair = json.field(6, pair).length(2).optional();
        json.build(|| {
            Some(Self {
                items: items?,
                labels: labels?,
                extra: extra?,
                taken_at: taken_at?,
                photo: photo?,
                serial: serial?,
                pair: pair?,
            })
        })
    }
}

#[derive(Debug, PartialEq)]
struct Item {
    link_id: String,
    value: i8,
    note: Option<String>,
}

impl bind::Object for Item {
    const KEYS: &'static [&'static str] = &["linkId", "value", "note"];

    fn read<'de, A: MapAccess<'de>>(
        mut json: Fields<'_, 'de, A>,
    ) -> Result<Option<Self>, A::Error> {
        let mut link_id = Slot::Absent;
        let mut value = Slot::Absent;
        let mut note = Slot::Absent;
        while let Some(key) = json.next_key()? {
            match key {
                0 => link_id = json.value()?,
                1 => value = json.value()?,
                _ => note = json.value()?,
            }
        }
        let link_id = json.field(0, link_id).required();
        let value = json.field(1, value).range(0..=10).required();
        let note = json.field(2, note).optional();
        json.build(|| {
            Some(Self {
                link_id: link_id?,
                value: value?,
                note: note?,
            })
        })
    }
}

/// A request with a trial and a device, and else as given.
fn submit(query: &str, body: &str) -> Result<SubmitReq> {
    submit_with("phone", query, body, false)
}

fn submit_with(device: &str, query: &str, body: &str, strict: bool) -> Result<SubmitReq> {
    let mut headers = HeaderMap::new();
    headers.insert("x-device", HeaderValue::from_str(device).unwrap());
    SubmitReq::bind(&Parts {
        path: &[("trialId", Cow::Borrowed("T1"))],
        query,
        headers: &headers,
        body: body.as_bytes(),
        strict,
        json_depth: 127,
    })
}

/// `in.path rule` of every violation.
fn rules<T: std::fmt::Debug>(outcome: Result<T>) -> Vec<String> {
    let error = outcome.unwrap_err();
    assert!(error.is(&catalogue::REQUEST_INVALID), "{error:?}");
    found(&error)
}

fn found(error: &Error) -> Vec<String> {
    error
        .all_violations()
        .iter()
        .map(|found| format!("{}.{} {}", found.location, found.path, found.rule))
        .collect()
}

#[test]
fn a_whole_request_is_read_from_all_four_places() {
    let body = r#"{"unknown":[1,{"a":null}],"items":[{"linkId":"q1","value":3,"note":null}],
        "labels":{"a":1},"extra":{"x":[1.5,"t",null]},"takenAt":"2026-01-31T08:30:00.5+08:00",
        "photo":"aGk=","serial":"18446744073709551615","pair":[1,2.5]}"#;
    let req = submit("dryRun=TRUE&sites=1,2&sites[]=3&limit=", body).unwrap();
    assert_eq!(req.trial_id, "T1");
    assert_eq!(req.dry_run, Some(true));
    assert_eq!(req.sites, Some(vec![1, 2, 3]));
    assert_eq!(req.limit, 50);
    assert_eq!(req.items[0].note, None);
    assert_eq!(req.labels.unwrap()["a"], 1);
    assert_eq!(req.extra, Some(json!({"x": [1.5, "t", null]})));
    assert_eq!(req.taken_at.unwrap().to_string(), "2026-01-31T00:30:00.5Z");
    assert_eq!(req.photo.unwrap().as_slice(), b"hi");
    assert_eq!(req.serial, Some(u64::MAX));
    assert_eq!(req.pair, Some(vec![1.0, 2.5]));
}

#[test]
fn every_violation_of_all_four_places_is_reported_at_once() {
    let body = r#"{"items":[{"linkId":7,"value":3},{"value":11},{"linkId":"c","value":1.0},
        null,"x",{"linkId":null,"value":200}],
        "labels":{"a":256,"b":[1]},"takenAt":"2026-01-31","photo":"?","serial":5,"pair":[1]}"#;
    let outcome = submit_with("watch", "dryRun=maybe&sites=1,x&limit=201", body, false);
    assert_eq!(
        rules(outcome),
        [
            "query.dryRun type",
            "query.sites[1] type",
            "query.limit range",
            "header.X-Device options",
            "body.items[0].linkId type",
            "body.items[1].linkId required",
            "body.items[1].value range",
            "body.items[2].value type",
            "body.items[3] type",
            "body.items[4] type",
            "body.items[5].value type",
            "body.items[5].linkId type",
            "body.labels.* type",
            "body.labels.* type",
            "body.takenAt type",
            "body.photo type",
            "body.serial type",
            "body.pair length",
        ]
    );
}

#[test]
fn what_was_found_is_never_repeated() {
    let secret = "110101199003070011";
    let body = format!(
        r#"{{"{secret}":1,"items":"{secret}","labels":{{"{secret}":"{secret}"}},"name":1}}"#
    );
    let error = submit_with("phone", &format!("limit={secret}x"), &body, true).unwrap_err();
    assert!(!format!("{:?}", error.all_violations()).contains(secret));
    assert_eq!(
        found(&error),
        [
            "query.limit type",
            "body.* unknown",
            "body.items type",
            "body.labels.* type",
            "body.name unknown"
        ]
    );
}

#[test]
fn expectations_name_what_would_fit() {
    let error = submit("limit=0", r#"{"items":[{"linkId":"a","value":128}]}"#).unwrap_err();
    let expected: Vec<&str> = error
        .all_violations()
        .iter()
        .map(|found| found.expected.as_str())
        .collect();
    assert_eq!(
        expected,
        ["at least 1 and at most 200", "integer from -128 to 127"]
    );
}

#[test]
fn duplicates_are_refused_everywhere() {
    let body = r#"{"items":[],"items":[],"labels":{"a":1,"a":2},"extra":[{"k":1,"k":1}]}"#;
    assert_eq!(
        rules(submit("dryRun=1&dryRun=1", body)),
        [
            "query.dryRun duplicate",
            "body.items duplicate",
            "body.labels.* duplicate",
            "body.extra[0].* duplicate"
        ]
    );
    let mut headers = HeaderMap::new();
    headers.append("x-device", HeaderValue::from_static("phone"));
    headers.append("x-device", HeaderValue::from_static("tablet"));
    let outcome = SubmitReq::bind(&Parts {
        path: &[("trialId", Cow::Borrowed("T1"))],
        query: "",
        headers: &headers,
        body: br#"{"items":[]}"#,
        strict: false,
        json_depth: 127,
    });
    assert_eq!(rules(outcome), ["header.X-Device duplicate"]);
}

#[test]
fn an_empty_body_is_an_object_without_fields_and_no_list() {
    assert_eq!(rules(submit("", " \n")), ["body.items required"]);
    assert_eq!(rules(list::<Vec<Item>>("")), ["body. required"]);
    assert_eq!(rules(list::<serde_json::Value>("")), ["body. required"]);
}

/// A body that is bound whole.
fn list<T: Bind>(body: &str) -> Result<T> {
    T::bind(&Parts {
        path: &[],
        query: "",
        headers: &HeaderMap::new(),
        body: body.as_bytes(),
        strict: false,
        json_depth: 127,
    })
}

#[test]
fn whole_bodies_are_lists_maps_and_any_value() {
    assert_eq!(list::<Vec<i64>>("[1,-2]").unwrap(), [1, -2]);
    let map: BTreeMap<i32, bool> = list(r#"{"-5":true}"#).unwrap();
    assert!(map[&-5]);
    assert_eq!(list::<serde_json::Value>("null").unwrap(), json!(null));
    assert_eq!(
        rules(list::<BTreeMap<i32, bool>>(r#"{"x":true}"#)),
        ["body.* type"]
    );
    assert_eq!(rules(list::<Vec<i64>>("{}")), ["body. type"]);
}

#[test]
fn broken_json_is_reported_with_what_was_found_before_it() {
    for (body, expected) in [
        (
            r#"{"items":5,"labels":{"a":"#,
            vec!["body.items type", "body. syntax"],
        ),
        (r#"{"items":[]} x"#, vec!["body. syntax"]),
        (r#"{"items":[],}"#, vec!["body. syntax"]),
        (r#"{"extra":1e999}"#, vec!["body. syntax"]),
        ("{\"items\":\"\u{1}\"}", vec!["body. syntax"]),
    ] {
        let error = submit("", body).unwrap_err();
        assert!(error.is(&catalogue::BODY_MALFORMED), "{body}: {error:?}");
        assert_eq!(found(&error), expected, "{body}");
    }
}

#[test]
fn nesting_is_limited() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(list::<serde_json::Value>(&nested(127)).is_ok());
    for levels in [128, 100_000] {
        let error = list::<serde_json::Value>(&nested(levels)).unwrap_err();
        assert!(error.is(&catalogue::BODY_MALFORMED));
        assert_eq!(found(&error), ["body. depth"]);
    }
    // Below a key that nobody reads it is the same: a document is JSON as a whole or not at all.
    let unread = |levels| {
        submit(
            "",
            &format!(r#"{{"items":[],"unknown":{}}}"#, nested(levels)),
        )
    };
    assert!(unread(126).is_ok());
    assert!(unread(127).unwrap_err().is(&catalogue::BODY_MALFORMED));
}

#[test]
fn violations_are_capped() {
    let body = format!(r#"{{"items":[{}1]}}"#, "1,".repeat(5_000));
    assert_eq!(rules(submit("", &body)).len(), bind::MAX_VIOLATIONS);
}

#[test]
fn integers_fit_their_width_and_have_no_fraction() {
    for bad in [
        "128",
        "-129",
        "1.0",
        "1e0",
        "18446744073709551616",
        "true",
        "\"1\"",
    ] {
        assert_eq!(
            rules(list::<Vec<i8>>(&format!("[{bad}]"))),
            ["body.[0] type"],
            "{bad}"
        );
    }
    assert_eq!(list::<Vec<i8>>("[-128,127]").unwrap(), [-128, 127]);
    assert_eq!(rules(list::<Vec<i8>>("[-0]")), ["body.[0] type"]);
    assert_eq!(
        list::<Vec<u64>>("[18446744073709551615]").unwrap(),
        [u64::MAX]
    );
    assert_eq!(rules(list::<Vec<u64>>("[-1]")), ["body.[0] type"]);
    assert_eq!(list::<Vec<f32>>("[3,-1,0.5]").unwrap(), [3.0, -1.0, 0.5]);
    assert_eq!(rules(list::<Vec<f32>>("[1e39]")), ["body.[0] type"]);
}

#[test]
fn times_are_rfc_3339_with_an_offset() {
    for good in [
        "2026-01-31T08:30:00Z",
        "2026-01-31t08:30:00.123456789z",
        "2026-01-31T08:30:00-07:00",
    ] {
        assert!(
            list::<Vec<Timestamp>>(&format!("[\"{good}\"]")).is_ok(),
            "{good}"
        );
    }
    for bad in [
        "2026-01-31",
        "2026-01-31T08:30:00",
        "2026-01-31 08:30:00Z",
        "2026-02-30T08:30:00Z",
        "2026-01-31T08:30:00+08",
        "2026-01-31T08:30:00+08:00[Asia/Shanghai]",
        "20260131T083000Z",
        "",
        "2026-01-31T08:30:00.Z",
        "2026-01-31T25:30:00Z",
    ] {
        assert_eq!(
            rules(list::<Vec<Timestamp>>(&format!("[\"{bad}\"]"))),
            ["body.[0] type"],
            "{bad}"
        );
    }
}

#[test]
fn base64_is_standard_and_padded() {
    let read = |text: &str| list::<Vec<bind::Base64>>(&format!("[\"{text}\"]"));
    assert_eq!(read("+/8=").unwrap()[0].as_slice(), [0xfb, 0xff]);
    for bad in ["-_8=", "+/8", "+/8 =", "a"] {
        assert_eq!(rules(read(bad)), ["body.[0] type"], "{bad}");
    }
}

#[derive(Debug, PartialEq)]
struct TextReq {
    name: Option<String>,
    names: Option<Vec<String>>,
    ids: Option<Vec<u32>>,
    tags: Option<Vec<String>>,
    size: Option<f64>,
}

impl Bind for TextReq {
    const BODY: bool = false;

    fn bind(parts: &Parts<'_>) -> Result<Self> {
        bind::read(parts, |input| {
            let name = input.query("name").optional();
            let names = input.query_list("names").optional();
            let ids = input.query_list("ids").each_range(1..).optional();
            let tags = input
                .header_list("x-tags")
                .each_one_of(&["a", "b"])
                .optional();
            let size = input.query("size").above(0.0, ..1.0).optional();
            Some(Self {
                name: name?,
                names: names?,
                ids: ids?,
                tags: tags?,
                size: size?,
            })
        })
    }
}

fn text(query: &str, tags: &[&[u8]]) -> Result<TextReq> {
    let mut headers = HeaderMap::new();
    for tag in tags {
        let name = HeaderName::from_static("x-tags");
        headers.append(name, HeaderValue::from_bytes(tag).unwrap());
    }
    TextReq::bind(&Parts {
        path: &[],
        query,
        headers: &headers,
        body: b"this is not read",
        strict: false,
        json_depth: 127,
    })
}

#[test]
fn the_query_is_decoded_and_split_as_go_zero_does() {
    let name = |query: &str| text(query, &[]).unwrap().name;
    assert_eq!(
        name("name=%E9%98%BF+%E4%BA%AE%2B"),
        Some("阿 亮+".to_owned())
    );
    assert_eq!(name("n%61me=x"), Some("x".to_owned()));
    assert_eq!(name("name="), Some(String::new()));
    assert_eq!(name("name"), Some(String::new()));
    assert_eq!(name("&&other=%FF&%zz=1"), None);
    let names = |query: &str| text(query, &[]).unwrap().names;
    assert_eq!(
        names("names=a,b&names=c"),
        Some(vec!["a".into(), "b".into(), "c".into()])
    );
    assert_eq!(names("names=a%2Cb"), Some(vec!["a,b".to_owned()]));
    assert_eq!(names("names="), Some(Vec::new()));
    let ids = |query: &str| text(query, &[]).unwrap().ids;
    assert_eq!(ids("ids%5B%5D=1&ids[]=2"), Some(vec![1, 2]));
    assert_eq!(ids("ids=1%2C2"), Some(vec![1, 2]));
    assert_eq!(text("size=", &[]).unwrap().size, None);
}

#[test]
fn fields_may_ask_for_each_other() {
    let body = r#"{"items":[],"photo":""}"#;
    assert_eq!(rules(submit("", body)), ["body.photo presence"]);
    let both_null = r#"{"items":[],"photo":null,"pair":null}"#;
    assert!(submit("", both_null).is_ok());
    let size_or_name = |query: &'static str| {
        let parts = Parts {
            path: &[],
            query,
            headers: &HeaderMap::new(),
            body: b"",
            strict: false,
            json_depth: 127,
        };
        bind::read(&parts, |input| {
            let name_given = input.has_query("name");
            let size = input.query::<u8>("size").without("name", name_given);
            size.optional()
        })
    };
    assert_eq!(size_or_name("size=5").unwrap(), Some(5));
    assert_eq!(size_or_name("name=x").unwrap(), None);
    assert_eq!(
        rules(size_or_name("size=5&name=x")),
        ["query.size presence"]
    );
    assert_eq!(rules(size_or_name("")), ["query.size presence"]);
}

#[test]
fn text_that_does_not_fit_is_refused() {
    for (query, expected) in [
        ("name=%FF", "query.name encoding"),
        ("name=%4", "query.name encoding"),
        ("names=%zz", "query.names encoding"),
        ("ids=1,,2", "query.ids[1] type"),
        ("ids=0", "query.ids[0] range"),
        ("ids=%2B1", "query.ids[0] type"),
        ("size=NaN", "query.size type"),
        ("size=inf", "query.size type"),
        ("size=1e999", "query.size type"),
        ("size=1", "query.size range"),
        ("size=0", "query.size range"),
    ] {
        assert_eq!(rules(text(query, &[])), [expected], "{query}");
    }
    assert_eq!(
        rules(text("", &[b"a, b", b"c"])),
        ["header.x-tags[2] options"]
    );
    assert_eq!(rules(text("", &[b"\xff"])), ["header.x-tags encoding"]);
    assert_eq!(
        text("", &[b"a, b", b"a"])
            .unwrap()
            .tags
            .map(|tags| tags.len()),
        Some(3)
    );
}

#[test]
fn path_parameters_are_decoded_and_named() {
    let parameters = bind::path_parameters("/v1/:a/x/:b-id", "/v1/%E9%98%BF+1/x/b%2Fc").unwrap();
    assert_eq!(
        parameters,
        [("a", Cow::from("阿+1")), ("b-id", Cow::from("b/c"))]
    );
    let error = bind::path_parameters("/:a/:b", "/%FF/%zz").unwrap_err();
    assert_eq!(found(&error), ["path.a encoding", "path.b encoding"]);
}

proptest! {
    /// Whatever the bytes, binding ends with a value or an error that says why, and agrees with
    /// serde_json on what is JSON.
    #[test]
    fn any_bytes_end_in_an_answer(body in "[\\[\\]{}\",:0-9a-z \\\\.-]{0,60}") {
        let bound = list::<serde_json::Value>(&body);
        match serde_json::from_str::<serde_json::Value>(&body) {
            Ok(value) => match bound {
                Ok(bound) => prop_assert_eq!(bound, value),
                Err(error) => prop_assert!(found(&error).iter().all(|rule| rule.ends_with("duplicate"))),
            },
            Err(_) => prop_assert!(bound.is_err()),
        }
    }

    /// What serde writes, binding reads.
    #[test]
    fn written_values_are_read(
        items in proptest::collection::vec((".*", 0_i8..=10, proptest::option::of(".*")), 0..5),
        limit in 1_i64..=200,
    ) {
        let body = json!({"items": items.iter().map(|(link_id, value, note)| {
            json!({"value": value, "note": note, "linkId": link_id})
        }).collect::<Vec<_>>()});
        let req = submit(&format!("limit={limit}"), &body.to_string()).unwrap();
        prop_assert_eq!(req.limit, limit);
        for ((link_id, value, note), item) in items.iter().zip(&req.items) {
            prop_assert_eq!((link_id, *value, note), (&item.link_id, item.value, &item.note));
        }
    }
}
