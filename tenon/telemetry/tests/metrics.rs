//! Metrics through their public door: what is counted, and that the text can be read.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a step that fails is a test that fails"
)]

use std::{collections::BTreeMap, time::Duration};

use tenon_core::Code;
use tenon_telemetry::{
    Metrics, Side,
    prometheus::{metrics::counter::Counter, registry::Unit},
};

/// The samples of an OpenMetrics text by name and labels. Panics at a line that the format does
/// not allow (OpenMetrics 1.0, section 3.1, as far as these metrics use it).
fn samples(text: &str) -> BTreeMap<String, f64> {
    let body = text.strip_suffix("# EOF\n").expect("it ends with EOF");
    let mut samples = BTreeMap::new();
    let mut families: BTreeMap<&str, &str> = BTreeMap::new();
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (kind, name) = (words.next().unwrap(), words.next().unwrap());
            assert!(["HELP", "TYPE", "UNIT"].contains(&kind), "{line}");
            if kind == "TYPE" {
                let twice = families.insert(name, words.next().unwrap());
                assert!(twice.is_none(), "a family stands twice: {line}");
            }
            continue;
        }
        let (key, value) = line.rsplit_once(' ').expect("a name and a value");
        let name = key.split('{').next().unwrap();
        let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
        assert!(name.chars().all(valid), "{line}");
        let suffixes = ["", "_bucket", "_sum", "_count", "_total", "_info"];
        let declared = |suffix: &str| {
            name.strip_suffix(suffix)
                .is_some_and(|family| families.contains_key(family))
        };
        assert!(
            suffixes.iter().any(|suffix| declared(suffix)),
            "no TYPE: {line}"
        );
        let value: f64 = value.parse().expect("a number");
        assert!(
            samples.insert(key.to_owned(), value).is_none(),
            "twice: {line}"
        );
    }
    samples
}

fn of<'a>(samples: &'a BTreeMap<String, f64>, parts: &[&str]) -> Vec<(&'a str, f64)> {
    let all = |key: &str| parts.iter().all(|part| key.contains(part));
    let found = samples.iter().filter(|(key, _)| all(key));
    found.map(|(key, value)| (key.as_str(), *value)).collect()
}

#[track_caller]
fn one(samples: &BTreeMap<String, f64>, parts: &[&str]) -> f64 {
    match of(samples, parts)[..] {
        [(_, value)] => value,
        ref found => panic!("expected one sample of {parts:?}, found {found:?}"),
    }
}

#[test]
fn requests_are_counted_by_route_and_status() {
    let metrics = Metrics::new();
    let route = metrics.http_route("patient", "GET", "/api/v1/patient/:patientId");
    for status in [200, 200, 404, 418] {
        route.record(status, Duration::from_millis(3));
    }
    let samples = samples(&metrics.encode());
    let count = |status: &str| {
        let label = format!("http_response_status_code=\"{status}\"");
        one(
            &samples,
            &[
                "http_server_request_duration_seconds_count{",
                "service=\"patient\"",
                "http_request_method=\"GET\"",
                "http_route=\"/api/v1/patient/:patientId\"",
                &label,
            ],
        )
    };
    assert_eq!((count("200"), count("404"), count("418")), (2.0, 1.0, 1.0));
    let bucket = |bound: &str| {
        let bound = format!("le=\"{bound}\"");
        one(
            &samples,
            &[
                "http_server_request_duration_seconds_bucket",
                "\"200\"",
                &bound,
            ],
        )
    };
    assert_eq!(
        (bucket("0.0025"), bucket("0.005"), bucket("+Inf")),
        (0.0, 2.0, 2.0)
    );
    let sum = one(
        &samples,
        &["http_server_request_duration_seconds_sum", "\"200\""],
    );
    assert!((sum - 0.006).abs() < 1e-9, "{sum}");
}

#[test]
fn a_route_that_was_never_called_shows_no_durations() {
    let metrics = Metrics::new();
    let _route = metrics.http_route("patient", "GET", "/a");
    let samples = samples(&metrics.encode());
    assert!(of(&samples, &["http_server_request_duration"]).is_empty());
    assert_eq!(one(&samples, &["http_server_active_requests{"]), 0.0);
}

#[test]
fn handles_of_the_same_route_count_together() {
    let metrics = Metrics::new();
    for _ in 0..2 {
        let route = metrics.http_route("patient", "GET", "/a");
        route.record(200, Duration::ZERO);
    }
    let samples = samples(&metrics.encode());
    assert_eq!(
        one(&samples, &["http_server_request_duration_seconds_count"]),
        2.0
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_is_given_back_by_every_way_out() {
    let metrics = Metrics::new();
    let route = metrics.http_route("patient", "POST", "/a");
    let active = || {
        one(
            &samples(&metrics.encode()),
            &["http_server_active_requests{"],
        )
    };
    let first = route.start();
    let second = route.clone().start();
    assert_eq!(active(), 2.0);
    drop(first);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _guard = second;
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(panicked.is_err());
    assert_eq!(active(), 0.0);
    let cancelled = async {
        let _guard = route.start();
        std::future::pending::<()>().await;
    };
    let timed_out = tokio::time::timeout(Duration::from_secs(1), cancelled).await;
    assert!(timed_out.is_err());
    assert_eq!(active(), 0.0);
}

#[test]
fn calls_are_counted_by_side_method_and_code() {
    let metrics = Metrics::new();
    let server = metrics.rpc_method(Side::Server, "patient.PatientService", "getPatient");
    let client = metrics.rpc_method(Side::Client, "patient.PatientService", "getPatient");
    server.record(None, Duration::from_micros(80));
    client.record(Some(Code::Unauthenticated), Duration::from_secs(20));
    client.record(Some(Code::Unavailable), Duration::ZERO);
    let _running = server.start();
    let samples = samples(&metrics.encode());
    let labels = [
        "rpc_service=\"patient.PatientService\"",
        "rpc_method=\"getPatient\"",
    ];
    let count = |name: &str, code: &str| {
        let code = format!("rpc_grpc_status_code=\"{code}\"");
        one(&samples, &[name, labels[0], labels[1], &code])
    };
    assert_eq!(count("rpc_server_call_duration_seconds_count", "0"), 1.0);
    assert_eq!(count("rpc_client_call_duration_seconds_count", "16"), 1.0);
    assert_eq!(count("rpc_client_call_duration_seconds_count", "14"), 1.0);
    assert!(
        of(
            &samples,
            &["rpc_server_call", "rpc_grpc_status_code=\"16\""]
        )
        .is_empty()
    );
    assert_eq!(one(&samples, &["rpc_server_active_calls"]), 1.0);
    assert_eq!(one(&samples, &["rpc_client_active_calls"]), 0.0);
}

#[test]
fn label_values_cannot_break_the_text() {
    let metrics = Metrics::new();
    let hostile = "a\"} 1\n# EOF\nb\\";
    metrics
        .http_route(hostile, "GET", hostile)
        .record(200, Duration::ZERO);
    let samples = samples(&metrics.encode());
    let count = one(&samples, &["http_server_request_duration_seconds_count"]);
    assert_eq!(count, 1.0);
}

#[test]
fn the_process_and_its_build_are_shown() {
    let metrics = Metrics::new();
    let samples = samples(&metrics.encode());
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    let started = one(&samples, &["process_start_time_seconds"]);
    assert!(
        (now - 3600.0..now + 5.0).contains(&started),
        "{started} against {now}"
    );
    let resident = one(&samples, &["process_resident_memory_bytes"]);
    assert!((500_000.0..4e9).contains(&resident), "{resident}");
    assert!(one(&samples, &["process_open_fds"]) >= 3.0);
    assert!(one(&samples, &["process_threads"]) >= 1.0);
    assert!(one(&samples, &["process_cpu_seconds_total"]) >= 0.0);
    assert_eq!(
        one(&samples, &["tenon_build_info", "version=\"0.1.0\""]),
        1.0
    );
}

#[test]
fn open_descriptors_are_those_of_now() {
    let metrics = Metrics::new();
    let open = || one(&samples(&metrics.encode()), &["process_open_fds"]);
    let before = open();
    let files: Vec<_> = (0..50)
        .map(|_| std::fs::File::open("/proc/self/stat").unwrap())
        .collect();
    // Tests beside this one open files too, but not fifty.
    assert!(open() >= before + 25.0);
    drop(files);
}

#[test]
fn other_rooms_register_their_own() {
    let metrics = Metrics::new();
    let commits: Counter = Counter::default();
    metrics.register(|registry| {
        registry.register("store_commits", "Commits of the writer", commits.clone());
        registry.register_with_unit(
            "store_wait",
            "Waiting",
            Unit::Seconds,
            Counter::<u64>::default(),
        );
    });
    commits.inc_by(7);
    let samples = samples(&metrics.clone().encode());
    assert_eq!(one(&samples, &["store_commits_total"]), 7.0);
    assert_eq!(one(&samples, &["store_wait_seconds_total"]), 0.0);
}

#[test]
fn counting_from_many_threads_loses_nothing() {
    let metrics = Metrics::new();
    let route = metrics.http_route("patient", "GET", "/a");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    let _guard = route.start();
                    route.record(200, Duration::from_micros(10));
                }
            });
        }
    });
    let samples = samples(&metrics.encode());
    assert_eq!(
        one(&samples, &["http_server_request_duration_seconds_count"]),
        8_000.0
    );
    assert_eq!(one(&samples, &["http_server_active_requests"]), 0.0);
}
