//! Overload: an open loop of up to ten times what a generated service can do, and what it still
//! does then. Each request costs a millisecond of CPU behind the door, as a report or a durable
//! write does: what is cheaper than refusing cannot be protected by refusing.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{anyhow, bail};
use bytes::Bytes;
use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    Plan,
    load::{self, http, open},
    process::{Issuer, Server},
    server::Kind,
};

/// More than wait in the server at any time, so that the loop stays open.
const CONNECTIONS: usize = 512;
/// The load, in times of the peak.
const STEPS: [f64; 4] = [1.0, 2.0, 5.0, 10.0];
/// The load after it, to see how soon all is served again.
const AFTER: f64 = 0.7;
/// What the shedder needs to notice; it is shown by itself.
const NOTICE: Duration = Duration::from_secs(3);
/// Of 20 connections: critical, normal, sheddable.
const SHARES: [usize; 3] = [2, 9, 9];

/// What became of one request.
struct Outcome {
    /// Counted from the beginning of the step.
    due: Duration,
    /// From the time it was due.
    took: Duration,
    class: usize,
    served: bool,
}

/// Prints the curve.
pub(crate) async fn print(plan: &Plan, issuer: &Issuer) -> anyhow::Result<()> {
    let server = Server::start(Kind::Burdened, issuer)?;
    let requests = requests();
    let peak = peak(plan, &server, &requests[1]).await?;
    println!();
    println!("overload of a generated service, 1 ms of CPU a request, server on one worker");
    println!("  open loop, {CONNECTIONS} connections, 10 % critical, 45 % normal, 45 % sheddable;");
    println!("  peak in a closed loop {peak:.0}/s; aim at 10x: goodput 0.80, p99 within 2 times");
    println!();
    println!(
        "{:<8} {:>9} {:>8} {:>9} {:>9} {:>11}   refused: critical normal sheddable",
        "load", "goodput/s", "of peak", "p50 ms", "p99 ms", "first 3 s"
    );
    let window = plan.window * 3 + NOTICE;
    for step in STEPS {
        let outcomes = run(&server, &requests, peak * step, window).await?;
        show(step, peak, window, &outcomes);
    }
    let window = plan.window * 3 + Duration::from_secs(3);
    let outcomes = run(&server, &requests, peak * AFTER, window).await?;
    let refused = outcomes.iter().filter(|outcome| !outcome.served);
    let last = refused.map(|outcome| outcome.due).max();
    show(AFTER, peak, window, &outcomes);
    match last {
        Some(last) => println!("recovery: the last refusal {last:.1?} after the load fell"),
        None => println!("recovery: nothing was refused any more once the load fell"),
    }
    Ok(())
}

/// The rate of a closed loop that keeps the server busy and waits for it.
async fn peak(plan: &Plan, server: &Server, request: &Bytes) -> anyhow::Result<f64> {
    let mark = r#""id":"P001""#;
    let callers = http::Repeat::many(4, server.address, request, mark).await?;
    let (_, sample) = load::closed(callers, server.process(), plan).await?;
    Ok(sample.rate())
}

/// One request of each class.
fn requests() -> [Bytes; 3] {
    let body = super::rest::submission();
    let kind = "application/json";
    [
        http::request("POST", "/api/v1/open/submission", "", kind, body.as_bytes()),
        http::request("GET", "/api/v1/open/patient/P001", "", "", b""),
        http::request("GET", "/api/v1/open/trial/T1/patient?limit=1", "", "", b""),
    ]
}

/// Asks at `rate` a second, whatever becomes of it.
async fn run(
    server: &Server,
    requests: &[Bytes; 3],
    rate: f64,
    window: Duration,
) -> anyhow::Result<Vec<Outcome>> {
    let mut queues = Vec::with_capacity(CONNECTIONS);
    let mut tasks = JoinSet::new();
    let schedule = open::schedule(rate, window);
    let mut connections = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        connections.push(http::Connection::open(server.address).await?);
    }
    let began = Instant::now();
    for (number, connection) in connections.into_iter().enumerate() {
        let class = class(number);
        // Never longer than the schedule, which is finite.
        let (queue, due) = mpsc::unbounded_channel();
        queues.push(queue);
        let request = requests[class].clone();
        tasks.spawn(ask(server.address, connection, request, class, began, due));
    }
    let pacer = thread::spawn(move || open::pace(&schedule, began, &queues));
    let mut all = Vec::new();
    while let Some(done) = tasks.join_next().await {
        all.append(&mut done??);
    }
    pacer.join().map_err(|_| anyhow!("the pacer panicked"))?;
    Ok(all)
}

/// Spread evenly, because the schedule goes round the connections.
fn class(connection: usize) -> usize {
    let mut place = connection * 7 % 20;
    for (class, share) in SHARES.into_iter().enumerate() {
        if place < share {
            return class;
        }
        place -= share;
    }
    SHARES.len() - 1
}

async fn ask(
    address: SocketAddr,
    mut connection: http::Connection,
    request: Bytes,
    class: usize,
    began: Instant,
    mut due: mpsc::UnboundedReceiver<Instant>,
) -> anyhow::Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    while let Some(at) = due.recv().await {
        let answer = connection.exchange(&request).await?;
        let served = match answer.status {
            200 => true,
            503 => false,
            status => bail!(
                "expected 200 or 503, got {status} {}",
                String::from_utf8_lossy(&answer.body)
            ),
        };
        // A refusal that did not wait for the body ends the connection, and says so.
        if answer.closes {
            connection = http::Connection::open(address).await?;
        }
        outcomes.push(Outcome {
            due: at - began,
            took: at.elapsed(),
            class,
            served,
        });
    }
    Ok(outcomes)
}

fn show(step: f64, peak: f64, window: Duration, outcomes: &[Outcome]) {
    let settled: Vec<_> = outcomes.iter().filter(|it| it.due >= NOTICE).collect();
    let served = settled.iter().filter(|outcome| outcome.served);
    // What came late but came within the window counts; what came after it does not.
    let in_time = served.filter(|outcome| outcome.due + outcome.took <= window);
    let rate = in_time.count() as f64 / (window - NOTICE).as_secs_f64();
    let steady = times(settled.iter().copied());
    let first = times(outcomes.iter().filter(|it| it.due < NOTICE));
    let refused = [0, 1, 2].map(|class| {
        let of = |served: Option<bool>| {
            let own = settled.iter().filter(|it| it.class == class);
            own.filter(|it| served.is_none_or(|served| it.served == served))
                .count()
        };
        format!(
            "{:.0} %",
            100.0 * of(Some(false)) as f64 / of(None).max(1) as f64
        )
    });
    println!(
        "{:<8} {rate:>9.0} {:>8.2} {:>9.1} {:>9.1} {:>11.1}   {:>17} {:>6} {:>9}",
        format!("{step}x"),
        rate / peak,
        quantile(&steady, 0.5),
        quantile(&steady, 0.99),
        quantile(&first, 0.99),
        refused[0],
        refused[1],
        refused[2],
    );
}

/// Milliseconds of the served, sorted.
fn times<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> Vec<f64> {
    let served = outcomes.filter(|outcome| outcome.served);
    let mut times: Vec<f64> = served.map(|it| it.took.as_secs_f64() * 1000.0).collect();
    times.sort_by(f64::total_cmp);
    times
}

fn quantile(sorted: &[f64], quantile: f64) -> f64 {
    let index = (sorted.len() as f64 * quantile) as usize;
    sorted
        .get(index.min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_its_share_of_the_connections() {
        let mut counts = [0; 3];
        (0..20).for_each(|connection| counts[class(connection)] += 1);
        assert_eq!(counts, SHARES);
    }
}
