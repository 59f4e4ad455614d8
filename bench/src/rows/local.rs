//! What a call of a neighbour costs in the same process and across the network.

use std::time::{Duration, Instant};

use tenon::Context;
use ward::doors::rpc::RpcDoor;
use ward_contract::rpc::{EchoReq, WardClient, WardService};

use crate::{
    Plan,
    contest::Spread,
    process::{Issuer, Server},
    rows::rpc,
    server::Kind,
};

const LOCAL_CALLS: u32 = 200_000;

/// Prints the row.
pub(crate) async fn print(plan: &Plan, issuer: &Issuer) -> anyhow::Result<()> {
    let server = Server::start(Kind::Ward, issuer)?;
    let context = ward::ServiceContext::default();
    let door = RpcDoor::new(context, ward::rules());
    let local = WardClient::local(door.clone());
    let counted = WardClient::local(door.clone()).metrics(&tenon::rpc::Metrics::new());
    let remote = rpc::client(server.rpc)?;
    let mut times = [const { Vec::new() }; 4];
    for _ in 0..plan.rounds {
        times[0].push(each(&door, LOCAL_CALLS).await?);
        times[1].push(each(&local, LOCAL_CALLS).await?);
        times[2].push(each(&counted, LOCAL_CALLS).await?);
        times[3].push(each(&remote, calls_in(plan.window)).await?);
    }
    let [door, local, counted, remote] = times.map(Spread::of);
    println!();
    println!("one caller, an empty echo; time from call to answer");
    println!();
    println!("{:<28} {:>9.0} ns", "plain call of the trait", door.median);
    println!("{:<28} {:>9.0} ns", "local client", local.median);
    println!("{:<28} {:>9.0} ns", "  with metrics", counted.median);
    let micros = remote.median / 1000.0;
    println!("{:<28} {micros:>9.1} us", "remote client, loopback");
    let times = remote.median / local.median;
    println!("  remote is {times:.0} times local");
    Ok(())
}

/// Remote calls that fill the window, at about 150 us each.
fn calls_in(window: Duration) -> u32 {
    u32::try_from(window.as_micros() / 150).unwrap_or(u32::MAX)
}

/// Nanoseconds for one call, the mean of many.
async fn each(service: &impl WardService, calls: u32) -> anyhow::Result<f64> {
    let cx = Context::background().with_timeout(Duration::from_secs(60));
    // Connected, and warm.
    for _ in 0..calls / 20 + 1 {
        service.echo(&cx, EchoReq::default()).await?;
    }
    let began = Instant::now();
    for _ in 0..calls {
        service.echo(&cx, EchoReq::default()).await?;
    }
    Ok(began.elapsed().as_secs_f64() * 1e9 / f64::from(calls))
}
