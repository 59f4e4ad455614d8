//! Requests that fit no contract: each is refused with a problem document that says what is
//! wrong, nothing fails, and nothing is stored.

use std::{collections::BTreeMap, io::Write};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use crate::{
    cast::{self, Actor, Cast},
    phq9,
    run::Outcome,
    world::World,
};

/// What is counted before and after: audit records of the services that hold study data. Each
/// change of theirs writes one.
async fn stored(world: &World) -> BTreeMap<String, u64> {
    let mut counts = world.audited().await;
    counts.remove("identity");
    counts
}

/// Who sends what where, and all that is wrong with it.
type Faulty = (Actor, String, Value, &'static [&'static str]);

pub(super) async fn all_violations_are_told_at_once(world: &World) -> Outcome {
    let cast = world.cast().await;
    let before = stored(world).await;
    let cases = of_subjects(cast).into_iter().chain(of_studies(cast));
    for (actor, path, body, faulty) in cases {
        let answer = world.post(cast.token(actor), &path, &body).await;
        assert_eq!(
            answer.problem(),
            (400, "REQUEST_INVALID"),
            "{path} {body}: {answer}"
        );
        assert_eq!(answer.faulty(), faulty, "{path} {body}: {answer}");
    }
    let mut response = phq9::response(&cast.own().id, phq9::MILD);
    response["item"][0]["answer"] = json!([{"valueString": "often"}]);
    response["item"][8]["linkId"] = json!("/no-such-item");
    response["authored"] = json!("yesterday");
    let token = cast.token(Actor::Patient);
    let answer = world.post(token, "/api/v1/epro/response", &response).await;
    assert_eq!(answer.problem(), (400, "REQUEST_INVALID"), "{answer}");
    assert!(answer.faulty().len() >= 3, "{answer}");
    assert_eq!(stored(world).await, before);
    Outcome::Passed
}

fn of_subjects(cast: &Cast) -> Vec<Faulty> {
    let [place, ..] = &cast.places;
    let (patient, by) = ("/api/v1/patient".to_owned(), Actor::Coordinator);
    let moved = format!("/api/v1/patient/{}/status", cast.own().id);
    let mistyped = json!({
        "trialId": 1, "siteId": true, "subjectNo": [], "sex": {}, "birthDate": 1981.5, "name": 7,
        "identityNumber": [1], "phone": {"a": null},
    });
    let meaningless = json!({
        "trialId": place.study, "siteId": place.site, "subjectNo": " a ", "sex": "F",
        "birthDate": "1981-02-30", "name": "a\u{0}b", "identityNumber": "11010519491231002x9",
        "phone": "call me",
    });
    vec![
        (
            by,
            patient.clone(),
            json!({}),
            &["birthDate", "sex", "siteId", "subjectNo", "trialId"],
        ),
        (
            by,
            patient.clone(),
            mistyped,
            &[
                "birthDate",
                "identityNumber",
                "name",
                "phone",
                "sex",
                "siteId",
                "subjectNo",
                "trialId",
            ],
        ),
        (
            by,
            patient,
            meaningless,
            &["birthDate", "identityNumber", "name", "phone", "subjectNo"],
        ),
        (
            by,
            moved.clone(),
            json!({"status": 7, "reason": 1, "date": null}),
            &["date", "reason", "status"],
        ),
        (
            by,
            moved,
            json!({"status": 2, "reason": " ", "date": "2999-01-01"}),
            &["date", "reason"],
        ),
    ]
}

fn of_studies(cast: &Cast) -> Vec<Faulty> {
    let site = format!("/api/v1/trial/{}/site", cast.places[0].study);
    let unreadable = json!({
        "code": 1, "title": "a", "target": 0, "status": "open",
        "cycles": [{"code": "c", "title": "t", "offsetDays": 5000}, {"title": []}],
    });
    vec![
        (
            Actor::Admin,
            "/api/v1/trial".to_owned(),
            unreadable,
            &[
                "code",
                "cycles[0].offsetDays",
                "cycles[1].code",
                "cycles[1].title",
                "status",
                "target",
            ],
        ),
        (
            Actor::Sponsor,
            site,
            json!({"code": "", "name": "", "timeZone": "Mars/Olympus"}),
            &["code", "name", "timeZone"],
        ),
    ]
}

pub(super) async fn bodies_that_are_too_large_are_refused_however_they_come(
    world: &World,
) -> Outcome {
    let cast = world.cast().await;
    let before = stored(world).await;
    let coordinator = cast.token(Actor::Coordinator);
    let large = json!({"name": "x".repeat(2 << 20)}).to_string();
    let packed = {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder
            .write_all(json!({"name": "x".repeat(16 << 20)}).to_string().as_bytes())
            .unwrap();
        encoder.finish().unwrap()
    };
    assert!(packed.len() < 1 << 20, "the bomb itself is small");
    for path in ["/api/v1/patient", "/api/v1/epro/response"] {
        let call = world.call("POST", path).token(coordinator);
        let answer = call.bytes("application/json", large.clone()).send().await;
        assert_eq!(answer.problem(), (413, "BODY_TOO_LARGE"), "{path}");
        let call = world
            .call("POST", path)
            .token(coordinator)
            .header("content-encoding", "gzip");
        let answer = call.bytes("application/json", packed.clone()).send().await;
        assert_eq!(answer.problem(), (413, "BODY_TOO_LARGE"), "{path}, packed");
        let call = world
            .call("POST", path)
            .token(coordinator)
            .header("content-encoding", "gzip");
        let answer = call
            .bytes("application/json", "not packed at all")
            .send()
            .await;
        assert_eq!(
            answer.problem(),
            (400, "BODY_MALFORMED"),
            "{path}, not packed"
        );
    }
    // What is packed and fits is unpacked and taken.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let response = phq9::response(&cast.own().id, phq9::MILD);
    encoder.write_all(response.to_string().as_bytes()).unwrap();
    assert_eq!(stored(world).await, before);
    let call = world
        .call("POST", "/api/v1/epro/response")
        .token(coordinator);
    let call = call.header("content-encoding", "gzip");
    call.bytes("application/json", encoder.finish().unwrap())
        .send()
        .await
        .expect(201);
    Outcome::Passed
}

/// A body that is refused in its middle leaves its connection in the middle as well: nobody
/// else's request may be sent on it.
pub(super) async fn a_refused_body_spoils_nobody_elses_request(world: &World) -> Outcome {
    let cast = world.cast().await;
    let token = cast.token(Actor::Coordinator);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![b' '; 8 << 20]).unwrap();
    let packed = encoder.finish().unwrap();
    let rude = |turn: usize| {
        let call = world.call("POST", "/api/v1/epro/response");
        match turn % 4 {
            0 => call
                .token(token)
                .header("content-encoding", "gzip")
                .bytes("application/json", packed.clone()),
            1 => call
                .token(token)
                .header("content-encoding", "gzip")
                .bytes("application/json", "not packed at all"),
            2 => call
                .token(cast.token(Actor::Admin))
                .json(&json!("x".repeat(900_000))),
            _ => call
                .token(token)
                .bytes("application/json", "[".repeat(900_000)),
        }
    };
    let good = || {
        let response = phq9::response(&cast.own().id, phq9::MILD);
        world
            .call("POST", "/api/v1/epro/response")
            .token(token)
            .json(&response)
    };
    let mut wrong = Vec::new();
    for round in 0..40 {
        let turns = (0..12).map(async |turn| match turn % 3 {
            0 => (good().send().await, 201),
            _ => {
                let status = [413, 400, 403, 400][(round + turn) % 4];
                (rude(round + turn).send().await, status)
            }
        });
        for (answer, expected) in futures_util::future::join_all(turns).await {
            if answer.status != expected {
                wrong.push(format!("{expected}: {answer}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of 480: {}",
        wrong.len(),
        wrong.join("\n")
    );
    Outcome::Passed
}

pub(super) async fn methods_paths_and_media_types_that_are_none(world: &World) -> Outcome {
    let cast = world.cast().await;
    let before = stored(world).await;
    let token = cast.token(Actor::Coordinator);
    for (method, path, allowed) in [
        ("DELETE", "/api/v1/patient", "GET,HEAD,POST"),
        ("PUT", "/api/v1/epro/response", "GET,HEAD,POST"),
        ("PATCH", "/api/v1/identity/login", "POST"),
        ("POST", "/api/v1/trial/x/progress", "GET,HEAD"),
        ("TRACE", "/api/v1/trial", "GET,HEAD,POST"),
    ] {
        let answer = world.call(method, path).token(token).send().await;
        assert_eq!(
            answer.problem(),
            (405, "METHOD_NOT_ALLOWED"),
            "{method} {path}: {answer}"
        );
        let mut allow: Vec<&str> = answer.header("allow").split(',').map(str::trim).collect();
        allow.sort_unstable();
        assert_eq!(allow.join(","), allowed, "{method} {path}");
    }
    for path in [
        "/",
        "/api",
        "/api/v1",
        "/api/v2/patient",
        "/api/v1/patients",
        "/api/v1/patient/x/y/z",
        "/api/v1/trial/x/y",
        "/API/V1/PATIENT",
        "/api/v1/../../etc/passwd",
        "/api/v1/patient/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/api/v1/patient/%00",
        "/api/v1/patient/..",
        "/api/v1/patient/'%20OR%201=1%20--",
        "/.git/config",
        "/patient.PatientService/GetPatientInfo",
    ] {
        let answer = world.call("GET", path).token(token).send().await;
        assert_eq!(answer.status, 404, "{path}: {answer}");
    }
    let answer = world
        .call("GET", "/api/v1/patient/%ff%fe")
        .token(token)
        .send()
        .await;
    assert!([400, 404].contains(&answer.status), "{answer}");
    let body = cast::person(&cast.places[0], 31).to_string();
    for media_type in [
        "text/plain",
        "application/xml",
        "application/json; charset=latin1",
        "json",
        "*/*",
    ] {
        let call = world.call("POST", "/api/v1/patient").token(token);
        let answer = call.bytes(media_type, body.clone()).send().await;
        assert_eq!(
            answer.problem(),
            (415, "MEDIA_TYPE_UNSUPPORTED"),
            "{media_type}"
        );
    }
    let call = world
        .call("POST", "/api/v1/patient")
        .token(token)
        .untyped(body.clone());
    assert_eq!(call.send().await.problem(), (415, "MEDIA_TYPE_UNSUPPORTED"));
    let call = world
        .call("POST", "/api/v1/patient")
        .token(token)
        .header("content-encoding", "br");
    let answer = call.bytes("application/json", body).send().await;
    assert_eq!(answer.problem(), (415, "MEDIA_TYPE_UNSUPPORTED"));
    assert_eq!(stored(world).await, before);
    Outcome::Passed
}

pub(super) async fn queries_that_cannot_be_read(world: &World) -> Outcome {
    let cast = world.cast().await;
    let token = cast.token(Actor::Coordinator);
    for list in [
        "/api/v1/patient",
        "/api/v1/trial",
        "/api/v1/epro/response",
        "/api/v1/epro/alert",
    ] {
        for limit in [
            "0",
            "201",
            "-1",
            "abc",
            "1e2",
            "1.0",
            "99999999999999999999999",
            "%00",
            "+5x",
        ] {
            let answer = world.get(token, format!("{list}?limit={limit}")).await;
            assert_eq!(answer.problem(), (400, "REQUEST_INVALID"), "{list} {limit}");
            assert_eq!(answer.faulty(), ["limit"], "{list} {limit}");
        }
        for cursor in ["x", "%F0%9F%92%A9", "'%20OR%201=1", "00000000"] {
            let answer = world.get(token, format!("{list}?cursor={cursor}")).await;
            assert_eq!(
                answer.problem(),
                (400, "REQUEST_INVALID"),
                "{list} {cursor}"
            );
            assert_eq!(answer.faulty(), ["cursor"], "{list} {cursor}");
        }
    }
    let answer = world
        .get(token, "/api/v1/epro/alert?limit=x&status=shut")
        .await;
    assert_eq!(answer.faulty(), ["limit", "status"]);
    Outcome::Passed
}

pub(super) async fn headers_that_cannot_be_read(world: &World) -> Outcome {
    let cast = world.cast().await;
    let token = cast.token(Actor::Coordinator);
    for authorization in [
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "bearer",
        "Bearer a b",
        "\u{e9}",
    ] {
        let call = world
            .call("GET", "/api/v1/patient")
            .header("authorization", authorization);
        let answer = call.send().await;
        assert_eq!(answer.status, 401, "{authorization}: {answer}");
    }
    // Headers that only advise are passed over when they cannot be read.
    for (name, value) in [
        ("traceparent", "00-zz-11-01"),
        (
            "traceparent",
            "00-00000000000000000000000000000000-0000000000000000-00",
        ),
        ("accept-language", ";;;q=,*,\u{e9}"),
        ("x-request-timeout-ms", "soon"),
        ("grpc-timeout", "-5m"),
        ("accept", "image/png"),
    ] {
        let call = world
            .call("GET", "/api/v1/patient")
            .token(token)
            .header(name, value);
        call.send().await.expect(200);
    }
    let chinese = world
        .call("GET", "/api/v1/patient")
        .header("accept-language", "zh-CN")
        .send()
        .await;
    assert_eq!(chinese.json["detail"], Value::from("请求未携带 token"));
    Outcome::Passed
}
