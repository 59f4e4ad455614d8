//! Where a gateway's upstreams are told: what readiness waits for, and what the metrics show.

#![expect(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

use tenon_core::config::GatewayConfig;
use tenon_gateway::Gateway;
use tenon_telemetry::Metrics;

/// A resolver that nobody listens at.
const SILENT: &str = "dns: {name: patient.internal, port: 80, servers: ['127.0.0.1:1']}";

fn config(http: &str, grpc: &str) -> GatewayConfig {
    let text = format!(
        "upstreams:
           patient: {{http: {{{http}}}, routes: [{{prefix: /patient}}]}}
           shelf: {{grpc: {{{grpc}}}, transcode: {{reflection: true}}}}"
    );
    tenon_core::config::parse(&text, "gateway.yaml".as_ref()).unwrap()
}

fn series(metrics: &Metrics) -> Vec<String> {
    let shown = metrics.encode();
    let lines = shown.lines().filter(|line| {
        line.starts_with("discovery_instances{") || line.starts_with("discovery_connected{")
    });
    let mut lines: Vec<String> = lines.map(str::to_owned).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn readiness_waits_for_the_sources_and_the_metrics_show_them() {
    let metrics = Metrics::new();
    let gateway = Gateway::new(&config(SILENT, SILENT), Some(&metrics)).unwrap();
    let problem = gateway.found().unwrap_err().cause_chain().unwrap();
    for name in ["dns of patient", "dns of shelf"] {
        assert!(problem.contains(name), "{problem}");
    }
    let away = [
        "discovery_connected{client=\"patient\",source=\"dns\"} 0",
        "discovery_connected{client=\"shelf\",source=\"dns\"} 0",
        "discovery_instances{client=\"patient\",source=\"dns\"} 0",
        "discovery_instances{client=\"shelf\",source=\"dns\"} 0",
    ];
    assert_eq!(series(&metrics), away);

    // Another source of one, and the other leaves.
    let here = "endpoints: ['127.0.0.1:1', '127.0.0.1:2']";
    let mut changed = config(here, here);
    changed.upstreams.remove("shelf");
    gateway.reload(&changed).unwrap();
    gateway.found().unwrap();
    let there = [
        "discovery_connected{client=\"patient\",source=\"static\"} 1",
        "discovery_instances{client=\"patient\",source=\"static\"} 2",
    ];
    assert_eq!(series(&metrics), there);
}
