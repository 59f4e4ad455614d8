//! What is written of each request: the access log, failures, metrics. Never a path or a payload.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

#[path = "support/door.rs"]
mod door;

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use door::{Issuer, ask, get};
use serde_json::Value;
use tenon_core::Error;
use tenon_rest::{Auth, Method, Route, Routes, with_fallbacks};
use tenon_telemetry::Metrics;
use tracing::instrument::WithSubscriber;

static PATIENT: Route = Route::new(Method::Get, "/patient/:id", "getPatient").auth(Auth::Required);
static BROKEN: Route = Route::new(Method::Get, "/broken", "broken");
static PANICS: Route = Route::new(Method::Get, "/panics", "panics");
static WAITS: Route = Route::new(Method::Get, "/waits", "waits");

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + use<> {
        let lines = self.clone();
        tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_writer(move || lines.clone())
            .finish()
    }

    fn of(&self, target: &str) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .filter(|line: &Value| line["target"] == target)
            .collect()
    }
}

fn router(issuer: &Issuer, metrics: &Metrics) -> axum::Router {
    let routes = Routes::new(())
        .route(&PATIENT, |_, _, _req: ()| async { Ok("ok") })
        .route(&BROKEN, |_, _, _req: ()| async {
            Err::<(), _>(Error::internal("open the file", "disk is on fire"))
        })
        .route(&PANICS, |_, _, _req: ()| async move {
            let patients = ["zhang-san"];
            Ok(patients[std::hint::black_box(7)])
        })
        .route(&WAITS, |_, cx, _req: ()| async move {
            cx.run(std::future::pending::<()>()).await
        });
    let door = door::door(routes.build())
        .verifier(issuer.verifier.clone())
        .metrics(metrics.clone());
    with_fallbacks(door.router().unwrap())
}

#[tokio::test]
async fn one_line_a_request_with_the_template_and_the_caller() {
    let (issuer, metrics, lines) = (Issuer::new(), Metrics::new(), Lines::default());
    let router = router(&issuer, &metrics);
    async {
        let token = issuer.bearer("u-17");
        let request = get("/patient/zhang-san?phone=13800000000").header("authorization", token);
        assert_eq!(ask(&router, request).await.status, 200);
        assert_eq!(ask(&router, get("/nowhere/zhang-san")).await.status, 404);
    }
    .with_subscriber(lines.subscriber())
    .await;
    let access = lines.of("access");
    assert_eq!(access.len(), 2);
    assert_eq!(access[0]["route"], "/patient/:id");
    assert_eq!(access[0]["method"], "GET");
    assert_eq!(access[0]["status"], 200);
    assert_eq!(access[0]["caller"], "u-17");
    assert_eq!(access[0]["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(access[0]["duration_ms"].as_f64().unwrap() < 5000.0);
    assert_eq!(
        (&access[1]["status"], &access[1]["route"]),
        (&404.into(), &"".into())
    );
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    for secret in ["zhang", "1380", "Bearer", "eyJ"] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn what_no_route_takes_is_counted_by_method_and_never_by_path() {
    let metrics = Metrics::new();
    let routes = Routes::new(()).route(&WAITS, |_, _, _req: ()| async { Ok("ok") });
    let door = door::door(routes.build()).metrics(metrics.clone());
    let router = tenon_rest::merge([&door]).unwrap();
    for path in ["/zhang-san", "/li-si"] {
        assert_eq!(ask(&router, get(path)).await.status, 404);
    }
    for method in ["DELETE", "BREW", "DRINK"] {
        let request = http::Request::builder().method(method).uri("/waits");
        assert_eq!(ask(&router, request).await.status, 405);
    }
    let text = metrics.encode();
    let counted = |method: &str, status: u16, times: u8| {
        text.contains(&format!(
            "http_server_request_duration_seconds_count{{service=\"\",\
             http_request_method=\"{method}\",http_route=\"\",\
             http_response_status_code=\"{status}\"}} {times}\n"
        ))
    };
    assert!(counted("GET", 404, 2), "{text}");
    assert!(counted("DELETE", 405, 1), "{text}");
    assert!(counted("_OTHER", 405, 2), "{text}");
    assert!(!text.contains("zhang") && !text.contains("BREW"), "{text}");
}

#[tokio::test]
async fn a_failure_is_written_once_with_its_causes() {
    let (issuer, metrics, lines) = (Issuer::new(), Metrics::new(), Lines::default());
    let router = router(&issuer, &metrics);
    let answer = ask(&router, get("/broken"))
        .with_subscriber(lines.subscriber())
        .await;
    assert!(!String::from_utf8(answer.body).unwrap().contains("fire"));
    let failures = lines.of("tenon_rest::journal");
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0]["level"], "ERROR");
    assert_eq!(
        failures[0]["cause"],
        "could not open the file: disk is on fire"
    );
    assert_eq!(failures[0]["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(lines.of("access").len(), 1);
}

#[tokio::test]
async fn a_panic_is_written_once_with_its_place_and_the_trace() {
    let (issuer, metrics, lines) = (Issuer::new(), Metrics::new(), Lines::default());
    let router = router(&issuer, &metrics);
    std::panic::set_hook(Box::new(|panic| {
        tenon_core::panics::note(panic);
    }));
    let answer = ask(&router, get("/panics"))
        .with_subscriber(lines.subscriber())
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (500, "INTERNAL".to_owned())
    );
    let failures = lines.of("tenon_rest::journal");
    assert_eq!(failures.len(), 1, "{failures:?}");
    let cause = failures[0]["cause"].as_str().unwrap();
    assert!(
        cause.contains("a panic at ") && cause.contains("journal.rs:"),
        "{cause}"
    );
    assert_eq!(failures[0]["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(
        !cause.contains("index"),
        "the payload is not written: {cause}"
    );
}

#[tokio::test]
async fn a_caller_who_left_is_written_and_counted_as_499() {
    let (issuer, metrics, lines) = (Issuer::new(), Metrics::new(), Lines::default());
    let router = router(&issuer, &metrics);
    let _logging = tracing::subscriber::set_default(lines.subscriber());
    let waiting = ask(&router, get("/waits"));
    let left = tokio::time::timeout(Duration::from_millis(20), waiting).await;
    assert!(left.is_err());
    let access = lines.of("access");
    assert_eq!((access.len(), &access[0]["status"]), (1, &499.into()));
    let text = metrics.encode();
    let counted = text.lines().any(|line| {
        line.starts_with("http_server_request_duration_seconds_count")
            && line.contains("http_route=\"/waits\"")
            && line.contains("http_response_status_code=\"499\"")
            && line.ends_with(" 1")
    });
    assert!(counted, "{text}");
    let busy = text.lines().any(|line| {
        line.starts_with("http_server_active_requests")
            && line.contains("/waits")
            && line.ends_with(" 0")
    });
    assert!(busy, "{text}");
}
