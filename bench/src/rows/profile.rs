//! The generated service while a CPU profile is taken of it, beside the same one left alone.
//!
//! What is looked for is smaller than what one turn differs from the next by. So it is one process
//! under a load that never pauses; turns are short and come in blocks, each followed by its mirror
//! image, so that whatever drifts meets all of them alike; each block gives one ratio; and a
//! contestant that is left alone as well shows what the method makes of no difference.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, ensure};

use crate::{
    Plan,
    load::{
        http,
        steady::{Steady, Turn},
    },
    median::Median,
    process::{Issuer, Server},
    server::Kind,
};

/// Enough to keep one core busy.
const CONNECTIONS: usize = 64;
/// What is done to the server in a turn: the rate of the profile, if one is taken. The default
/// rate, and the most that can be asked for.
const CONTESTANTS: [(&str, Option<u32>); 4] = [
    ("left alone", None),
    ("left alone, again", None),
    ("profiled at 100 Hz", Some(100)),
    ("profiled at 250 Hz", Some(250)),
];
/// Blocks of turns for each round of the plan: many short ones find what few long ones do not.
const BLOCKS_TIMES: usize = 6;
const WINDOW: Duration = Duration::from_millis(500);
/// Between turns: a profile begins or ends in it.
const SETTLE: Duration = Duration::from_millis(100);
/// Before the first: caches, the allocator and the branch predictor.
const WARM_UP: Duration = Duration::from_secs(2);
/// The window of scrapers for continuous profiling, one each 15 seconds.
const SCRAPE: Duration = Duration::from_secs(14);
/// How many of them are written: they differ by little.
const ENDINGS: usize = 3;
/// When the load ends before the window of a profile does, so that what follows is its writing.
const QUIET: Duration = Duration::from_secs(1);

/// Prints the row.
pub(crate) async fn print(plan: &Plan, issuer: &Issuer) -> anyhow::Result<()> {
    let server = Server::start(Kind::Profiled, issuer)?;
    let mut load = start(&server).await?;
    load.pass(WARM_UP).await?;
    let mut blocks = Vec::new();
    for number in 0..plan.rounds * BLOCKS_TIMES {
        blocks.push(block(&server, &mut load, number).await?);
    }
    load.end().await?;
    let mut endings = Vec::new();
    for _ in 0..ENDINGS {
        endings.push(ending(&server).await?);
    }
    show(&blocks, &endings);
    Ok(())
}

async fn start(server: &Server) -> anyhow::Result<Steady<http::Repeat>> {
    let request = http::request("GET", "/api/v1/open/patient/P001", "", "", b"");
    let marker = r#""id":"P001""#;
    Steady::start(http::Repeat::many(CONNECTIONS, server.address, &request, marker).await?)
}

type Block = [Turn; CONTESTANTS.len()];

/// Two turns of each contestant, beginning with another one than the block before.
async fn block(
    server: &Server,
    load: &mut Steady<http::Repeat>,
    number: usize,
) -> anyhow::Result<Block> {
    let mut order: Vec<usize> = (0..CONTESTANTS.len()).collect();
    order.rotate_left(number % CONTESTANTS.len());
    order.extend(order.clone().into_iter().rev());
    let mut block = Block::default();
    for contestant in order {
        let (name, hz) = CONTESTANTS[contestant];
        let turn = turn(server, load, hz).await.context(name)?;
        block[contestant] = block[contestant].and(turn);
    }
    Ok(block)
}

/// One turn. A profile ends without being written, because its caller leaves: what its writing
/// costs is measured by itself.
async fn turn(
    server: &Server,
    load: &mut Steady<http::Repeat>,
    hz: Option<u32>,
) -> anyhow::Result<Turn> {
    let profile = hz.map(|hz| tokio::spawn(profile(server.rpc, 60.0, hz)));
    load.pass(SETTLE).await?;
    let turn = load.turn(server.process(), WINDOW).await?;
    let sampled = server.process().threads()?.contains(SAMPLER);
    if let Some(profile) = profile {
        ensure!(sampled, "nobody sampled in its turn");
        profile.abort();
    } else {
        ensure!(!sampled, "somebody sampled in its turn");
    }
    load.pass(SETTLE).await?;
    Ok(turn)
}

/// The name of the server's thread that collects samples, while one does.
const SAMPLER: &str = "pprof";

/// What it costs the server to write a scraper's profile, whose load ends a little before: symbols,
/// the writing itself, the answer.
async fn ending(server: &Server) -> anyhow::Result<Duration> {
    let mut load = start(server).await?;
    let profile = tokio::spawn(profile(server.rpc, SCRAPE.as_secs_f64(), 100));
    load.pass(SCRAPE.saturating_sub(QUIET)).await?;
    load.end().await?;
    tokio::time::sleep(QUIET / 2).await;
    let before = server.process().cpu()?;
    profile.await??;
    Ok(server.process().cpu()?.saturating_sub(before))
}

async fn profile(admin: SocketAddr, seconds: f64, hz: u32) -> anyhow::Result<()> {
    let path = format!("/debug/pprof/profile?seconds={seconds}&hz={hz}");
    let mut connection = http::Connection::open(admin).await?;
    let answer = connection
        .exchange(&http::request("GET", &path, "", "", b""))
        .await?;
    let status = answer.status;
    ensure!(status == 200, "a profile was answered with {status}");
    ensure!(
        answer.body.len() > 1000,
        "a profile of a busy service is empty"
    );
    Ok(())
}

fn show(blocks: &[Block], endings: &[Duration]) {
    let count = blocks.len();
    println!();
    println!(
        "GET, one patient, while a CPU profile is taken; {CONNECTIONS} connections without a pause, server on one worker"
    );
    println!(
        "  overhead in requests per CPU second against the same process left alone: median of {count} blocks"
    );
    println!("  of turns and their mirror image, with its 95 % interval; aim below 2 % at 100 Hz");
    println!();
    println!("{:<36} {:>8} {:>8}   overhead, %", "", "us CPU", "req/s");
    for (contestant, (name, _)) in CONTESTANTS.iter().enumerate() {
        let of = |of: fn(&Turn) -> f64| {
            Median::of(blocks.iter().map(|block| of(&block[contestant])).collect()).value()
        };
        let (cpu, calls) = (of(Turn::server_cpu), of(Turn::rate));
        let overhead = match contestant {
            0 => String::new(),
            _ => overhead(blocks, contestant).to_string(),
        };
        println!("{name:<36} {cpu:>8.2} {calls:>8.0}   {overhead}");
    }
    let written = Median::of(endings.iter().map(Duration::as_secs_f64).collect()).value();
    println!(
        "writing a profile of {} s: {:.0} ms of CPU time, {:.1} % of one core's time in it",
        SCRAPE.as_secs(),
        written * 1e3,
        written / SCRAPE.as_secs_f64() * 100.0
    );
}

/// In per cent of what the server does left alone.
fn overhead(blocks: &[Block], contestant: usize) -> Median {
    let each = blocks.iter().map(|block| {
        let [alone, ..] = block;
        let kept = block[contestant].per_cpu_second() / alone.per_cpu_second();
        (1.0 - kept) * 100.0
    });
    Median::of(each.collect())
}
