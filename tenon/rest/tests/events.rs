//! Streams of events: the same layers as any other answer, for as long as the stream lives.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

#[path = "support/door.rs"]
mod door;

use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tenon_core::{Context, Error, Lifecycle, catalogue};
use tenon_net::Options;
use tenon_rest::{Event, Events, Method, Route, Routes, last_event_id, with_fallbacks};
use tenon_telemetry::Metrics;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::Instant,
};
use tower::ServiceExt;

static COUNT: Route = Route::new(Method::Get, "/count", "count").events();
static FAIL: Route = Route::new(Method::Get, "/fail", "fail").events();
static PANIC: Route = Route::new(Method::Get, "/panic", "panic").events();
static REFUSE: Route = Route::new(Method::Get, "/refuse", "refuse").events();
static QUIET: Route = Route::new(Method::Get, "/quiet", "quiet").events();
static SHORT: Route = Route::new(Method::Get, "/short", "short")
    .events()
    .timeout(Duration::from_secs(20));

fn routes(contexts: mpsc::UnboundedSender<Context>) -> Routes {
    let watched = move |contexts: &mpsc::UnboundedSender<Context>, cx: &Context| {
        let _ = contexts.send(cx.clone());
        Events::produce(async move |out| {
            out.send(Event::new("begun")).await?;
            std::future::pending::<()>().await;
            Ok(())
        })
    };
    Routes::new(contexts)
        .route(&COUNT, |_, cx: Context, _req: ()| async move {
            let from = last_event_id(&cx).and_then(|id| id.parse().ok());
            let from: i64 = from.map_or(0, |id: i64| id + 1);
            Ok(Events::produce(async move |out| {
                for number in from..3 {
                    out.send(Event::new(number).id(number)).await?;
                }
                Ok(())
            }))
        })
        .route(&FAIL, |_, _, _req: ()| async {
            Ok(Events::produce(async move |out| {
                out.send(Event::new(1)).await?;
                Err(Error::internal("read the next row", "disk is on fire"))
            }))
        })
        .route(&PANIC, |_, _, _req: ()| async {
            Ok(Events::produce(async move |out| {
                out.send(Event::new(1)).await?;
                panic!("the operation is on fire")
            }))
        })
        .route(&REFUSE, |_, _, _req: ()| async {
            Err::<Events<i64>, _>(catalogue::TOKEN_MISSING.error())
        })
        .route(&QUIET, move |contexts, cx: Context, _req: ()| async move {
            Ok(watched(&contexts, &cx))
        })
        .route(&SHORT, move |contexts, cx: Context, _req: ()| async move {
            Ok(watched(&contexts, &cx))
        })
        .build()
}

struct Stand {
    router: axum::Router,
    metrics: Metrics,
    contexts: mpsc::UnboundedReceiver<Context>,
}

fn stand() -> Stand {
    let (sender, contexts) = mpsc::unbounded_channel();
    let metrics = Metrics::new();
    let door = door::door(routes(sender)).metrics(metrics.clone());
    Stand {
        router: with_fallbacks(door.router().unwrap()),
        metrics,
        contexts,
    }
}

impl Stand {
    async fn open(&self, path: &str, headers: &[(&str, &str)]) -> http::Response<Body> {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    async fn text(&self, path: &str, headers: &[(&str, &str)]) -> String {
        let response = self.open(path, headers).await;
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    fn counts(&self, line: &str) -> bool {
        self.metrics.encode().lines().any(|l| l.starts_with(line))
    }
}

fn duration(route: &str, status: u16) -> String {
    format!(
        "http_server_request_duration_seconds_count{{service=\"patient\",http_request_method=\"GET\",http_route=\"{route}\",http_response_status_code=\"{status}\"}} 1"
    )
}

#[tokio::test]
async fn events_come_as_the_standard_writes_them() {
    let stand = stand();
    let response = stand.open("/count", &[]).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.headers()["cache-control"], "no-cache, no-store");
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(
        bytes,
        "id: 0\ndata: 0\n\nid: 1\ndata: 1\n\nid: 2\ndata: 2\n\n"
    );
    assert!(
        stand.counts(&duration("/count", 200)),
        "{}",
        stand.metrics.encode()
    );
}

#[tokio::test]
async fn a_client_that_comes_back_goes_on_where_it_was() {
    let stand = stand();
    let text = stand.text("/count", &[("last-event-id", "1")]).await;
    assert_eq!(text, "id: 2\ndata: 2\n\n");
}

#[tokio::test]
async fn an_answer_that_never_became_a_stream_is_a_problem_document() {
    let stand = stand();
    let response = stand.open("/refuse", &[]).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    assert!(stand.counts(&duration("/refuse", 401)));
}

#[tokio::test]
async fn a_failure_and_a_panic_end_the_stream_with_a_problem_and_are_counted() {
    let stand = stand();
    for path in ["/fail", "/panic"] {
        let text = stand.text(path, &[]).await;
        let (first, problem) = text.split_once("\n\n").unwrap();
        assert_eq!(first, "data: 1");
        let document = problem.strip_prefix("event: problem\ndata: ").unwrap();
        let document: serde_json::Value = serde_json::from_str(document.trim()).unwrap();
        assert_eq!(document["code"], "INTERNAL");
        assert!(!text.contains("fire"), "{text}");
        assert!(
            stand.counts(&duration(path, 500)),
            "{}",
            stand.metrics.encode()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_at_its_time_whatever_the_request_says() {
    let stand = stand();
    // What go-zero takes for a reason to have no timeout, and what asks for more time.
    for headers in [
        &[][..],
        &[("accept", "text/event-stream")],
        &[("upgrade", "websocket"), ("connection", "upgrade")],
        &[("x-request-timeout-ms", "999999999")],
    ] {
        let began = Instant::now();
        let text = stand.text("/short", headers).await;
        assert_eq!(began.elapsed().as_secs(), 20, "{headers:?}");
        assert!(text.starts_with("data: \"begun\"\n\n: \n\n"), "{text}");
        assert!(text.contains("DEADLINE_EXCEEDED"), "{text}");
    }
    let began = Instant::now();
    stand
        .text("/quiet", &[("x-request-timeout-ms", "1500")])
        .await;
    assert_eq!(began.elapsed().as_millis(), 1500, "a caller may give less");
    let began = Instant::now();
    stand.text("/quiet", &[]).await;
    assert_eq!(began.elapsed(), Duration::from_secs(3600), "the default");
    assert!(stand.counts(
        "http_server_request_duration_seconds_count{service=\"patient\",http_request_method=\"GET\",http_route=\"/short\",http_response_status_code=\"200\"} 4"
    ), "being open until its time is no failure: {}", stand.metrics.encode());
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_says_that_it_lives() {
    let stand = stand();
    let mut body = stand.open("/quiet", &[]).await.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "data: \"begun\"\n\n");
    for _ in 0..3 {
        let began = Instant::now();
        let comment = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(comment, ": \n\n");
        assert_eq!(began.elapsed(), Duration::from_secs(15));
    }
}

#[tokio::test]
async fn a_stream_is_in_flight_while_it_lives_and_ends_with_its_client() {
    let mut stand = stand();
    let mut body = stand.open("/quiet", &[]).await.into_body();
    body.frame().await.unwrap().unwrap();
    let active = |n| {
        format!(
            "http_server_active_requests{{service=\"patient\",http_request_method=\"GET\",http_route=\"/quiet\"}} {n}"
        )
    };
    assert!(stand.counts(&active(1)), "{}", stand.metrics.encode());
    let cx = stand.contexts.recv().await.unwrap();
    assert!(cx.check().is_ok());
    drop(body);
    assert!(cx.cancelled().await.is(&catalogue::CANCELLED));
    assert!(stand.counts(&active(0)));
    assert!(stand.counts(&duration("/quiet", 499)));
}

#[tokio::test]
async fn a_client_that_closes_its_socket_stops_the_work() {
    let Stand {
        router,
        mut contexts,
        ..
    } = stand();
    let listener = tenon_net::bind("127.0.0.1:0".parse().unwrap(), "rest.listen")
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    let options = Options::rest(&door::config());
    tokio::spawn(tenon_net::serve(
        listener,
        router,
        options,
        Lifecycle::new(),
    ));
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(b"GET /quiet HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("begun") {
        let mut piece = [0; 512];
        let count = tcp.read(&mut piece).await.unwrap();
        assert!(count > 0);
        seen.extend_from_slice(&piece[..count]);
    }
    let cx = contexts.recv().await.unwrap();
    let left = std::time::Instant::now();
    drop(tcp);
    assert!(cx.cancelled().await.is(&catalogue::CANCELLED));
    println!("client left: context over after {:?}", left.elapsed());
}
