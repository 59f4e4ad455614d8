//! The admin server through its router: who may see what, and what is ready.

#![allow(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tenon_core::{
    Lifecycle, catalogue,
    config::{AdminAuth, AdminConfig},
};
use tenon_net::Peer;
use tenon_telemetry::{Admin, Metrics};
use tower::ServiceExt;

const LOOPBACK: &str = "127.0.0.1:50000";
const REMOTE: &str = "203.0.113.9:50000";

struct Answer {
    status: StatusCode,
    headers: http::HeaderMap,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

fn admin(auth: Option<AdminAuth>) -> Admin {
    let config = AdminConfig {
        auth,
        ..AdminConfig::default()
    };
    admin_of(config, Lifecycle::new())
}

fn admin_of(config: AdminConfig, life: Lifecycle) -> Admin {
    Admin::new(config, Metrics::new(), life)
        .routes(json!([{"method": "GET", "path": "/api/v1/patient/:patientId"}]))
}

fn from(peer: &str, path: &str) -> http::request::Builder {
    let address: SocketAddr = peer.parse().unwrap();
    Request::get(path).extension(Peer(address))
}

async fn send(router: &Router, req: http::request::Builder) -> Answer {
    let req = req.body(Body::empty()).unwrap();
    let resp = router.clone().oneshot(req).await.unwrap();
    let (parts, body) = resp.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

fn basic() -> Option<AdminAuth> {
    Some(AdminAuth::Basic {
        username: "operator".to_owned(),
        password: "s3cret: with a colon".into(),
    })
}

fn bearer() -> Option<AdminAuth> {
    Some(AdminAuth::Bearer("operator-token".into()))
}

/// `operator:s3cret: with a colon`
const BASIC: &str = "b3BlcmF0b3I6czNjcmV0OiB3aXRoIGEgY29sb24=";

#[tokio::test]
async fn alive_is_alive_at_every_stage_and_from_anywhere() {
    let life = Lifecycle::new();
    let router = admin_of(AdminConfig::default(), life.clone())
        .router()
        .unwrap();
    let stages: [&dyn Fn(); 3] = [&|| {}, &|| life.ready(), &|| life.drain()];
    for enter in stages {
        enter();
        let answer = send(&router, from(REMOTE, "/healthz")).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn readiness_follows_the_life_of_the_process() {
    let life = Lifecycle::new();
    let router = admin_of(AdminConfig::default(), life.clone())
        .router()
        .unwrap();
    let answer = send(&router, from(REMOTE, "/readyz")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json(), json!({"status": "starting", "probes": []}));
    life.ready();
    let answer = send(&router, from(REMOTE, "/readyz")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json(), json!({"status": "ready", "probes": []}));
    life.drain();
    let answer = send(&router, from(REMOTE, "/readyz")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json()["status"], "draining");
}

#[tokio::test(start_paused = true)]
async fn each_probe_is_listed_and_one_that_fails_makes_it_unready() {
    let life = Lifecycle::new();
    life.ready();
    let broken = Arc::new(AtomicBool::new(true));
    let state = Arc::clone(&broken);
    let router = admin_of(AdminConfig::default(), life)
        .probe("clock", || async { Ok(()) })
        .probe("store", move || {
            let broken = state.load(Ordering::SeqCst);
            async move {
                let error = || {
                    catalogue::UNAVAILABLE
                        .error()
                        .cause("no such host db7.internal")
                };
                if broken { Err(error()) } else { Ok(()) }
            }
        })
        .router()
        .unwrap();
    let answer = send(&router, from(REMOTE, "/readyz")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let expected = json!({"status": "unready", "probes": [
        {"name": "clock", "ready": true},
        {"name": "store", "ready": false, "code": "UNAVAILABLE"},
    ]});
    assert_eq!(answer.json(), expected, "the cause is not for everybody");

    // What was missing is looked for again sooner than what is there.
    broken.store(false, Ordering::SeqCst);
    tokio::time::advance(Duration::from_millis(5)).await;
    let answer = send(&router, from(REMOTE, "/readyz")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.json()["probes"][1],
        json!({"name": "store", "ready": true})
    );
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_or_panics_has_failed_and_holds_nobody_up() {
    let life = Lifecycle::new();
    life.ready();
    let router = admin_of(AdminConfig::default(), life)
        .probe("hangs", std::future::pending)
        .probe("panics", || async { panic!("inside") })
        .probe(
            "panics at once",
            || -> std::future::Ready<tenon_core::Result<()>> { panic!("before") },
        )
        .router()
        .unwrap();
    let started = tokio::time::Instant::now();
    let answer = send(&router, from(REMOTE, "/readyz")).await;
    assert_eq!(started.elapsed(), Duration::from_secs(2));
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let codes: Vec<Value> = answer.json()["probes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|probe| probe["code"].clone())
        .collect();
    assert_eq!(codes, ["DEADLINE_EXCEEDED", "INTERNAL", "INTERNAL"]);
}

#[tokio::test(start_paused = true)]
async fn many_who_ask_share_one_round_of_probes() {
    let life = Lifecycle::new();
    life.ready();
    let rounds = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&rounds);
    let router = admin_of(AdminConfig::default(), life)
        .probe("store", move || {
            counted.fetch_add(1, Ordering::SeqCst);
            async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok(())
            }
        })
        .router()
        .unwrap();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let router = router.clone();
        asking.spawn(async move { send(&router, from(REMOTE, "/readyz")).await.status });
    }
    let statuses = asking.join_all().await;
    assert!(statuses.iter().all(|status| *status == StatusCode::OK));
    assert_eq!(rounds.load(Ordering::SeqCst), 1);
    tokio::time::advance(Duration::from_millis(250)).await;
    send(&router, from(REMOTE, "/readyz")).await;
    assert_eq!(rounds.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn metrics_are_open_metrics_text() {
    let metrics = Metrics::new();
    metrics
        .http_route("patient", "GET", "/a")
        .record(200, Duration::from_millis(1));
    let router = Admin::new(AdminConfig::default(), metrics, Lifecycle::new())
        .router()
        .unwrap();
    let answer = send(&router, from(REMOTE, "/metrics")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.headers[header::CONTENT_TYPE],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert!(
        answer
            .body
            .contains("http_server_request_duration_seconds_count{")
    );
    assert!(answer.body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn the_route_table_is_for_loopback_peers() {
    let router = admin(None).router().unwrap();
    for peer in [
        LOOPBACK,
        "127.8.9.1:1",
        "[::1]:50000",
        "[::ffff:127.0.0.1]:50000",
    ] {
        let answer = send(&router, from(peer, "/routes")).await;
        assert_eq!(answer.status, StatusCode::OK, "{peer}");
        assert_eq!(answer.json()[0]["path"], "/api/v1/patient/:patientId");
    }
    for peer in [
        REMOTE,
        "10.0.0.1:1",
        "[2001:db8::1]:1",
        "[::ffff:10.0.0.1]:1",
        "0.0.0.0:1",
    ] {
        let answer = send(&router, from(peer, "/routes")).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{peer}");
        assert!(!answer.headers.contains_key(header::WWW_AUTHENTICATE));
        assert!(!answer.body.contains("/api/v1"));
    }
    let nobody = send(&router, Request::get("/routes")).await;
    assert_eq!(
        nobody.status,
        StatusCode::FORBIDDEN,
        "no peer address is no loopback"
    );
}

#[tokio::test]
async fn headers_never_make_a_peer_local() {
    let router = admin(None).router().unwrap();
    for (name, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-real-ip", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
        ("host", "localhost"),
        ("x-forwarded-host", "localhost"),
    ] {
        let answer = send(&router, from(REMOTE, "/routes").header(name, value)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}");
    }
}

#[tokio::test]
async fn a_proxy_or_a_rebound_name_gets_no_privilege_of_this_machine() {
    let router = admin(None).router().unwrap();
    for (name, value) in [
        ("x-forwarded-for", "203.0.113.9"),
        ("forwarded", "for=203.0.113.9"),
        ("via", "1.1 proxy"),
        ("host", "evil.example"),
        ("host", "localhost.evil.example:8889"),
        ("host", "not a host"),
    ] {
        let answer = send(&router, from(LOOPBACK, "/routes").header(name, value)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}: {value}");
    }
    for host in [
        "localhost:8889",
        "127.0.0.1:8889",
        "[::1]:8889",
        "LocalHost",
    ] {
        let answer = send(&router, from(LOOPBACK, "/routes").header("host", host)).await;
        assert_eq!(answer.status, StatusCode::OK, "{host}");
    }
}

#[tokio::test]
async fn others_must_show_the_credential() {
    let accepted = [
        (basic(), format!("Basic {BASIC}")),
        (basic(), format!("bAsIc {BASIC}")),
        (bearer(), "Bearer operator-token".to_owned()),
        (bearer(), "bearer operator-token".to_owned()),
    ];
    for (auth, value) in accepted {
        let router = admin(auth).router().unwrap();
        let req = from(REMOTE, "/routes").header(header::AUTHORIZATION, &value);
        assert_eq!(send(&router, req).await.status, StatusCode::OK, "{value}");
    }
}

#[tokio::test]
async fn other_credentials_are_refused_with_a_challenge() {
    let cases = [
        (basic as fn() -> _, "Basic realm="),
        (bearer as fn() -> _, "Bearer realm="),
    ];
    for (auth, challenge) in cases {
        let router = admin(auth()).router().unwrap();
        for value in [
            "",
            "Basic",
            "Basic ",
            "Basic !!!",
            "Basic b3BlcmF0b3I6",
            "Basic  b3BlcmF0b3I6czNjcmV0OiB3aXRoIGEgY29sb24=",
            "Bearer ",
            "Bearer operator-toke",
            "Bearer operator-token ",
            "Bearer operator-tokeN",
            "Digest operator-token",
            "operator-token",
        ] {
            let req = from(REMOTE, "/routes").header(header::AUTHORIZATION, value);
            let answer = send(&router, req).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{value}");
            let shown = answer.headers[header::WWW_AUTHENTICATE].to_str().unwrap();
            assert!(shown.starts_with(challenge), "{shown}");
            assert!(!answer.body.contains("/api/v1"));
        }
        assert_eq!(
            send(&router, from(REMOTE, "/routes")).await.status,
            StatusCode::UNAUTHORIZED
        );
    }
    let router = admin(bearer()).router().unwrap();
    let twice = from(REMOTE, "/routes")
        .header(header::AUTHORIZATION, "Bearer operator-token")
        .header(header::AUTHORIZATION, "Bearer other");
    assert_eq!(send(&router, twice).await.status, StatusCode::UNAUTHORIZED);
}

#[test]
fn credentials_that_admit_everybody_refuse_to_start() {
    let empty_password = AdminAuth::Basic {
        username: "operator".to_owned(),
        password: "".into(),
    };
    let colon = AdminAuth::Basic {
        username: "a:b".to_owned(),
        password: "x".into(),
    };
    for (auth, key) in [
        (AdminAuth::Bearer("".into()), "admin.auth.bearer"),
        (empty_password, "admin.auth.basic.password"),
        (colon, "admin.auth.basic.username"),
    ] {
        let error = admin(Some(auth)).router().unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    }
}

#[tokio::test]
async fn clients_are_shown_as_they_are_when_they_are_asked_for_and_not_to_everybody() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let first = move || vec![json!({"client": "trial", "asked": count.fetch_add(1, Relaxed)})];
    let router = admin(None).clients(first);
    let router = router.clients(|| vec![json!({"client": "patient"})]);
    let router = router.router().unwrap();
    for times in 0..2 {
        let answer = send(&router, from(LOOPBACK, "/clients")).await;
        let expected = json!([{"client": "trial", "asked": times}, {"client": "patient"}]);
        assert_eq!(answer.json(), expected);
    }
    let answer = send(&router, from(REMOTE, "/clients")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(asked.load(Relaxed), 2, "who may not see it, asks nobody");
}

#[tokio::test]
async fn head_is_answered_and_other_methods_are_not() {
    let router = admin(None).router().unwrap();
    for path in ["/", "/healthz", "/metrics", "/routes", "/clients"] {
        let head = send(&router, from(LOOPBACK, path).method(Method::HEAD)).await;
        assert_eq!(
            (head.status, head.body.as_str()),
            (StatusCode::OK, ""),
            "{path}"
        );
        let post = send(&router, from(LOOPBACK, path).method(Method::POST)).await;
        assert_eq!(post.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(post.headers[header::ALLOW], "GET,HEAD", "{path}");
    }
    let head = send(&router, from(REMOTE, "/routes").method(Method::HEAD)).await;
    assert_eq!(head.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn every_page_forbids_storing_and_sniffing() {
    let router = admin(None).router().unwrap();
    for path in [
        "/", "/healthz", "/readyz", "/metrics", "/routes", "/clients", "/none",
    ] {
        let answer = send(&router, from(LOOPBACK, path)).await;
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store", "{path}");
        assert_eq!(
            answer.headers[header::X_CONTENT_TYPE_OPTIONS],
            "nosniff",
            "{path}"
        );
        assert!(answer.headers.contains_key(header::CONTENT_TYPE), "{path}");
    }
    let index = send(&router, from(REMOTE, "/")).await;
    for link in ["/healthz", "/readyz", "/metrics", "/routes", "/clients"] {
        assert!(index.body.contains(&format!("href=\"{link}\"")), "{link}");
    }
}

#[tokio::test]
async fn profiles_are_for_loopback_peers_and_operators() {
    let router = admin(basic()).router().unwrap();
    let index = send(&router, from(LOOPBACK, "/debug/pprof/")).await;
    assert_eq!(index.status, StatusCode::OK);
    assert!(index.body.contains("<title>/debug/pprof/</title>"));
    let moved = send(&router, from(LOOPBACK, "/debug/pprof")).await;
    assert_eq!(moved.headers[header::LOCATION], "/debug/pprof/");
    for path in [
        "/debug/pprof/",
        "/debug/pprof/profile?seconds=1",
        "/debug/pprof/cmdline",
    ] {
        let refused = send(&router, from(REMOTE, path)).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{path}");
        // Only with it `go tool pprof` shows the text.
        assert_eq!(refused.headers["x-go-pprof"], "1", "{path}");
    }
    let credential = "Basic b3BlcmF0b3I6czNjcmV0OiB3aXRoIGEgY29sb24=";
    let shown = from(REMOTE, "/debug/pprof/cmdline").header(header::AUTHORIZATION, credential);
    assert_eq!(send(&router, shown).await.status, StatusCode::OK);
    let absent = send(&router, from(LOOPBACK, "/debug/pprof/no/such")).await;
    assert_eq!(absent.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn profiling_can_be_turned_off() {
    let mut config = AdminConfig::default();
    config.profiling.enabled = false;
    let router = admin_of(config, Lifecycle::new()).router().unwrap();
    let off = send(&router, from(LOOPBACK, "/debug/pprof/profile")).await;
    assert_eq!(off.status, StatusCode::NOT_FOUND);
    assert!(off.body.contains("admin.profiling.enabled"), "{}", off.body);
}

#[tokio::test]
async fn the_configuration_in_force_is_for_operators_and_without_secrets() {
    let reload = tenon_core::Reload::new();
    let text = "name: x\nauth: { accessSecret: hunter2 }\n";
    reload
        .begin(text, "etc/x.yaml".as_ref(), |_| Ok(()))
        .unwrap();
    let router = admin(bearer()).reload(&reload).router().unwrap();
    let answer = send(&router, from(LOOPBACK, "/config")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["inForce"]["name"], "x");
    assert!(!answer.body.contains("hunter2"), "{}", answer.body);
    let answer = send(&router, from(REMOTE, "/config")).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

async fn put_level(router: &Router, peer: &str, level: &'static str) -> StatusCode {
    let address: SocketAddr = peer.parse().unwrap();
    let req = Request::put("/log-level").extension(Peer(address));
    let req = req.body(Body::from(level)).unwrap();
    router.clone().oneshot(req).await.unwrap().status()
}

/// The log belongs to the whole process, so this is its only test here.
#[tokio::test]
async fn the_log_level_is_changed_by_operators() {
    let router = admin(None).router().unwrap();
    let answer = send(&router, from(LOOPBACK, "/log-level")).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    tenon_telemetry::init_logs(&tenon_core::config::LogConfig::default()).unwrap();
    assert_eq!(
        put_level(&router, REMOTE, "debug").await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        put_level(&router, LOOPBACK, "loud").await,
        StatusCode::BAD_REQUEST
    );
    let long = "debug, and much more than that";
    assert_eq!(
        put_level(&router, LOOPBACK, long).await,
        StatusCode::BAD_REQUEST
    );
    let answer = send(&router, from(LOOPBACK, "/log-level")).await;
    assert_eq!(answer.body, "info\n");
    assert_eq!(
        put_level(&router, LOOPBACK, "debug\n").await,
        StatusCode::OK
    );
    let answer = send(&router, from(LOOPBACK, "/log-level")).await;
    assert_eq!(answer.body, "debug\n");
    assert!(tracing::enabled!(tracing::Level::DEBUG));
}
