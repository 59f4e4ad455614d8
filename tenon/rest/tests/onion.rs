//! The layers of the door: their order, what they pass on, and what a door refuses at start-up.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

#[path = "support/door.rs"]
mod door;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use door::{Issuer, ask, get, post, send};
use http_body_util::BodyExt;
use serde_json::json;
use tenon_core::{Context, Result, catalogue};
use tenon_rest::{
    Auth, Method, Middleware, Next, Raw, Request, Response, Route, Routes, reply, with_fallbacks,
};
use tower::ServiceExt;

static HELLO: Route = Route::new(Method::Get, "/hello/:name", "hello");

fn hello() -> Routes {
    let routes = Routes::new(()).route(&HELLO, |_, _, _req: ()| async { Ok("hello") });
    routes.build()
}

type Trail = Arc<Mutex<Vec<String>>>;

/// Middleware that leaves its name on the way in and on the way out.
fn leaves(trail: &Trail, name: &'static str) -> Middleware {
    let trail = trail.clone();
    Middleware::from_fn(move |cx: Context, request: Request, next: Next| {
        let trail = trail.clone();
        async move {
            trail.lock().unwrap().push(format!("> {name}"));
            let outcome = next.run(cx, request).await;
            trail.lock().unwrap().push(format!("< {name}"));
            outcome
        }
    })
}

#[tokio::test]
async fn layers_run_in_the_order_in_which_they_are_written() {
    static AUDITED: Route = Route::new(Method::Get, "/audited", "audited")
        .auth(Auth::Required)
        .middleware(&["First", "Second"]);
    let issuer = Issuer::new();
    let trail = Trail::default();
    let inside = trail.clone();
    let routes = Routes::new(trail.clone()).route(&AUDITED, move |_, _, _req: ()| {
        inside.lock().unwrap().push("operation".into());
        async { Ok(()) }
    });
    let door = door::door(routes.build())
        .verifier(issuer.verifier.clone())
        .layer(leaves(&trail, "outer"))
        .layer(leaves(&trail, "inner"))
        .middleware("Second", leaves(&trail, "second"))
        .middleware("First", leaves(&trail, "first"));
    let router = door.router().unwrap();
    assert_eq!(ask(&router, get("/audited")).await.status, 401);
    assert!(
        trail.lock().unwrap().is_empty(),
        "a layer ran without a token"
    );
    let request = get("/audited").header("authorization", issuer.bearer("admin"));
    assert_eq!(ask(&router, request).await.status, 204);
    assert_eq!(
        *trail.lock().unwrap(),
        [
            "> outer",
            "> inner",
            "> first",
            "> second",
            "operation",
            "< second",
            "< first",
            "< inner",
            "< outer"
        ]
    );
    let table = door.table().unwrap();
    let layers: Vec<_> = table[0].layers.iter().map(|layer| &*layer.name).collect();
    assert_eq!(layers[..3], ["head-limit", "trace", "access-log"]);
    assert_eq!(layers[layers.len() - 2..], ["First", "Second"]);
}

#[tokio::test]
async fn middleware_may_answer_fail_panic_and_change_the_context() {
    async fn guard(cx: Context, request: Request, next: Next) -> Result<Response> {
        match request.headers().get("x-mood").map(|mood| mood.as_bytes()) {
            Some(b"stop") => Ok(Response::new(Body::from("stopped"))),
            Some(b"fail") => Err(catalogue::OVERLOADED.error()),
            Some(b"panic") => panic!("the name of a patient"),
            _ => next.run(cx.with_value(7_u32), request).await,
        }
    }
    static SEVEN: Route = Route::new(Method::Get, "/seven", "seven");
    let routes = Routes::new(()).route(&SEVEN, |_, cx, _req: ()| async move {
        Ok(cx.value::<u32>().map(|value| *value))
    });
    let door = door::door(routes.build()).layer(Middleware::from_fn(guard));
    let router = door.router().unwrap();
    assert_eq!(ask(&router, get("/seven")).await.json(), 7);
    let mood = |mood: &'static str| get("/seven").header("x-mood", mood);
    assert_eq!(ask(&router, mood("stop")).await.body, b"stopped");
    assert_eq!(ask(&router, mood("fail")).await.code(), "OVERLOADED");
    let panicked = ask(&router, mood("panic")).await;
    assert_eq!(
        (panicked.status.as_u16(), panicked.code()),
        (500, "INTERNAL".into())
    );
    assert!(
        !String::from_utf8(panicked.body)
            .unwrap()
            .contains("patient")
    );
}

#[tokio::test]
async fn a_tower_layer_sees_errors_as_responses_and_the_context() {
    let layer = tower::util::MapResponseLayer::new(|mut response: Response| {
        response
            .headers_mut()
            .insert("x-layer", "seen".parse().unwrap());
        response
    });
    let seen: Arc<Mutex<Option<String>>> = Arc::default();
    let witness = seen.clone();
    let context = tower::util::MapRequestLayer::new(move |request: Request| {
        let cx = request.extensions().get::<Context>().unwrap();
        *witness.lock().unwrap() = Some(cx.trace().trace_id());
        request
    });
    static FAILS: Route = Route::new(Method::Get, "/fails", "fails");
    let routes = hello().and(
        Routes::new(())
            .route(&FAILS, |_, _, _req: ()| async {
                Err::<(), _>(catalogue::UNAVAILABLE.error())
            })
            .build(),
    );
    let door = door::door(routes)
        .layer(Middleware::tower(layer))
        .layer(Middleware::tower(context));
    let router = door.router().unwrap();
    let good = ask(&router, get("/hello/you")).await;
    assert_eq!(
        (good.header("x-layer"), good.json()),
        (Some("seen"), json!("hello"))
    );
    assert_eq!(
        seen.lock().unwrap().as_deref(),
        Some("4bf92f3577b34da6a3ce929d0e0e4736")
    );
    let bad = ask(&router, get("/fails")).await;
    assert_eq!(
        (bad.header("x-layer"), bad.code()),
        (Some("seen"), "UNAVAILABLE".into())
    );
}

#[tokio::test]
async fn logic_sets_status_and_headers_of_a_success() {
    static MAKE: Route = Route::new(Method::Post, "/make", "make").status(202);
    let routes = Routes::new(()).route(&MAKE, |_, cx, body: serde_json::Value| async move {
        let head = reply(&cx);
        match body["how"].as_str() {
            Some("created") => drop(head.status(201).header("location", "/made/1")),
            Some("cookie") => drop(
                head.header("set-cookie", "a=1")
                    .header("set-cookie", "b=2")
                    .header("cache-control", "max-age=60"),
            ),
            Some("split") => drop(head.header("x-a", "1\r\nx-b: 2")),
            Some("status") => drop(head.status(42)),
            Some("fail") => {
                drop(head.status(201).header("location", "/made/1"));
                return Err(catalogue::OVERLOADED.error());
            }
            _ => {}
        }
        Ok(json!({"made": true}))
    });
    let router = door::door(routes.build()).router().unwrap();
    let make = |how: &str| {
        let body = Body::from(json!({ "how": how }).to_string());
        send(&router, post("/make").body(body).unwrap())
    };
    let plain = make("").await;
    assert_eq!(plain.status, 202);
    assert_eq!(plain.header("cache-control"), Some("no-store"));
    assert_eq!(plain.header("x-content-type-options"), Some("nosniff"));
    let created = make("created").await;
    assert_eq!(
        (created.status.as_u16(), created.header("location")),
        (201, Some("/made/1"))
    );
    let cookie = make("cookie").await;
    assert_eq!(cookie.headers.get_all("set-cookie").iter().count(), 2);
    assert_eq!(cookie.header("cache-control"), Some("max-age=60"));
    for fault in ["split", "status"] {
        assert_eq!(make(fault).await.code(), "INTERNAL");
    }
    let failed = make("fail").await;
    assert_eq!(
        (failed.status.as_u16(), failed.header("location")),
        (503, None)
    );
    // Outside a REST call there is nothing to set.
    drop(reply(&Context::background()).status(201));
}

#[tokio::test]
async fn head_is_served_for_get_and_methods_are_merged_over_services() {
    static READ: Route = Route::new(Method::Get, "/patient/:id", "read");
    static REMOVE: Route = Route::new(Method::Delete, "/patient/:patientId", "remove");
    static LIST: Route = Route::new(Method::Get, "/patient/list", "list");
    let one = Routes::new(()).route(&READ, |_, _, _req: ()| async { Ok("read") });
    let two = Routes::new(())
        .route(&REMOVE, |_, _, _req: ()| async { Ok(()) })
        .route(&LIST, |_, _, _req: ()| async { Ok("list") });
    let doors = [door::door(one.build()), door::door(two.build())];
    let router = tenon_rest::merge(&doors).unwrap();
    assert_eq!(ask(&router, get("/patient/P1")).await.json(), "read");
    assert_eq!(ask(&router, get("/patient/list")).await.json(), "list");
    let head = ask(&router, http::Request::head("/patient/P1")).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some("6"));
    assert_eq!(
        ask(&router, http::Request::delete("/patient/P1"))
            .await
            .status,
        204
    );
    let put = ask(&router, http::Request::put("/patient/P1")).await;
    let mut allowed: Vec<_> = put
        .header("allow")
        .unwrap()
        .split(',')
        .map(str::trim)
        .collect();
    allowed.sort_unstable();
    assert_eq!(
        (put.status.as_u16(), allowed),
        (405, vec!["DELETE", "GET", "HEAD"])
    );
}

#[tokio::test]
async fn a_door_refuses_to_start_with_what_would_fail_later() {
    static TWICE: Route = Route::new(Method::Get, "/hello/:other", "twice");
    static TOKEN: Route = Route::new(Method::Get, "/token", "token").auth(Auth::Required);
    static RULED: Route = Route::new(Method::Get, "/ruled", "ruled").permission("x.read");
    static NAMED: Route = Route::new(Method::Get, "/named", "named").middleware(&["Audit"]);
    static HASTY: Route = Route::new(Method::Get, "/hasty", "hasty").timeout(Duration::ZERO);
    static BRACE: Route = Route::new(Method::Get, "/brace/{id}", "brace");
    static NAMELESS: Route = Route::new(Method::Get, "/nameless/:", "nameless");
    static RELATIVE: Route = Route::new(Method::Get, "relative", "relative");
    let issuer = Issuer::new();
    for (route, expected) in [
        (&TWICE, "another route has the same method and path"),
        (&TOKEN, "neither accessSecret nor keys"),
        (&NAMED, "the middleware Audit is not registered"),
        (&HASTY, "would refuse every request"),
        (&BRACE, "plain text or `:name`"),
        (&NAMELESS, "needs a name"),
        (&RELATIVE, "starts with a slash"),
    ] {
        let routes = Routes::new(()).route(route, |_, _, _req: ()| async { Ok(()) });
        let door = door::door(hello().and(routes.build()));
        let error = door.router().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains(door.table().unwrap()[1].handler), "{error}");
    }
    let routes = Routes::new(()).route(&RULED, |_, _, _req: ()| async { Ok(()) });
    let door = door::door(routes.build()).verifier(issuer.verifier.clone());
    let error = door.router().unwrap_err().to_string();
    assert!(error.contains("no access rules"), "{error}");
    let doors = [door::door(hello()), door::door(hello())];
    let error = tenon_rest::merge(&doors).unwrap_err().to_string();
    assert!(error.contains("another route"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_caller_may_shorten_the_time_of_a_route() {
    static TIME: Route = Route::new(Method::Get, "/time", "time").timeout(Duration::from_secs(30));
    let routes = Routes::new(()).route(&TIME, |_, cx, _req: ()| async move {
        Ok(cx.remaining().map(|left| left.as_millis() as u64))
    });
    let router = door::door(routes.build()).router().unwrap();
    let time =
        |name: &'static str, value: &'static str| ask(&router, get("/time").header(name, value));
    assert_eq!(time("x-nothing", "1").await.json(), 30_000);
    assert_eq!(time("x-request-timeout-ms", "700").await.json(), 700);
    assert_eq!(time("x-request-timeout-ms", "90000").await.json(), 30_000);
    assert_eq!(time("grpc-timeout", "250m").await.json(), 250);
    assert_eq!(time("x-request-timeout-ms", "0").await.status, 504);
}

#[tokio::test]
async fn a_result_that_comes_late_but_comes_still_counts() {
    static LATE: Route =
        Route::new(Method::Get, "/late", "late").timeout(Duration::from_millis(20));
    let routes = Routes::new(()).route(&LATE, |_, cx, _req: ()| async move {
        // A handler that computes does not give the clock a chance.
        std::thread::sleep(Duration::from_millis(60));
        Ok(cx.check().is_err())
    });
    let router = door::door(routes.build()).router().unwrap();
    let answer = ask(&router, get("/late")).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!(true)));
}

#[tokio::test]
async fn the_trace_of_the_caller_goes_on_and_a_broken_one_starts_anew() {
    let router = with_fallbacks(door::door(hello()).router().unwrap());
    let answer = ask(&router, get("/hello/you")).await;
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    assert_eq!(answer.header("x-trace-id"), Some(id));
    let parent = answer.header("traceparent").unwrap();
    assert!(parent.starts_with(&format!("00-{id}-")) && parent.len() == 55);
    assert!(
        !parent.contains("00f067aa0ba902b7"),
        "the span is the server's own"
    );
    let request = http::Request::get("/hello/you").header("traceparent", "00-broken");
    let answer = ask(&router, request).await;
    assert_eq!(answer.header("x-trace-id").unwrap().len(), 32);
}

#[tokio::test]
async fn a_streamed_reply_keeps_its_context_until_it_ends() {
    static STREAM: Route = Route::new(Method::Get, "/stream", "stream");
    let kept: Arc<Mutex<Option<Context>>> = Arc::default();
    let keep = kept.clone();
    let routes = Routes::new(()).route(&STREAM, move |_, cx, _req: ()| {
        *keep.lock().unwrap() = Some(cx);
        let pieces = ["a", "b"].map(|text| Ok::<_, std::io::Error>(Bytes::from(text)));
        let body = Body::from_stream(futures_util::stream::iter(pieces));
        async move { Ok(Raw(Response::new(body))) }
    });
    let router = door::door(routes.build()).router().unwrap();
    let request = get("/stream").body(Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    let cx = kept.lock().unwrap().clone().unwrap();
    assert!(!cx.is_cancelled());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "ab");
    assert!(cx.is_cancelled());
}
