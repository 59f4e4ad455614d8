//! A generated call beside bare tonic: an echo of 220 bytes, by one caller and by 64 on one
//! connection, with the CPU time of both sides.

use std::net::SocketAddr;

use anyhow::ensure;
use tenon::{
    Context,
    config::ClientConfig,
    rpc::{Channel, Metrics},
};
use ward_contract::rpc::{EchoReq, WardClient, WardService};

use crate::{
    Plan,
    contest::Contest,
    load::{self, Caller, Sample},
    process::{Issuer, Server},
    server::{Kind, tonic},
};

const TEXT_BYTES: usize = 220;

/// Prints the row.
pub(crate) async fn print(plan: &Plan, issuer: &Issuer) -> anyhow::Result<()> {
    let ours = Server::start(Kind::Ward, issuer)?;
    let bare = Server::start(Kind::Tonic, issuer)?;
    let ours_client = client(ours.rpc)?;
    let bare_client = tonic::Client::connect(bare.rpc).await?;
    println!();
    println!("gRPC echo of {TEXT_BYTES} bytes on one connection; aim 0.85 of bare tonic");
    println!();
    heading();
    for callers in [1, 64] {
        let mut contest = Contest::new(2);
        for _ in 0..plan.rounds {
            let many = vec![Ours(ours_client.clone()); callers];
            let (_, sample) = load::closed(many, ours.process(), plan).await?;
            contest.add(0, sample);
            let many = vec![Bare(bare_client.clone()); callers];
            let (_, sample) = load::closed(many, bare.process(), plan).await?;
            contest.add(1, sample);
        }
        line(&format!("generated, {callers} at once"), &contest, 0, true);
        line(
            &format!("bare tonic, {callers} at once"),
            &contest,
            1,
            false,
        );
    }
    Ok(())
}

/// The generated client across the network.
pub(crate) fn client(address: SocketAddr) -> anyhow::Result<WardClient> {
    let config = ClientConfig {
        endpoints: vec![address.to_string()],
        timeout: std::time::Duration::from_secs(10),
        ..ClientConfig::default()
    };
    let channel = Channel::new("ward", &config, &Metrics::new())?;
    Ok(WardClient::remote(channel)?)
}

/// What [`line`] prints.
pub(crate) fn heading() {
    println!(
        "{:<28} {:>8} {:>8} {:>8} {:>8} {:>8}   of tonic, both sides",
        "", "server", "client", "us CPU", "p50 us", "calls/s"
    );
}

/// One contestant; the ratio is against the last.
pub(crate) fn line(name: &str, contest: &Contest, index: usize, ratio: bool) {
    let median = |of: fn(&Sample) -> f64| contest.spread(index, of).median;
    let ratio = if ratio {
        contest.ratio(index + 1, index, Sample::cpu).ratio()
    } else {
        String::new()
    };
    println!(
        "{name:<28} {:>8.1} {:>8.1} {:>8.1} {:>8.0} {:>8.0}   {ratio}",
        median(Sample::server_cpu),
        median(Sample::client_cpu),
        median(Sample::cpu),
        median(|sample| sample.quantile(0.5)),
        median(Sample::rate),
    );
}

fn text() -> String {
    "echo".repeat(TEXT_BYTES / 4)
}

/// Calls by the generated client, with a context of its own each, as a handler would.
#[derive(Clone)]
struct Ours(WardClient);

impl Caller for Ours {
    async fn call(&mut self) -> anyhow::Result<()> {
        let cx = Context::background();
        let reply = self.0.echo(&cx, EchoReq { text: text() }).await?;
        ensure!(reply.text.len() == TEXT_BYTES, "the echo is another text");
        Ok(())
    }
}

/// Calls by tonic's own client.
#[derive(Clone)]
struct Bare(tonic::Client);

impl Caller for Bare {
    async fn call(&mut self) -> anyhow::Result<()> {
        let reply = self.0.echo(EchoReq { text: text() }).await?;
        ensure!(reply.text.len() == TEXT_BYTES, "the echo is another text");
        Ok(())
    }
}
