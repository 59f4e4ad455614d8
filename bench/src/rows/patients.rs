//! The list of a trial's 300 patients: over gRPC, in this process, and as REST JSON.

use std::time::Instant;

use anyhow::ensure;
use tenon::Context;
use ward::doors::rpc::RpcDoor;
use ward_contract::rpc::{GetPatientsByTrialReq, WardClient, WardService};

use crate::{
    Plan,
    contest::{Contest, Spread},
    load::{self, Caller, Sample, http},
    machine::micros,
    process::{self, Issuer, Server},
    rows::rpc,
    server::{Kind, tonic},
};

const PATIENTS: usize = ward::service_context::PATIENTS;
const CALLERS: usize = 16;
/// Enough local calls for the coarse clock of CPU time.
const LOCAL_CALLS: u32 = 2_000;

/// Prints the row.
pub(crate) async fn print(plan: &Plan, issuer: &Issuer) -> anyhow::Result<()> {
    let ours = Server::start(Kind::Ward, issuer)?;
    let bare = Server::start(Kind::Tonic, issuer)?;
    let axum = Server::start(Kind::Axum, issuer)?;
    let ours_client = rpc::client(ours.rpc)?;
    let bare_client = tonic::Client::connect(bare.rpc).await?;
    let full = http::request("GET", "/api/v1/trial/T1/patient", &issuer.token, "", b"");
    let open = http::request("GET", "/api/v1/open/trial/T1/patient", "", "", b"");
    let marker = "Example Patient 300";
    let mut contest = Contest::new(4);
    let mut local = Vec::new();
    for _ in 0..plan.rounds {
        let many = vec![Ours(ours_client.clone()); CALLERS];
        contest.add(0, load::closed(many, ours.process(), plan).await?.1);
        let many = vec![Bare(bare_client.clone()); CALLERS];
        contest.add(1, load::closed(many, bare.process(), plan).await?.1);
        let many = http::Repeat::many(CALLERS, ours.address, &full, marker).await?;
        contest.add(2, load::closed(many, ours.process(), plan).await?.1);
        let many = http::Repeat::many(CALLERS, axum.address, &open, marker).await?;
        contest.add(3, load::closed(many, axum.process(), plan).await?.1);
        local.push(in_process().await?);
    }
    println!();
    println!("{PATIENTS} patients of a trial, {CALLERS} callers; the callers of REST read no JSON");
    println!();
    rpc::heading();
    rpc::line("gRPC, generated", &contest, 0, true);
    rpc::line("gRPC, bare tonic", &contest, 1, false);
    rpc::line("REST, generated, full onion", &contest, 2, false);
    rpc::line("REST, bare axum", &contest, 3, false);
    let local = Spread::of(local).median;
    println!("{:<28} {:>26.1}", "in process", local);
    let remote = contest.spread(0, Sample::cpu).median;
    println!("  gRPC costs {:.1} times the local call", remote / local);
    let rest = contest.ratio(3, 2, Sample::server_cpu).ratio();
    println!("  REST, requests per CPU second against bare axum: {rest}");
    Ok(())
}

/// Microseconds of CPU time for one call in this process.
async fn in_process() -> anyhow::Result<f64> {
    let context = ward::ServiceContext::default();
    let client = WardClient::local(RpcDoor::new(context, ward::rules()));
    let mut caller = Ours(client);
    let (cpu, began) = (process::own_cpu()?, Instant::now());
    let mut calls = 0;
    // As long as a turn of the others at most; a call takes some ten microseconds.
    while calls < LOCAL_CALLS || began.elapsed().as_millis() < 200 {
        caller.call().await?;
        calls += 1;
    }
    Ok(micros(process::own_cpu()? - cpu) / f64::from(calls))
}

#[derive(Clone)]
struct Ours(WardClient);

impl Caller for Ours {
    async fn call(&mut self) -> anyhow::Result<()> {
        let cx = Context::background();
        let reply = self.0.get_patients_by_trial(&cx, trial()).await?;
        ensure!(reply.patients.len() == PATIENTS, "a list of another length");
        Ok(())
    }
}

#[derive(Clone)]
struct Bare(tonic::Client);

impl Caller for Bare {
    async fn call(&mut self) -> anyhow::Result<()> {
        let reply = self.0.get_patients_by_trial(trial()).await?;
        ensure!(reply.patients.len() == PATIENTS, "a list of another length");
        Ok(())
    }
}

fn trial() -> GetPatientsByTrialReq {
    GetPatientsByTrialReq {
        trial_id: "T1".to_owned(),
    }
}
