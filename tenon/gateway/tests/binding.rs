//! From a request to the message that a method takes, and back: the cases of
//! `google/api/http.proto`, and every kind of field in JSON.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

#[path = "support/shelf.rs"]
mod shelf;

use http::Method;
use proptest::prelude::*;
use prost::Message;
use serde_json::{Value, json};
use shelf::method;
use tenon_core::{Error, config::MappingConfig};
use tenon_gateway::transcode::{Binding, Content, Mapping, Matcher, Rule};

const STRICT: Mapping = Mapping {
    ignore_unknown: false,
    print_defaults: false,
};

/// The rules of one method, as the gateway would use them.
struct Rules(Matcher<Binding>);

impl Rules {
    fn of(name: &str) -> Self {
        let method = method(name);
        Self::with(&method, Rule::of(&method).unwrap())
    }

    fn with(method: &prost_reflect::MethodDescriptor, rules: Vec<Rule>) -> Self {
        let mut matcher = Matcher::default();
        for rule in rules {
            let (template, binding) = Binding::new(method, rule).unwrap();
            let verb = binding.rule().verb.clone();
            matcher.insert(verb, template, binding).unwrap();
        }
        Self(matcher)
    }

    /// The message as JSON, or what does not fit.
    fn ask(&self, method: &str, target: &str, body: &str) -> Result<Value, Error> {
        self.ask_mapped(method, target, body.as_bytes(), STRICT)
    }

    fn ask_mapped(
        &self,
        method: &str,
        target: &str,
        body: &[u8],
        mapping: Mapping,
    ) -> Result<Value, Error> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let method: Method = method.parse().unwrap();
        let found = self
            .0
            .find(&method, path)
            .unwrap_or_else(|| panic!("{path} fits no rule"));
        let bytes = body.to_vec().into();
        let content = Content {
            bytes: &bytes,
            media_type: "application/json",
        };
        let message = found
            .rule
            .request(found.values(), query, content, mapping)?;
        // Over bytes, as it will travel.
        let bytes = message.encode_to_vec();
        let message =
            prost_reflect::DynamicMessage::decode(found.rule.method().input(), bytes.as_slice())
                .unwrap();
        // An `Any` of no type is a message, and has no JSON: nothing that is expected equals null.
        Ok(serde_json::to_value(&message).unwrap_or(Value::Null))
    }

    fn violations(&self, method: &str, target: &str, body: &str) -> Vec<(String, String, String)> {
        let error = self.ask(method, target, body).unwrap_err();
        let all = error.all_violations().iter();
        all.map(|one| {
            (
                one.location.to_string(),
                one.path.clone(),
                one.rule.to_string(),
            )
        })
        .collect()
    }
}

fn places(of: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    of.iter()
        .map(|(location, path, rule)| {
            (
                (*location).to_owned(),
                (*path).to_owned(),
                (*rule).to_owned(),
            )
        })
        .collect()
}

#[test]
fn the_examples_of_the_specification_hold() {
    let get = Rules::of("GetMessage");
    for (target, expected) in [
        (
            "/v1/messages/123456?revision=2&sub.subfield=foo",
            json!({"messageId": "123456", "revision": "2", "sub": {"subfield": "foo"}}),
        ),
        ("/v1/messages/123456", json!({"messageId": "123456"})),
        // The additional binding.
        (
            "/v1/users/me/messages/123456",
            json!({"userId": "me", "messageId": "123456"}),
        ),
        (
            "/v1/messages/1?user_id=me",
            json!({"userId": "me", "messageId": "1"}),
        ),
        (
            "/v1/messages/1?userId=a+b%2Bc",
            json!({"userId": "a b+c", "messageId": "1"}),
        ),
    ] {
        assert_eq!(get.ask("GET", target, "").unwrap(), expected, "{target}");
    }
}

#[test]
fn the_body_is_nothing_a_field_or_the_whole_message() {
    let message = method("GetMessage");
    let mapped = |method: &str, path: &str, body: &str| {
        let rule = Rule::mapped(&MappingConfig {
            rpc: "shelf.v1.ShelfService/GetMessage".into(),
            method: method.into(),
            path: path.into(),
            body: body.into(),
            response_body: String::new(),
        });
        Rules::with(&message, vec![rule])
    };
    // `body: "sub"`: the other fields are parameters.
    let patch = mapped("patch", "/v1/messages/{message_id}", "sub");
    assert_eq!(
        patch
            .ask(
                "PATCH",
                "/v1/messages/7?revision=3",
                r#"{"subfield": "Hi!"}"#
            )
            .unwrap(),
        json!({"messageId": "7", "revision": "3", "sub": {"subfield": "Hi!"}})
    );
    assert_eq!(
        patch.violations("PATCH", "/v1/messages/7?sub.subfield=x", "{}"),
        places(&[("query", "", "unknown")])
    );
    // `body: "*"`: all that is not in the path, and no parameters.
    let whole = mapped("patch", "/v1/messages/{message_id}", "*");
    assert_eq!(
        whole
            .ask(
                "PATCH",
                "/v1/messages/7",
                r#"{"sub": {"subfield": "Hi!"}, "messageId": "8"}"#
            )
            .unwrap(),
        json!({"messageId": "7", "sub": {"subfield": "Hi!"}})
    );
    assert_eq!(
        whole.violations("PATCH", "/v1/messages/7?revision=1", "{}"),
        places(&[("query", "", "unknown")])
    );
    // A method of its own, and any.
    assert!(
        mapped("REPORT", "/x/{message_id}", "")
            .ask("REPORT", "/x/1", "")
            .is_ok()
    );
    assert!(
        mapped("*", "/x/{message_id}", "")
            .ask("DELETE", "/x/1", "")
            .is_ok()
    );
}

#[test]
fn paths_of_several_segments_and_fields_within_the_body_are_bound() {
    let name = json!({"name": "shelves/1/books/2"});
    assert_eq!(
        Rules::of("GetBook")
            .ask("GET", "/v1/shelves/1/books/2", "")
            .unwrap(),
        name
    );
    assert_eq!(
        Rules::of("DeleteBook")
            .ask("DELETE", "/v1/shelves/1/books/2", "")
            .unwrap(),
        name
    );
    assert_eq!(
        Rules::of("CreateBook")
            .ask(
                "POST",
                "/v1/shelves/1/books?bookId=b7",
                r#"{"title": "T", "genre": "NOVEL", "pages": "120"}"#
            )
            .unwrap(),
        json!({"parent": "shelves/1", "bookId": "b7", "book": {"title": "T", "genre": "NOVEL", "pages": "120"}})
    );
    assert_eq!(
        Rules::of("UpdateBook")
            .ask(
                "PATCH",
                "/v1/shelves/1/books/2?updateMask=title,pages",
                r#"{"title": "T"}"#
            )
            .unwrap(),
        json!({"book": {"name": "shelves/1/books/2", "title": "T"}, "updateMask": "title,pages"})
    );
    assert_eq!(
        Rules::of("ReplaceBook")
            .ask(
                "PUT",
                "/v1/shelves/1/books/2",
                r#"{"title": "T", "authors": ["A", "B"]}"#
            )
            .unwrap(),
        json!({"name": "shelves/1/books/2", "title": "T", "authors": ["A", "B"]})
    );
    assert_eq!(
        Rules::of("OpenShelf")
            .ask("POST", "/v1/shelves/1:open", r#"{"quietly": true}"#)
            .unwrap(),
        json!({"name": "shelves/1", "quietly": true})
    );
    assert_eq!(
        Rules::of("OpenShelf")
            .ask("POST", "/v1/shelves/1:open", "")
            .unwrap(),
        json!({"name": "shelves/1"})
    );
    assert_eq!(
        Rules::of("GetFile")
            .ask("GET", "/files/a/b%20c", "")
            .unwrap(),
        json!({"path": "a/b c"})
    );
    assert_eq!(
        Rules::of("Probe")
            .ask("REPORT", "/files/a/b:probe", "")
            .unwrap(),
        json!({"path": "a/b"})
    );
}

#[test]
fn queries_repeat_nest_and_name_enums() {
    let list = Rules::of("ListBooks");
    for (query, expected) in [
        (
            "pageSize=5&authors=A&authors=B",
            json!({"pageSize": 5, "authors": ["A", "B"]}),
        ),
        ("page_size=5", json!({"pageSize": 5})),
        (
            "filter.genres=NOVEL&filter.genres=2",
            json!({"filter": {"genres": ["NOVEL", "POETRY"]}}),
        ),
        (
            "filter.since=2026-01-31T10:00:00Z",
            json!({"filter": {"since": "2026-01-31T10:00:00Z"}}),
        ),
        (
            "filter.inner.inner.genres=NOVEL",
            json!({"filter": {"inner": {"inner": {"genres": ["NOVEL"]}}}}),
        ),
        ("lent=true", json!({"lent": true})),
        ("lent=false", json!({"lent": false})),
        ("&&authors=&", json!({"authors": [""]})),
    ] {
        let mut expected = expected;
        expected["parent"] = json!("shelves/1");
        let target = format!("/v1/shelves/1/books?{query}");
        assert_eq!(list.ask("GET", &target, "").unwrap(), expected, "{query}");
    }
    for (query, expected) in [
        ("pageSize=many", ("query", "pageSize", "type")),
        ("pageSize=", ("query", "pageSize", "type")),
        ("pageSize=1&page_size=2", ("query", "pageSize", "duplicate")),
        ("pageSize=%zz", ("query", "pageSize", "encoding")),
        ("filter.genres=LYRIC", ("query", "filter.genres", "options")),
        (
            "filter.since=yesterday",
            ("query", "filter.since", "format"),
        ),
        ("lent=1", ("query", "lent", "type")),
        ("filter=x", ("query", "", "unknown")),
        ("nothing=1", ("query", "", "unknown")),
        // The path has it.
        ("parent=shelves/2", ("query", "", "unknown")),
    ] {
        let target = format!("/v1/shelves/1/books?{query}");
        assert_eq!(
            list.violations("GET", &target, ""),
            places(&[expected]),
            "{query}"
        );
    }
}

#[test]
fn parameters_have_limits_and_may_be_passed_over() {
    let list = Rules::of("ListBooks");
    let lenient = Mapping {
        ignore_unknown: true,
        ..STRICT
    };
    let passed = list.ask_mapped(
        "GET",
        "/v1/shelves/1/books?nothing=1&pageSize=2",
        b"",
        lenient,
    );
    assert_eq!(passed.unwrap()["pageSize"], 2);
    let deep = format!(
        "/v1/shelves/1/books?filter{}.genres=NOVEL",
        ".inner".repeat(500)
    );
    assert_eq!(
        list.violations("GET", &deep, ""),
        places(&[("query", "", "unknown")])
    );
    let many = format!("/v1/shelves/1/books?{}", "authors=a&".repeat(2000));
    assert_eq!(
        list.violations("GET", &many, ""),
        places(&[("query", "", "length")])
    );
}

#[test]
fn a_map_in_a_query_is_refused_by_its_name() {
    let rules = Rules::of("Everything");
    for (name, field) in [
        ("texts[a]=1", "texts"),
        ("texts%5Ba%5D=1", "texts"),
        ("texts.a=1", "texts"),
        ("texts=1", "texts"),
        ("by_number[7].title=T", "byNumber"),
        ("within.texts[a]=1", "within.texts"),
    ] {
        let target = format!("/v1/everything?{name}");
        let expected = places(&[("query", field, "map")]);
        assert_eq!(rules.violations("GET", &target, ""), expected, "{name}");
        // It is known, so that it is not passed over.
        let lenient = Mapping {
            ignore_unknown: true,
            ..STRICT
        };
        assert!(rules.ask_mapped("GET", &target, b"", lenient).is_err());
    }
    let other = rules.violations("GET", "/v1/everything?text[a]=1", "");
    assert_eq!(other, places(&[("query", "", "unknown")]));
}

#[test]
fn every_kind_of_field_is_read_and_written() {
    let rules = Rules::of("Everything");
    let full = json!({
        "double": 1.5, "float": 2.5, "int32": -3, "int64": "-9007199254740993", "uint32": 5, "uint64": "18446744073709551615",
        "sint32": -7, "sint64": "-8", "fixed32": 9, "fixed64": "10", "sfixed32": -11, "sfixed64": "-12",
        "bool": true, "string": "患者", "bytes": "+/8=", "genre": "POETRY", "book": {"title": "T"},
        "numbers": [1, 2, 3], "books": [{"title": "A"}, {}], "texts": {"k": "v"}, "byNumber": {"-1": {"title": "B"}},
        "one": "", "maybe": "", "timestamp": "2026-01-31T10:00:00.500Z", "duration": "-1.500s", "fieldMask": "bookId,book.title",
        "struct": {"a": [1.0, null, {"b": true}]}, "value": null, "listValue": ["x", 2.0], "int64Value": "4", "stringValue": "",
        "boolValue": false, "bytesValue": "AA==", "any": {"@type": "type.googleapis.com/shelf.v1.Book", "title": "C"}, "null": null,
        "within": {"within": {"int32": 1}},
    });
    let mut expected = full.clone();
    // Its default value, which is not written here.
    expected.as_object_mut().unwrap().remove("null");
    assert_eq!(
        rules
            .ask("POST", "/v1/everything", &full.to_string())
            .unwrap(),
        expected
    );
    for (given, expected) in [
        (json!({"int32": "5"}), json!({"int32": 5})),
        (json!({"int32": 1e3}), json!({"int32": 1000})),
        (json!({"int32": "1e3"}), json!({"int32": 1000})),
        (json!({"int64": 7}), json!({"int64": "7"})),
        (json!({"double": "Infinity"}), json!({"double": "Infinity"})),
        (
            json!({"double": "NaN", "float": "-Infinity"}),
            json!({"double": "NaN", "float": "-Infinity"}),
        ),
        (json!({"double": "1.5"}), json!({"double": 1.5})),
        (json!({"bytes": "-_8"}), json!({"bytes": "+/8="})),
        (json!({"genre": 1}), json!({"genre": "NOVEL"})),
        (json!({"genre": 77}), json!({"genre": 77})),
        (
            json!({"by_number": {"3": {}}}),
            json!({"byNumber": {"3": {}}}),
        ),
        (
            json!({"int32": null, "books": null, "book": null}),
            json!({}),
        ),
        (
            json!({"any": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"}}),
            json!({"any": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"}}),
        ),
    ] {
        assert_eq!(
            rules
                .ask("POST", "/v1/everything", &given.to_string())
                .unwrap(),
            expected,
            "{given}"
        );
    }
}

#[test]
fn everything_that_does_not_fit_is_told_at_once_with_its_place() {
    let rules = Rules::of("Everything");
    let body = r#"{
        "int32": 2147483648, "uint32": -1, "int64": 1.5, "float": 1e39, "double": "inf", "bool": "true", "string": 5,
        "bytes": "%%%", "genre": "LYRIC", "book": [], "numbers": [1, "x", null], "texts": {"k": 1},
        "byNumber": {"x": {}}, "one": "a", "other": 1, "timestamp": "2026-01-31", "duration": "1", "unknown": 1,
        "books": [{"title": 5}, {"nothing": 1}], "any": {"@type": "x/none.Such"}, "int64Value": {}, "string": "twice"
    }"#;
    assert_eq!(
        rules.violations("POST", "/v1/everything", body),
        places(&[
            ("body", "int32", "type"),
            ("body", "uint32", "type"),
            ("body", "int64", "type"),
            ("body", "float", "type"),
            ("body", "double", "type"),
            ("body", "bool", "type"),
            ("body", "string", "type"),
            ("body", "bytes", "type"),
            ("body", "genre", "options"),
            ("body", "book", "type"),
            ("body", "numbers[1]", "type"),
            ("body", "numbers[2]", "type"),
            ("body", "texts[key]", "type"),
            ("body", "byNumber[key]", "type"),
            ("body", "other", "oneof"),
            ("body", "timestamp", "format"),
            ("body", "duration", "format"),
            ("body", "", "unknown"),
            ("body", "books[0].title", "type"),
            ("body", "books[1]", "unknown"),
            ("body", "any", "options"),
            ("body", "int64Value", "type"),
            ("body", "string", "duplicate"),
        ])
    );
}

#[test]
fn keys_that_stand_twice_depth_and_broken_text_are_refused() {
    let rules = Rules::of("Everything");
    let twice = r#"{"texts": {"k": "a", "k": "b"}, "struct": {"k": 1, "k": 2}, "byNumber": {}, "by_number": {}}"#;
    assert_eq!(
        rules.violations("POST", "/v1/everything", twice),
        places(&[
            ("body", "texts[key]", "duplicate"),
            ("body", "struct", "duplicate"),
            ("body", "byNumber", "duplicate"),
        ])
    );
    let error = rules
        .ask(
            "POST",
            "/v1/everything",
            r#"{"secret-of-a-patient": "Wang"}"#,
        )
        .unwrap_err();
    let told = format!("{error:?}");
    assert!(!told.contains("secret") && !told.contains("Wang"), "{told}");
    let error = rules
        .ask("POST", "/v1/everything", "{\"int32\": 1")
        .unwrap_err();
    assert_eq!((error.code(), error.http_status()), ("BODY_MALFORMED", 400));
    for deep in [
        format!("{}1{}", r#"{"within":"#.repeat(110), "}".repeat(110)),
        format!("{}{}", r#"{"within":"#.repeat(5000), "}".repeat(5000)),
        format!(r#"{{"value": {}1{}}}"#, "[".repeat(120), "]".repeat(120)),
    ] {
        let found = rules.violations("POST", "/v1/everything", &deep);
        assert_eq!(found.first().map(|one| one.2.as_str()), Some("depth"));
    }
    let lenient = Mapping {
        ignore_unknown: true,
        ..STRICT
    };
    let passed = rules.ask_mapped(
        "POST",
        "/v1/everything",
        br#"{"unknown": 1, "genre": "LYRIC", "int32": 1}"#,
        lenient,
    );
    assert_eq!(passed.unwrap(), json!({"int32": 1}));
}

#[test]
fn answers_are_written_whole_or_one_field_of_them() {
    let reply = json!({"books": [{"title": "A"}]});
    let pool_method = method("ListBooks");
    let message = prost_reflect::DynamicMessage::deserialize(pool_method.output(), reply).unwrap();
    let bytes = message.encode_to_vec();
    let rule = |name: &str| {
        let method = method(name);
        let rule = Rule::of(&method).unwrap().remove(0);
        Binding::new(&method, rule).unwrap().1
    };
    let defaults = Mapping {
        print_defaults: true,
        ..STRICT
    };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    assert_eq!(
        text(rule("ListBooks").answer(&bytes, STRICT).unwrap()),
        r#"{"books":[{"title":"A"}]}"#
    );
    assert_eq!(
        text(rule("ListBooks").answer(&bytes, defaults).unwrap()),
        r#"{"books":[{"name":"","title":"A","genre":"GENRE_UNSPECIFIED","pages":"0","authors":[]}],"nextPageToken":""}"#
    );
    assert_eq!(
        text(rule("AllBooks").answer(&bytes, STRICT).unwrap()),
        r#"[{"title":"A"}]"#
    );
    assert_eq!(text(rule("AllBooks").answer(b"", STRICT).unwrap()), "[]");
    assert!(rule("ListBooks").answer(&[0xff], STRICT).is_err());
}

#[test]
fn rules_that_do_not_fit_their_method_are_refused() {
    for (method_name, path, body, response_body, expected) in [
        ("GetBook", "/v1/{title}", "", "", "no field `title`"),
        ("GetBook", "/v1/{name", "", "", "path template"),
        (
            "ListBooks",
            "/v1/{authors}",
            "",
            "",
            "cannot stand in a path",
        ),
        (
            "ListBooks",
            "/v1/{filter}",
            "",
            "",
            "cannot stand in a path",
        ),
        ("CreateBook", "/v1/x", "page", "", "`body` names"),
        ("CreateBook", "/v1/x", "book.title", "", "`body` names"),
        ("ListBooks", "/v1/x", "", "pages", "`response_body` names"),
    ] {
        let rule = Rule::mapped(&MappingConfig {
            rpc: String::new(),
            method: "post".into(),
            path: path.into(),
            body: body.into(),
            response_body: response_body.into(),
        });
        let error = Binding::new(&method(method_name), rule).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let names = prop_oneof![
        Just("int32".to_owned()),
        Just("texts".to_owned()),
        Just("within".to_owned()),
        Just("struct".to_owned()),
        Just("any".to_owned()),
        Just("@type".to_owned()),
        Just("value".to_owned()),
        Just("books".to_owned()),
        "[a-zA-Z@_0-9]{0,12}"
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!("type.googleapis.com/shelf.v1.Everything")),
        Just(json!("2026-01-31T10:00:00Z")),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((names.clone(), inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_body_and_no_query_breaks_the_reader(body in json_value(), query in "[a-z.=&%0-9_+A-Z]{0,40}", ignore_unknown: bool) {
        let mapping = Mapping { ignore_unknown, print_defaults: true };
        for (name, method, target) in [("Everything", "POST", "/v1/everything".to_owned()), ("ListBooks", "GET", format!("/v1/shelves/1/books?{query}"))] {
            if let Err(error) = Rules::of(name).ask_mapped(method, &target, body.to_string().as_bytes(), mapping) {
                prop_assert!((400..500).contains(&error.http_status()), "{error:?}");
            }
        }
    }

    #[test]
    fn no_bytes_break_the_reader(body: Vec<u8>) {
        let outcome = Rules::of("Everything").ask_mapped("POST", "/v1/everything", &body, STRICT);
        if let Err(error) = outcome {
            prop_assert!((400..500).contains(&error.http_status()), "{error:?}");
        }
        let rule = Rule::of(&method("Everything")).unwrap().remove(0);
        let _ = Binding::new(&method("Everything"), rule).unwrap().1.answer(&body, STRICT);
    }
}
