//! The generated service while a CPU profile is taken of it, beside the same one left alone.

use std::{net::SocketAddr, time::Duration};

use anyhow::ensure;

use crate::{
    Plan,
    contest::Contest,
    load::{self, Sample, http},
    process::{Issuer, Server},
    server::Kind,
};

/// Enough to keep one core busy.
const CONNECTIONS: usize = 64;
/// What a profile covers beyond the measured window, on either side.
const MARGIN: Duration = Duration::from_millis(200);
const ALONE: usize = 0;
/// What is looked for is smaller than what one round differs from the next by: many short ones
/// find it, few long ones do not.
const ROUNDS_TIMES: usize = 8;
const WARM_UP: Duration = Duration::from_millis(100);
const WINDOW: Duration = Duration::from_millis(500);
/// Samples a second of CPU time: the default, and the most that can be asked for.
const RATES: [u32; 2] = [100, 250];

/// Prints the row.
pub(crate) async fn print(plan: &Plan, issuer: &Issuer) -> anyhow::Result<()> {
    let server = Server::start(Kind::Profiled, issuer)?;
    let request = http::request("GET", "/api/v1/open/patient/P001", "", "", b"");
    let mut contest = Contest::new(1 + RATES.len());
    let plan = &Plan {
        rounds: plan.rounds * ROUNDS_TIMES,
        warm_up: WARM_UP,
        window: WINDOW,
        ..*plan
    };
    for _ in 0..plan.rounds {
        for contestant in 0..=RATES.len() {
            let marker = r#""id":"P001""#;
            let callers = http::Repeat::many(CONNECTIONS, server.address, &request, marker).await?;
            // The second address of this contestant is its admin server.
            let profile = contestant
                .checked_sub(1)
                .and_then(|rate| RATES.get(rate))
                .map(|&hz| {
                    let window = plan.warm_up + plan.window + MARGIN;
                    tokio::spawn(profile(server.rpc, hz, window))
                });
            let (_, sample) = load::closed(callers, server.process(), plan).await?;
            contest.add(contestant, sample);
            if let Some(profile) = profile {
                profile.await??;
            }
        }
    }
    show(&contest);
    Ok(())
}

async fn profile(admin: SocketAddr, hz: u32, window: Duration) -> anyhow::Result<()> {
    let seconds = window.as_secs_f64();
    let path = format!("/debug/pprof/profile?seconds={seconds}&hz={hz}");
    let mut connection = http::Connection::open(admin).await?;
    let answer = connection
        .exchange(&http::request("GET", &path, "", "", b""))
        .await?;
    ensure!(
        answer.status == 200,
        "a profile was answered with {}",
        answer.status
    );
    ensure!(
        answer.body.len() > 1000,
        "a profile of a busy service is empty"
    );
    Ok(())
}

fn show(contest: &Contest) {
    println!();
    println!(
        "GET, one patient, while a CPU profile is taken; {CONNECTIONS} connections, server on one worker"
    );
    println!("  requests per CPU second against the same server left alone; aim 0.98 at 100 Hz");
    println!();
    println!(
        "{:<36} {:>8} {:>8} {:>9}   of alone, mean",
        "", "us CPU", "req/s", "p99 us"
    );
    for contestant in 0..=RATES.len() {
        let rate = contestant.checked_sub(1).and_then(|rate| RATES.get(rate));
        let name = rate.map_or_else(
            || "left alone".to_owned(),
            |hz| format!("profiled at {hz} Hz"),
        );
        let cpu = contest.spread(contestant, Sample::server_cpu).median;
        let calls = contest.spread(contestant, Sample::rate).median;
        let slow = contest
            .spread(contestant, |sample| sample.quantile(0.99))
            .median;
        let ratio = match contestant {
            ALONE => String::new(),
            _ => contest.ratio(ALONE, contestant, Sample::server_cpu).mean(),
        };
        println!("{name:<36} {cpu:>8.2} {calls:>8.0} {slow:>9.0}   {ratio}");
    }
}
