//! Texts that are no JSON, or JSON that nobody should accept, at routes that bind types and at
//! those that take any value.

use serde_json::{Value, json};

use crate::{
    cast::{self, Actor},
    phq9,
    run::Outcome,
    world::World,
};

/// What each of them is, and its bytes. They stand as a member in bodies that are good otherwise,
/// under a name that no contract knows: nothing but the text itself can be wrong.
fn texts() -> Vec<(&'static str, Vec<u8>)> {
    let deep =
        |open: &str, close: &str| format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
    let mut texts: Vec<(&str, Vec<u8>)> = [
        ("cut off", r#"{"a":"#),
        ("two values", "{} {}"),
        ("trailing comma", r#"{"a":1,}"#),
        ("comment", "1 /* one */"),
        ("single quotes", "'a'"),
        ("bare name", "{a:1}"),
        ("not a number", "NaN"),
        ("infinite", "-Infinity"),
        ("leading zero", "01"),
        ("hexadecimal", "0x1"),
        ("plus sign", "+1"),
        ("no digits", "-"),
        ("exponent without end", "1e"),
        ("half an escape", r#""\u12""#),
        ("no escape", r#""\x41""#),
        ("half a surrogate pair", r#""\ud800""#),
        ("raw line feed", "\"a\nb\""),
        ("raw null byte", "\"a\0b\""),
        ("literal in capitals", "TRUE"),
        ("doubled key", r#"{"a":1,"a":1}"#),
        ("doubled key, escaped", r#"{"a":1,"\u0061":2}"#),
        ("doubled key inside", r#"[{"b":[{"a":1,"a":2}]}]"#),
        ("XML", "<patient/>"),
        ("end of the body", "1}"),
    ]
    .map(|(name, text)| (name, text.as_bytes().to_vec()))
    .into();
    texts.extend([
        ("overlong encoding", b"\"\xc0\xaf\"".to_vec()),
        ("surrogate in UTF-8", b"\"\xed\xa0\x80\"".to_vec()),
        ("Latin-1", b"\"\xe9\"".to_vec()),
        ("deep arrays", deep("[", "]").into_bytes()),
        ("deep objects", deep(r#"{"a":"#, "}").into_bytes()),
        ("deep and cut off", "[".repeat(500_000).into_bytes()),
    ]);
    texts
}

/// A body with one more member, whose value nobody reads: one that no contract knows, or the one
/// that FHIR R4 has for extensions of the status.
fn with_member(body: &Value, member: &[u8]) -> Vec<u8> {
    let mut bytes = body.to_string().into_bytes();
    assert_eq!(bytes.pop(), Some(b'}'));
    let is_response = body.get("resourceType").is_some();
    let name = if is_response { "_status" } else { "unknown" };
    bytes.extend_from_slice(format!(r#","{name}":"#).as_bytes());
    bytes.extend_from_slice(member);
    bytes.push(b'}');
    bytes
}

pub(super) async fn what_is_no_json_is_refused_and_stores_nothing(world: &World) -> Outcome {
    let cast = world.cast().await;
    let before = world.audited().await;
    let token = cast.token(Actor::Coordinator);
    let post = |path: &'static str, body: Vec<u8>| {
        let call = world.call("POST", path).token(token);
        call.bytes("application/json", body).send()
    };
    let mut sent = 0;
    let [place, ..] = &cast.places;
    let person = || {
        json!({"trialId": place.study, "siteId": place.site, "subjectNo": cast::code("J"),
            "sex": "U", "birthDate": "1990"})
    };
    let response = || phq9::response(&cast.own().id, phq9::MILD);
    for (path, body) in [
        ("/api/v1/patient", &person as &dyn Fn() -> Value),
        ("/api/v1/epro/response", &response),
    ] {
        for (name, text) in texts() {
            // A member that a contract does not know is passed over with all that is in it.
            if path == "/api/v1/patient" && name.starts_with("doubled") {
                continue;
            }
            let answer = post(path, with_member(&body(), &text)).await;
            assert_eq!(answer.status, 400, "{path} {name}: {answer}");
            sent += 1;
        }
        let whole = body().to_string();
        for (name, text) in [
            (
                "a doubled member",
                whole.replacen('{', r#"{"sex":"U","status":"completed","#, 1),
            ),
            ("a byte order mark", format!("\u{feff}{whole}")),
            ("a second body", format!("{whole}{whole}")),
            ("only white space", " \n\t ".to_owned()),
            ("a list of it", format!("[{whole}]")),
            ("a text of it", Value::from(whole).to_string()),
            ("nothing", "null".to_owned()),
            ("a form", "trialId=a&siteId=b".to_owned()),
        ] {
            let answer = post(path, text.into_bytes()).await;
            assert_eq!(answer.status, 400, "{path} {name}: {answer}");
            sent += 1;
        }
    }
    for body in [
        r#"{"code":"a","title":"b","arms":[{"code":"c","code":"d","title":"e"}]}"#,
        r#"{"code":"a","title":"b","cycles":[{"code":"c","title":"d","screening":true,"screening":false}]}"#,
        r#"{"code":"a","title":"b","t\u0069tle":"c"}"#,
    ] {
        let call = world
            .call("POST", "/api/v1/trial")
            .token(cast.token(Actor::Admin));
        let answer = call.bytes("application/json", body).send().await;
        assert_eq!(answer.status, 400, "{body}: {answer}");
        sent += 1;
    }
    assert_eq!(world.audited().await, before);
    // With a member that is JSON the same bodies are taken.
    for (path, body) in [
        ("/api/v1/patient", person()),
        ("/api/v1/epro/response", response()),
    ] {
        let good = with_member(&body, br#"{"a":[1.50,"\u00e9",null,{"b":{}}]}"#);
        post(path, good).await.expect(201);
    }
    Outcome::Measured(format!("{sent} texts"))
}
