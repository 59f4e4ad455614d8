//! The dashboard and the alert rules in `deploy/` name only metrics and labels that a running
//! service has: one with both doors, a store, passwords and a collector of spans.

#![cfg(all(feature = "otlp", feature = "store"))]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints what it measures"
)]

#[path = "../../rpc/tests/shape/patient.rs"]
pub mod patient;

use std::{collections::BTreeSet, path::Path};

use patient::{GetPatientsByTrialReq, GetPatientsByTrialResp, PatientClient, PatientService};
use tenon::{
    App, Context, Process, Request, Result, Runtime, Service,
    auth::password::Passwords,
    config::{ClientConfig, RestConfig, RpcConfig, TracesConfig},
    store::{Db, Options},
    telemetry::Metrics,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Words of the query language that are no names.
const WORDS: [&str; 17] = [
    "sum",
    "max",
    "min",
    "avg",
    "count",
    "by",
    "without",
    "on",
    "ignoring",
    "and",
    "or",
    "unless",
    "bool",
    "offset",
    "group_left",
    "group_right",
    "inf",
];

/// Labels that the scraper and the query language add.
const ADDED: [&str; 3] = ["instance", "job", "le"];

struct Ward;

impl PatientService for Ward {
    async fn get_patients_by_trial(
        &self,
        _: &Context,
        _: GetPatientsByTrialReq,
    ) -> Result<GetPatientsByTrialResp> {
        Ok(GetPatientsByTrialResp::default())
    }
}

/// What the metrics of a service with everything are after a request through both doors.
async fn metrics() -> String {
    let folder = std::env::temp_dir().join(format!("tenon-deploy-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let db = Db::open(Options::new(folder.join("x.db")), &[])
        .await
        .unwrap();
    let runtime = Runtime::default();
    let any = "127.0.0.1:0".parse().unwrap();
    let rpc = RpcConfig {
        listen: any,
        ..RpcConfig::default()
    };
    let ward = Service::new("ward")
        .rpc(rpc, patient::serve(Ward))
        .store(&db)
        .passwords(&Passwords::new());
    let ward = ward
        .open(&runtime)
        .unwrap()
        .serve(Process::new(runtime.clone()))
        .unwrap();
    let ward = ward.start().await.unwrap();
    let address = ward.address("ward.rpc").unwrap();
    let text = format!("endpoints: [\"{address}\"]");
    let config: ClientConfig = tenon::config::parse(&text, Path::new("x")).unwrap();
    let channel = runtime.channel("ward", &config).unwrap();
    let client = PatientClient::remote(channel).unwrap();
    trouble(&runtime.metrics);
    let app = App::new("outer");
    app.group("/x").get("/y", move |cx: Context, _: Request| {
        let client = client.clone();
        async move {
            let req = GetPatientsByTrialReq::default();
            client.get_patients_by_trial(&cx, req).await?;
            Ok(serde_json::Value::Null)
        }
    });
    let rest = RestConfig {
        listen: any,
        ..RestConfig::default()
    };
    let outer = app.service(rest).open(&runtime).unwrap();
    // Nobody listens there: what cannot be sent is counted all the same.
    let traces = TracesConfig {
        endpoint: Some("http://127.0.0.1:9".to_owned()),
        ..TracesConfig::default()
    };
    let outer = outer.serve(Process::new(runtime.clone())).unwrap();
    let outer = outer.traces("outer", traces).start().await.unwrap();
    let mut socket = TcpStream::connect(outer.address("outer.rest").unwrap())
        .await
        .unwrap();
    let request = b"GET /x/y HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    socket.write_all(request).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let text = runtime.metrics.encode();
    db.close().await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    text
}

/// What is counted only when something goes wrong, and what a registry is needed for, by the
/// handles that clients and registrations count with.
fn trouble(metrics: &Metrics) {
    let client = metrics.rpc_client("ward");
    client.method("hospital.Patient", "GetPatients").retried();
    let method = client.method("hospital.Patient", "GetPatients");
    method.refused("breaker");
    metrics.registration("ward").set("registered");
}

/// The names of all series, and of all labels.
fn known(metrics: &str) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let (mut names, mut labels) = (BTreeSet::new(), BTreeSet::from(ADDED));
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let end = line.find(['{', ' ']).unwrap();
        names.insert(&line[..end]);
        let inside = line[end..]
            .strip_prefix('{')
            .and_then(|rest| rest.rsplit_once('}'));
        for pair in inside.map_or("", |(inside, _)| inside).split("\",") {
            labels.extend(pair.split_once('=').map(|(label, _)| label));
        }
    }
    (names, labels)
}

/// The metrics and the labels that an expression names.
fn named(expression: &str) -> (Vec<String>, Vec<String>) {
    let (mut metrics, mut labels) = (Vec::new(), Vec::new());
    let mut rest = expression;
    // Whether what comes is a list of labels: in braces, or in the brackets behind `by`.
    let (mut matchers, mut list, mut before) = (false, false, String::new());
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_:$".contains(c)));
        let word = &rest[..word.unwrap_or(rest.len())];
        if word.is_empty() {
            let mut end = first.len_utf8();
            match first {
                '"' => end = rest[1..].find('"').unwrap() + 2,
                '[' => end = rest.find(']').unwrap() + 1,
                '{' => matchers = true,
                '}' => matchers = false,
                '(' => list = ["by", "without", "on", "ignoring"].contains(&before.as_str()),
                ')' => list = false,
                _ => {}
            }
            if !first.is_whitespace() {
                before.clear();
            }
            rest = &rest[end..];
            continue;
        }
        rest = &rest[word.len()..];
        let is_function = rest.trim_start().starts_with('(') && !list;
        if word.starts_with(|c: char| c.is_ascii_digit()) || word.starts_with('$') {
        } else if matchers || list {
            labels.push(word.to_owned());
        } else if !is_function && !WORDS.contains(&word) {
            metrics.push(word.to_owned());
        }
        before = word.to_owned();
    }
    (metrics, labels)
}

/// The expressions of the dashboard and of the alert rules.
fn expressions() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let board: serde_json::Value = serde_json::from_str(&read("grafana/dashboard.json")).unwrap();
    let panels = board["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let mut found: Vec<String> = targets
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect();
    let shown = found.len();
    // Strictly: a key that stands twice, or one that no rule has, is an error.
    let rules: Rules =
        tenon::config::parse(&read("prometheus/alerts.yaml"), Path::new("alerts.yaml")).unwrap();
    for rule in rules.groups.into_iter().flat_map(|group| group.rules) {
        assert!(
            ["page", "ticket"].contains(&rule.labels.severity.as_str()),
            "{}",
            rule.alert
        );
        assert!(!rule.annotations.summary.is_empty() && !rule.annotations.description.is_empty());
        found.push(rule.expr);
    }
    println!(
        "{shown} expressions on the dashboard, {} alerts",
        found.len() - shown
    );
    found
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    #[expect(dead_code, reason = "a group must have one")]
    name: String,
    rules: Vec<Rule>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    alert: String,
    expr: String,
    #[serde(rename = "for")]
    #[expect(dead_code, reason = "a rule may have one")]
    lasting: Option<String>,
    labels: Labels,
    annotations: Annotations,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Labels {
    severity: String,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Annotations {
    summary: String,
    description: String,
}

#[tokio::test]
async fn the_dashboard_and_the_alerts_name_only_what_exists() {
    let metrics = metrics().await;
    let (names, labels) = known(&metrics);
    let mut wrong = BTreeSet::new();
    let mut used = BTreeSet::new();
    for expression in expressions() {
        let (metric, label) = named(&expression);
        assert!(!metric.is_empty(), "no metric in {expression}");
        for name in metric {
            if !names.contains(name.as_str()) {
                wrong.insert(format!("metric {name}"));
            }
            used.insert(name);
        }
        let unknown = label.iter().filter(|name| !labels.contains(name.as_str()));
        wrong.extend(unknown.map(|name| format!("label {name}")));
    }
    assert!(
        wrong.is_empty(),
        "named and not there: {wrong:?}\n{metrics}"
    );
    println!("{} series are named, of {}", used.len(), names.len());
}

#[test]
fn an_expression_is_taken_apart() {
    let text = r#"histogram_quantile(0.9, sum by (le, a) (rate(x_bucket{b="no(pe)",c!="0"}[5m]))) > 2 / y"#;
    let (metrics, labels) = named(text);
    assert_eq!(metrics, ["x_bucket", "y"]);
    assert_eq!(labels, ["le", "a", "b", "c"]);
}
