//! What an idle keep-alive connection holds, and ten thousand open connections of which each
//! submits once, all at the same moment.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinSet;

use crate::{
    Plan,
    load::{Caller, histogram, http, nanoseconds},
    machine,
    process::{Issuer, Process, Server},
    server::Kind,
};

/// Descriptors that the program needs besides its connections.
const RESERVE: usize = 500;
/// How many connect at once: the queue of a listener is not what is measured.
const CONNECTING: usize = 100;
/// After this an idle server has given back what it will.
const REST: Duration = Duration::from_millis(1500);

/// Prints the row.
pub(crate) async fn print(plan: &Plan, issuer: &Issuer) -> anyhow::Result<()> {
    let connections = connections(plan)?;
    println!();
    println!("{connections} keep-alive connections, one POST done on each; aim at most 16 KiB");
    if connections < plan.connections {
        println!("  fewer than {}: the limit of open files", plan.connections);
    }
    println!();
    println!(
        "{:<28} {:>10} {:>10} {:>9} {:>9} {:>9} {:>9}",
        "", "KiB each", "MiB after", "burst/s", "p50 ms", "p99 ms", "max ms"
    );
    let body = r#"{"id":"1","patientId":"2","trialId":"3","questionnaire":"4","status":"completed","items":[]}"#;
    for (name, kind, token) in [
        ("generated, full onion", Kind::Ward, issuer.token.as_str()),
        ("bare axum", Kind::Axum, ""),
    ] {
        let open = if token.is_empty() { "/open" } else { "" };
        let path = format!("/api/v1{open}/submission");
        let kind_of_body = "application/json";
        let request = http::request("POST", &path, token, kind_of_body, body.as_bytes());
        let server = Server::start(kind, issuer)?;
        show(name, &server, &request, connections).await?;
    }
    Ok(())
}

/// How many connections the limit of open files allows, at most what the plan says.
pub(crate) fn connections(plan: &Plan) -> anyhow::Result<usize> {
    let allowed = machine::open_files_max()?.saturating_sub(RESERVE);
    Ok(plan.connections.min(allowed))
}

async fn show(
    name: &str,
    server: &Server,
    request: &Bytes,
    connections: usize,
) -> anyhow::Result<()> {
    let marker = r#""accepted":0"#;
    // The first requests load code and fill caches, which are no connection's.
    let mut warm = http::Repeat::many(8, server.address, request, marker).await?;
    for caller in &mut warm {
        caller.call().await?;
    }
    drop(warm);
    tokio::time::sleep(REST).await;
    let before = server.process().memory()?;
    let mut callers = Vec::with_capacity(connections);
    while callers.len() < connections {
        let more = CONNECTING.min(connections - callers.len());
        let mut fresh = http::Repeat::many(more, server.address, request, marker).await?;
        for caller in &mut fresh {
            caller.call().await?;
        }
        callers.extend(fresh);
    }
    tokio::time::sleep(REST).await;
    let idle = server.process().memory()?.saturating_sub(before);
    let each = idle as f64 / connections as f64 / 1024.0;
    let burst = burst(callers, server.process()).await?;
    println!(
        "{name:<28} {each:>10.1} {:>10.1} {:>9.0} {:>9.1} {:>9.1} {:>9.1}",
        burst.memory as f64 / f64::from(1 << 20),
        connections as f64 / burst.elapsed.as_secs_f64(),
        burst.quantile_ms(0.5),
        burst.quantile_ms(0.99),
        burst.quantile_ms(1.0),
    );
    Ok(())
}

/// What came of every caller calling once at the same moment.
pub(crate) struct Burst {
    /// From the first call to the last answer.
    pub(crate) elapsed: Duration,
    /// What the server holds afterwards, in bytes.
    pub(crate) memory: u64,
    latency: hdrhistogram::Histogram<u64>,
}

impl Burst {
    /// A quantile of the latency, from the moment when all were told to call.
    pub(crate) fn quantile_ms(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1e6
    }
}

/// Lets every caller call once, all from the same moment.
pub(crate) async fn burst<C: Caller>(callers: Vec<C>, process: &Process) -> anyhow::Result<Burst> {
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for mut caller in callers {
        tasks.spawn(async move {
            caller.call().await?;
            // The connection stays until all are answered.
            Ok::<_, anyhow::Error>((caller, began.elapsed()))
        });
    }
    let mut latency = histogram()?;
    let mut open = Vec::with_capacity(tasks.len());
    while let Some(ended) = tasks.join_next().await {
        let (caller, elapsed) = ended??;
        latency.saturating_record(nanoseconds(elapsed));
        open.push(caller);
    }
    Ok(Burst {
        elapsed: began.elapsed(),
        memory: process.memory()?,
        latency,
    })
}
