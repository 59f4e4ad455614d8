//! What guards a route, through the door: who is refused, with what answer, and what no header
//! can switch off.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

#[path = "support/door.rs"]
mod door;

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use door::{Answer, Issuer, ask, get, post, send};
use http::request::Builder;
use serde_json::Value;
use tenon_core::{Code, Entry, Result, catalogue, config::RestConfig};
use tenon_net::Peer;
use tenon_rest::{Auth, Criticality, Door, Method, Route, Routes};
use tokio::sync::Notify;

static OPEN: Route = Route::new(Method::Get, "/open", "open");
static OWN: Route = Route::new(Method::Get, "/own", "own").auth(Auth::Required);

fn config(text: &str) -> RestConfig {
    tenon_core::config::parse(text, "etc/test.yaml".as_ref()).unwrap()
}

fn routes() -> Routes {
    let routes = Routes::new(())
        .route(&OPEN, |_, _, _req: ()| async { Ok("open") })
        .route(&OWN, |_, _, _req: ()| async { Ok("own") });
    routes.build()
}

/// A door that takes the tokens of an issuer of its own.
fn door_of(config: RestConfig, routes: Routes) -> Door {
    Door::new("test", config, routes).verifier(Issuer::new().verifier.clone())
}

fn from(address: &str, request: Builder) -> Builder {
    let address: SocketAddr = format!("{address}:4711").parse().unwrap();
    request.extension(Peer(address))
}

#[tokio::test(start_paused = true)]
async fn who_asks_too_often_is_told_when_to_come_again() {
    let limited = "rateLimits: [{name: site, by: address, requests: 2, per: 10s}]";
    let router = door_of(config(limited), routes()).router().unwrap();
    let home = |request| ask(&router, from("192.0.2.1", request));
    let first = home(get("/open")).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.header("ratelimit-policy"), Some(r#""site";q=2;w=10"#));
    assert_eq!(first.header("ratelimit"), Some(r#""site";r=1;t=5"#));
    // Another route of the same limit, and headers that claim to be somebody else.
    let spoofed = get("/own").header("x-forwarded-for", "203.0.113.9");
    assert_eq!(home(spoofed).await.status, 401);
    let over = home(get("/open").header("x-forwarded-for", "203.0.113.8")).await;
    assert_eq!(
        (over.status.as_u16(), over.code()),
        (429, "RATE_LIMITED".into())
    );
    assert_eq!(
        over.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(over.header("retry-after"), Some("5"));
    assert_eq!(over.header("ratelimit"), Some(r#""site";r=0;t=10"#));
    let chinese = home(get("/open").header("accept-language", "zh-CN")).await;
    assert!(
        String::from_utf8(chinese.body)
            .unwrap()
            .contains("请求过于频繁")
    );
    let elsewhere = ask(&router, from("192.0.2.2", get("/open"))).await;
    assert_eq!(elsewhere.status, 200);
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(home(get("/open")).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_trusted_proxy_is_believed_about_its_clients() {
    let limited = concat!(
        "trustedProxies: [10.0.0.0/8]\n",
        "rateLimits: [{name: site, by: address, requests: 1, per: 10s}]",
    );
    let router = door_of(config(limited), routes()).router().unwrap();
    let through = |client: &'static str| {
        let request = get("/open").header("x-forwarded-for", client);
        ask(&router, from("10.0.0.7", request))
    };
    assert_eq!(through("203.0.113.1").await.status, 200);
    assert_eq!(through("203.0.113.2").await.status, 200);
    assert_eq!(through("6.6.6.6, 203.0.113.1").await.status, 429);
}

#[tokio::test(start_paused = true)]
async fn only_a_verified_caller_uses_its_share() {
    let issuer = Issuer::new();
    let limited =
        "rateLimits: [{name: own, by: principal, requests: 1, per: 10s, routes: ['GET /own']}]";
    let router = Door::new("test", config(limited), routes())
        .verifier(issuer.verifier.clone())
        .router()
        .unwrap();
    for _ in 0..5 {
        let forged = get("/own").header("authorization", "Bearer forged");
        assert_eq!(ask(&router, forged).await.status, 401);
    }
    let own = || {
        ask(
            &router,
            get("/own").header("authorization", issuer.bearer("admin")),
        )
    };
    assert_eq!(own().await.status, 200);
    let over = own().await;
    assert_eq!(
        (over.status.as_u16(), over.code()),
        (429, "RATE_LIMITED".into())
    );
    assert_eq!(ask(&router, get("/open")).await.status, 200);
}

#[tokio::test]
async fn the_class_of_a_route_goes_with_what_is_called_for_it() {
    static LIST: Route =
        Route::new(Method::Get, "/list", "list").criticality(Criticality::Sheddable);
    static PLAIN: Route = Route::new(Method::Get, "/plain", "plain");
    let mut routes = Routes::new(());
    for route in [&LIST, &PLAIN] {
        routes = routes.route(route, |_, cx, _req: ()| async move {
            Ok(cx.value::<Criticality>().map(|class| class.to_string()))
        });
    }
    let router = door::door(routes.build()).router().unwrap();
    for (path, expected) in [("/list", "\"sheddable\""), ("/plain", "\"normal\"")] {
        // That header is one of calls between services.
        let answer = ask(&router, get(path).header("tenon-criticality", "critical")).await;
        assert_eq!(String::from_utf8(answer.body).unwrap(), expected);
    }
}

/// Asks so often, 10 ms apart, and counts the answers by their code.
async fn statuses(router: &Router, count: usize, request: impl Fn() -> Builder) -> Vec<String> {
    let mut codes = Vec::new();
    for _ in 0..count {
        tokio::time::advance(Duration::from_millis(10)).await;
        let answer: Answer = ask(router, request()).await;
        codes.push(match answer.status.as_u16() {
            200 => String::new(),
            _ => answer.code(),
        });
    }
    codes
}

#[tokio::test(start_paused = true)]
async fn a_failing_route_is_refused_by_its_breaker_and_the_others_are_not() {
    static FAILS: Route = Route::new(Method::Get, "/fails", "fails");
    let works = Arc::new(AtomicBool::new(false));
    let calls = Arc::new(AtomicUsize::new(0));
    let (state, count) = (works.clone(), calls.clone());
    let failing = Routes::new(()).route(&FAILS, move |_, _, _req: ()| {
        count.fetch_add(1, SeqCst);
        let works = state.load(SeqCst);
        async move {
            match works {
                true => Ok("works"),
                false => Err(catalogue::UNAVAILABLE.error()),
            }
        }
    });
    let door = door_of(door::config(), routes().and(failing.build()));
    let router = door.router().unwrap();
    let codes = statuses(&router, 500, || get("/fails")).await;
    let refused = codes.iter().filter(|code| *code == "CIRCUIT_OPEN").count();
    println!(
        "500 requests to a failing route: {refused} refused, {} reached it",
        calls.load(SeqCst)
    );
    assert!(refused > 400, "{refused}");
    let answer = ask(&router, get("/open")).await;
    assert_eq!(answer.status, 200, "another route paid for it");
    works.store(true, SeqCst);
    statuses(&router, 300, || get("/fails")).await;
    let codes = statuses(&router, 100, || get("/fails")).await;
    assert!(
        codes.iter().all(String::is_empty),
        "still refused: {codes:?}"
    );
    let table = door.table().unwrap();
    let layers: Vec<_> = table[2].layers.iter().map(|layer| &*layer.name).collect();
    assert_eq!(
        layers,
        [
            "head-limit",
            "trace",
            "access-log",
            "metrics",
            "recover",
            "in-flight",
            "shedding",
            "body-limit",
            "breaker",
            "deadline"
        ]
    );
}

/// `UNAVAILABLE` can be how an operation says that something is not open yet.
#[tokio::test(start_paused = true)]
async fn what_counts_as_a_failure_can_be_set_while_the_door_is_open() {
    static CLOSED: Route = Route::new(Method::Get, "/closed", "closed");
    let closed = Routes::new(()).route(&CLOSED, |_, _, _req: ()| async {
        Err::<&str, _>(catalogue::UNAVAILABLE.error())
    });
    let told = config("failures: [INTERNAL, UNKNOWN]");
    let door = door_of(told, closed.build());
    let router = door.router().unwrap();
    let refused = async || {
        let codes = statuses(&router, 200, || get("/closed")).await;
        codes.iter().filter(|code| *code == "CIRCUIT_OPEN").count()
    };
    assert_eq!(refused().await, 0);
    let guards = door.guards().unwrap();
    let changes = guards.apply(&RestConfig::default().guards()).unwrap();
    assert_eq!(changes[0].key, "failures");
    // What it remembers of the time before.
    tokio::time::advance(Duration::from_secs(10)).await;
    assert!(refused().await > 100);
    let layers = &door.table().unwrap()[0].layers;
    let breaker = layers.iter().find(|layer| layer.name == "breaker");
    assert_eq!(
        breaker.unwrap().settings,
        "failures: UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE, DATA_LOSS"
    );
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_refuses_its_caller_stays_open_for_the_others() {
    static DELAYED: Entry = Entry::new("DELAYED", Code::ResourceExhausted, "too often", "过于频繁");
    static REFUSES: Route = Route::new(Method::Get, "/refuses", "refuses");
    // A pool of the operation that is full refuses by itself.
    static IS_FULL: Route = Route::new(Method::Get, "/full", "full");
    let refusing = Routes::new(())
        .route(&REFUSES, |_, _, _req: ()| async {
            Err::<&str, _>(DELAYED.error())
        })
        .route(&IS_FULL, |_, _, _req: ()| async {
            Err::<&str, _>(catalogue::OVERLOADED.error())
        });
    let router = door::door(refusing.build()).router().unwrap();
    let codes = statuses(&router, 200, || get("/refuses")).await;
    assert!(codes.iter().all(|code| code == "DELAYED"), "{codes:?}");
    let codes = statuses(&router, 200, || get("/full")).await;
    assert!(codes.iter().all(|code| code == "OVERLOADED"), "{codes:?}");
}

#[tokio::test(start_paused = true)]
async fn bodies_that_do_not_come_close_no_route() {
    static TAKES: Route =
        Route::new(Method::Post, "/takes", "takes").timeout(Duration::from_millis(100));
    let takes = Routes::new(()).route(&TAKES, |_, _, body: Value| async move { Ok(body) });
    let router = door::door(takes.build()).router().unwrap();
    for _ in 0..60 {
        let never = futures_util::stream::pending::<Result<&str, Infallible>>();
        let request = post("/takes").body(Body::from_stream(never)).unwrap();
        let answer = send(&router, request).await;
        assert_eq!(
            (answer.status.as_u16(), &*answer.code()),
            (408, "BODY_TOO_SLOW")
        );
    }
    let whole = post("/takes").body(Body::from("1")).unwrap();
    assert_eq!(send(&router, whole).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn short_deadlines_of_callers_open_no_breaker_and_panics_do() {
    static SLOW: Route = Route::new(Method::Get, "/slow", "slow");
    static PANICS: Route = Route::new(Method::Get, "/panics", "panics");
    let routes = Routes::new(())
        .route(&SLOW, |_, _, _req: ()| async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            Ok("slow")
        })
        .route(&PANICS, |_, _, _req: ()| async {
            panic!("the name of a patient");
            #[expect(unreachable_code, reason = "the type of the answer")]
            Ok("never")
        });
    let router = door::door(routes.build()).router().unwrap();
    let hasty = || get("/slow").header("x-request-timeout-ms", "1");
    let codes = statuses(&router, 200, hasty).await;
    assert!(
        codes.iter().all(|code| code == "DEADLINE_EXCEEDED"),
        "{codes:?}"
    );
    assert_eq!(ask(&router, get("/slow")).await.status, 200);
    let codes = statuses(&router, 100, || get("/panics")).await;
    assert!(codes.iter().any(|code| code == "CIRCUIT_OPEN"), "{codes:?}");
}

#[tokio::test]
async fn a_route_has_so_many_places_and_gives_them_back() {
    static ONE: Route = Route::new(Method::Get, "/one", "one")
        .max_in_flight(1)
        .criticality(Criticality::Sheddable);
    let gate = Arc::new(Notify::new());
    let (inside, entered) = (gate.clone(), Arc::new(Notify::new()));
    let told = entered.clone();
    let routes = Routes::new(()).route(&ONE, move |_, _, _req: ()| {
        let (inside, told) = (inside.clone(), told.clone());
        async move {
            told.notify_one();
            inside.notified().await;
            Ok(())
        }
    });
    let router = door::door(routes.build()).router().unwrap();
    let task = tokio::spawn({
        let router = router.clone();
        async move { ask(&router, get("/one")).await }
    });
    entered.notified().await;
    let second = ask(&router, get("/one")).await;
    assert_eq!(
        (second.status.as_u16(), second.code()),
        (503, "OVERLOADED".into())
    );
    assert_eq!(second.header("retry-after"), Some("1"));
    // A caller who leaves gives its place back, too.
    task.abort();
    assert!(task.await.is_err_and(|ended| ended.is_cancelled()));
    gate.notify_one();
    assert_eq!(ask(&router, get("/one")).await.status, 204);
}

#[tokio::test(start_paused = true)]
async fn settings_change_while_the_door_is_open() -> Result<()> {
    let door = door_of(RestConfig::default(), routes());
    let router = door.router().unwrap();
    let home = || ask(&router, from("192.0.2.1", get("/open")));
    assert_eq!(home().await.header("ratelimit"), None);
    let guards = door.guards().unwrap();
    let limited = config("rateLimits: [{name: site, by: address, requests: 1, per: 10s}]");
    let changes = guards.apply(&limited.guards()).unwrap();
    assert_eq!(changes[0].key, "rateLimits.site");
    assert_eq!(home().await.status, 200);
    assert_eq!(home().await.status, 429);
    let layers = &door.table().unwrap()[0].layers;
    let limit = layers.iter().find(|layer| layer.name == "rate-limit");
    assert_eq!(limit.unwrap().settings, "site by address 1/10s burst 1");
    guards.apply(&RestConfig::default().guards()).unwrap();
    assert_eq!(home().await.status, 200);
    Ok(())
}
