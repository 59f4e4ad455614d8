//! Every failure is a problem document, with its headers, in the language of the caller.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

#[path = "support/door.rs"]
mod door;

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body};
use door::{Issuer, ask, get, length_router, post, send};
use tenon_auth::access;
use tenon_core::{Code, Context, Entry, Error, Violation, catalogue};
use tenon_rest::{Auth, Method, Route, Routes, with_fallbacks};

static FAILS: Route =
    Route::new(Method::Get, "/fails/:how", "fails").timeout(Duration::from_millis(20));
static SECRET: Route = Route::new(Method::Get, "/secret", "secret").auth(Auth::Required);
static RULED: Route = Route::new(Method::Get, "/ruled", "ruled").permission("subject.read");
static CLOSED: Entry = Entry::new(
    "TRIAL_CLOSED",
    Code::FailedPrecondition,
    "trial {trialId} is closed to enrolment",
    "试验 {trialId} 已关闭入组",
);

/// How an operation fails, by the parameter of its path.
struct How(String);

impl tenon_rest::Bind for How {
    fn bind(parts: &tenon_rest::Parts<'_>) -> tenon_core::Result<Self> {
        Ok(Self(parts.path[0].1.to_string()))
    }
}

async fn fail(cx: Context, how: How) -> tenon_core::Result<()> {
    match how.0.as_str() {
        "conflict" => Err(CLOSED.error().param("trialId", "T1")),
        "busy" => Err(catalogue::OVERLOADED
            .error()
            .retry_after(Duration::from_millis(1500))),
        "cause" => Err(Error::internal("open the file", "password=hunter2")),
        "violations" => Err(Error::invalid(vec![
            Violation::at("query", "limit", "range", "a whole number from 1 to 200"),
            Violation::body("items[3].value", "type", "a number"),
        ])),
        "absent" => Err(catalogue::UNAVAILABLE.error()),
        "absent-for" => Err(catalogue::UNAVAILABLE
            .error()
            .retry_after(Duration::from_secs(7))),
        "left" => Err(catalogue::CANCELLED.error()),
        "slow" => {
            // Ignores its context altogether.
            tokio::time::sleep(Duration::from_secs(3600)).await;
            Ok(())
        }
        "slow-politely" => cx.run(std::future::pending()).await,
        _ => panic!("the name of a patient"),
    }
}

fn router(issuer: &Issuer) -> Router {
    let routes = Routes::new(())
        .route(&FAILS, |_, cx, how: How| fail(cx, how))
        .route(&SECRET, |_, _, _req: ()| async { Ok("secret") })
        .route(&RULED, |_, _, _req: ()| async { Ok("ruled") });
    let rules = |_: &Context, permission: &str| Err(access::denied(permission));
    let door = door::door(routes.build())
        .verifier(issuer.verifier.clone())
        .rules(Arc::new(rules));
    with_fallbacks(door.router().unwrap())
}

async fn failure(how: &str) -> String {
    let router = router(&Issuer::new());
    ask(&router, get(&format!("/fails/{how}"))).await.document()
}

#[tokio::test]
async fn the_three_cases_of_a_token_in_both_languages() {
    let issuer = Issuer::new();
    let router = router(&issuer);
    let forged = Issuer::new().bearer("admin");
    let cases = [
        ("missing", None),
        ("malformed", Some("Basic YTpi".parse().unwrap())),
        ("forged", Some(forged)),
        ("expired", Some(issuer.expired("admin"))),
    ];
    for (name, token) in cases {
        for language in ["en", "zh-CN,zh;q=0.9"] {
            let mut request = get("/secret").header("accept-language", language);
            if let Some(token) = &token {
                request = request.header("authorization", token);
            }
            let document = ask(&router, request).await.document();
            insta::assert_snapshot!(format!("401_{name}_{}", &language[..2]), document);
        }
    }
    let good = get("/secret").header("authorization", issuer.bearer("admin"));
    assert_eq!(ask(&router, good).await.json(), "secret");
}

#[tokio::test]
async fn who_finds_a_neighbour_absent_is_told_when_to_come_again() {
    let router = router(&Issuer::new());
    for (how, seconds) in [
        ("absent", Some("1")),
        ("absent-for", Some("7")),
        ("conflict", None),
        ("cause", None),
    ] {
        let answer = ask(&router, get(&format!("/fails/{how}"))).await;
        assert_eq!(answer.header("retry-after"), seconds, "{how}");
    }
}

#[tokio::test]
async fn a_permission_that_is_lacking() {
    let issuer = Issuer::new();
    let router = router(&issuer);
    let request = get("/ruled").header("authorization", issuer.bearer("nurse"));
    insta::assert_snapshot!("403", ask(&router, request).await.document());
    let nobody = ask(&router, get("/ruled")).await;
    assert_eq!(nobody.code(), "TOKEN_MISSING");
}

#[tokio::test]
async fn no_such_path_and_no_such_method() {
    let router = length_router();
    insta::assert_snapshot!("404", ask(&router, get("/nowhere")).await.document());
    insta::assert_snapshot!("405", ask(&router, get("/length")).await.document());
    let options = http::Request::options("/length");
    assert_eq!(ask(&router, options).await.status, 405);
    let invented = http::Request::builder().method("BREW").uri("/length");
    assert_eq!(ask(&router, invented).await.code(), "METHOD_NOT_ALLOWED");
}

#[tokio::test]
async fn bodies_that_are_not_taken() {
    let router = length_router();
    let large = post("/length").body(Body::from(vec![b' '; 1025])).unwrap();
    insta::assert_snapshot!("413", send(&router, large).await.document());
    let form = http::Request::post("/length")
        .header("traceparent", door::TRACE)
        .header("content-type", "application/x-www-form-urlencoded");
    let form = form.body(Body::from("a=1")).unwrap();
    insta::assert_snapshot!("415_type", send(&router, form).await.document());
    let brotli = post("/length").header("content-encoding", "br");
    let brotli = brotli.body(Body::from("{}")).unwrap();
    insta::assert_snapshot!("415_encoding", send(&router, brotli).await.document());
    let malformed = post("/length").body(Body::from("{\"a\":")).unwrap();
    insta::assert_snapshot!("400_malformed", send(&router, malformed).await.document());
    let twice = post("/length")
        .body(Body::from(r#"{"a":1,"a":2}"#))
        .unwrap();
    assert_eq!(send(&router, twice).await.status, 400);
}

#[tokio::test]
async fn errors_of_operations() {
    for how in ["conflict", "busy", "cause", "violations", "left"] {
        insta::assert_snapshot!(format!("operation_{how}"), failure(how).await);
    }
}

#[tokio::test(start_paused = true)]
async fn time_that_runs_out() {
    let polite = failure("slow-politely").await;
    assert_eq!(failure("slow").await, polite);
    insta::assert_snapshot!("504", polite);
}

#[tokio::test]
async fn a_panic_is_a_500_without_its_payload() {
    let document = failure("panic").await;
    assert!(!document.contains("patient"), "{document}");
    insta::assert_snapshot!("500_panic", document);
}

#[tokio::test]
async fn a_path_parameter_that_is_not_text() {
    let router = router(&Issuer::new());
    let answer = ask(&router, get("/fails/%FF")).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["errors"][0]["path"], "how");
}
