//! Durable submissions through the whole of `cohort up`: token, rules, questionnaire, neighbours,
//! scores, audit record and group commit, against the same program with one transaction for each
//! request. No figure of it is printed unless, after a kill and a restart, every submission that
//! was acknowledged is there once and the audit trail verifies.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;

use self::{
    phone::{Book, Phone},
    platform::Platform,
    proof::Proof,
};
use super::memory;
use crate::{
    Plan,
    contest::Contest,
    load::{self, Gauge, Sample, open},
};

mod phone;
mod platform;
mod proof;

const CLIENTS: [usize; 3] = [1, 64, 512];
const GROUPED: usize = 0;
const SINGLE: usize = 1;
/// How many writes a commit may take, for the two contestants.
const BATCH_MAX: [usize; 2] = [512, 1];
/// What the open loop asks for, in parts of the highest rate that was measured.
const PARTS: [f64; 2] = [0.5, 0.9];
/// How long load runs on before it is cut off.
const BEFORE_KILL: Duration = Duration::from_secs(1);

/// Prints the row, or why there is none.
pub(crate) async fn print(plan: &Plan) -> anyhow::Result<()> {
    println!();
    let program = program()?;
    if !program.is_file() {
        println!(
            "skipped: durable submissions ({} is not there; cargo build --release -p cohort)",
            program.display()
        );
        return Ok(());
    }
    let mut houses = Vec::new();
    for batch_max in BATCH_MAX {
        houses.push((
            Platform::start(&program, batch_max)?,
            Arc::<Book>::default(),
        ));
    }
    let mut lines = Vec::new();
    let peak = closed(plan, &houses, &mut lines).await?;
    if let Some((platform, book)) = houses.first() {
        paced(plan, platform, book, peak, &mut lines).await?;
        burst(plan, platform, book, &mut lines).await?;
    }
    let mut proofs = Vec::new();
    for (platform, book) in &mut houses {
        cut_off(platform, book).await?;
        let proof = proof::prove(platform, book).await;
        proofs.push(proof.context("no figure of durable submissions is printed")?);
    }
    for line in lines {
        println!("{line}");
    }
    for (batch_max, proof) in BATCH_MAX.iter().zip(&proofs) {
        show(*batch_max, proof);
    }
    Ok(())
}

/// The program that is built beside this one.
pub(super) fn program() -> anyhow::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("cohort"))
}

type House = (Platform, Arc<Book>);

/// Closed loops of all numbers of clients; gives the highest rate.
async fn closed(plan: &Plan, houses: &[House], lines: &mut Vec<String>) -> anyhow::Result<f64> {
    let mut contests: Vec<_> = CLIENTS.iter().map(|_| Contest::new(2)).collect();
    let mut bytes = 0;
    for _ in 0..plan.platform_rounds {
        for (contest, clients) in contests.iter_mut().zip(CLIENTS) {
            for (index, (platform, book)) in houses.iter().enumerate() {
                let phones = Phone::many(clients, platform, book).await?;
                bytes = phones.first().map_or(0, phone::body_bytes);
                let window = plan.platform_window;
                let process = platform.process();
                let (_, sample) = load::closed_for(phones, process, plan.warm_up, window).await?;
                contest.add(index, sample);
            }
        }
    }
    lines.push(format!(
        "durable submissions of {bytes} bytes through all of `cohort up`, closed loop; aim 8 times at 512"
    ));
    lines.push(String::new());
    lines.push(format!(
        "{:<14} {:>10} {:>10} {:>8} {:>8} {:>9} {:>9}   times a commit each",
        "clients", "grouped/s", "single/s", "us CPU", "single", "p50 ms", "p99 ms"
    ));
    let mut peak: f64 = 0.0;
    for (contest, clients) in contests.iter().zip(CLIENTS) {
        let rate = contest.spread(GROUPED, Sample::rate).median;
        peak = peak.max(rate);
        lines.push(format!(
            "{clients:<14} {rate:>10.0} {:>10.0} {:>8.1} {:>8.1} {:>9.2} {:>9.2}   {}",
            contest.spread(SINGLE, Sample::rate).median,
            contest.spread(GROUPED, Sample::server_cpu).median,
            contest.spread(SINGLE, Sample::server_cpu).median,
            contest
                .spread(GROUPED, |one| one.quantile(0.5) / 1000.0)
                .median,
            contest
                .spread(GROUPED, |one| one.quantile(0.99) / 1000.0)
                .median,
            contest.ratio(GROUPED, SINGLE, Sample::rate).ratio(),
        ));
    }
    Ok(peak)
}

/// Open loops below the highest rate.
async fn paced(
    plan: &Plan,
    platform: &Platform,
    book: &Arc<Book>,
    peak: f64,
    lines: &mut Vec<String>,
) -> anyhow::Result<()> {
    lines.push(String::new());
    lines.push("open loop, 512 clients, latency from the time when each was due".to_owned());
    lines.push(String::new());
    lines.push(format!(
        "{:<14} {:>10} {:>8} {:>8} {:>8} {:>8} {:>9} {:>8} {:>10}",
        "due/s", "answered/s", "p50 ms", "p90", "p99", "p99.9", "max", "us CPU", "unanswered"
    ));
    for part in PARTS {
        let phones = Phone::many(512, platform, book).await?;
        let (rate, window) = (peak * part, plan.platform_window * 2);
        let (_, paced) = open::open(phones, platform.process(), rate, window).await?;
        let sample = &paced.sample;
        let ms = |quantile| sample.quantile(quantile) / 1000.0;
        lines.push(format!(
            "{:<14} {:>10.0} {:>8.2} {:>8.2} {:>8.2} {:>8.2} {:>9.2} {:>8.1} {:>10}",
            format!("{rate:.0} ({part})"),
            sample.rate(),
            ms(0.5),
            ms(0.9),
            ms(0.99),
            ms(0.999),
            ms(1.0),
            sample.server_cpu(),
            paced.backlog,
        ));
    }
    Ok(())
}

/// As many open connections as may be, each of which submits once.
async fn burst(
    plan: &Plan,
    platform: &Platform,
    book: &Arc<Book>,
    lines: &mut Vec<String>,
) -> anyhow::Result<()> {
    let connections = memory::connections(plan)?;
    book.put_off();
    let before = platform.process().memory()?;
    let phones = Phone::many(connections, platform, book).await?;
    let burst = memory::burst(phones, platform.process()).await?;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    lines.push(String::new());
    lines.push(format!(
        "{connections} open connections that submit once, all at the same moment: stored in {:.2} s, {:.0}/s",
        burst.elapsed.as_secs_f64(),
        connections as f64 / burst.elapsed.as_secs_f64(),
    ));
    lines.push(format!(
        "  p50 {:.0} ms, p99 {:.0} ms, last {:.0} ms; told to come again {} times; {:.0} MiB before, {:.0} after",
        burst.quantile_ms(0.5),
        burst.quantile_ms(0.99),
        burst.quantile_ms(1.0),
        book.put_off(),
        mib(before),
        mib(burst.memory),
    ));
    Ok(())
}

/// Kills the platform under load, and starts it again.
async fn cut_off(platform: &mut Platform, book: &Arc<Book>) -> anyhow::Result<()> {
    let phones = Phone::many(64, platform, book).await?;
    let gauge = Arc::new(Gauge::default());
    let mut tasks = load::start(phones, &gauge)?;
    tokio::time::sleep(BEFORE_KILL).await;
    platform.kill()?;
    gauge.stop();
    // Every phone now finds its connection broken, which is no fault of it.
    while let Some(ended) = tasks.join_next().await {
        let _ = ended?;
    }
    platform.restart()
}

fn show(batch_max: usize, proof: &Proof) {
    println!();
    println!(
        "proof at {batch_max} a commit: killed under load and started again; {} acknowledged, each is there once",
        proof.acknowledged
    );
    println!(
        "  {} more are there whose phone the kill kept from hearing",
        proof.unannounced
    );
    for line in proof.audit.lines() {
        println!("  audit: {line}");
    }
}
