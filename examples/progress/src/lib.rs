//! How far the enrolment of a trial has come: a small service in one file, without a contract.
//! It asks the trial service over gRPC and answers with the numbers that it gets.

use std::process::ExitCode;

use serde_json::json;
use tenon::{
    App, Context, Json, Request, Result,
    config::{ClientConfig, ConfigError},
    rpc::Channel,
    telemetry::Metrics,
};
use trial_contract::rpc::{GetProgressReq, TrialClient, TrialService};

/// The routes of the service. Logger and recovery are there by default.
///
/// Nobody is asked for a token: the answer counts subjects and names none.
pub fn build(trial: TrialClient) -> App {
    let app = App::new("progress");
    let v1 = app.group("/api/v1");
    v1.get("/trial/:trialId/progress", move |cx, req| {
        trial_progress(cx, req, trial.clone())
    });
    app
}

async fn trial_progress(cx: Context, req: Request, trial: TrialClient) -> Result<Json> {
    let trial_id = req.param("trialId")?.to_owned();
    let found = trial.get_progress(&cx, GetProgressReq { trial_id }).await?;
    Ok(json!({
        "trialId": found.trial_id,
        "progress": found.progress,
        "status": found.status,
        "enrolled": found.enrolled,
        "target": found.target,
    }))
}

/// Serves on `listen` until a signal, with its admin server on `admin`, asking the trial service
/// where `trial` says.
///
/// # Errors
/// `trial` names no address, or a method that the trial service does not have.
pub fn run(listen: &str, admin: &str, trial: &ClientConfig) -> Result<ExitCode, ConfigError> {
    let channel = Channel::new("trial", trial, &Metrics::new())?;
    let trial = TrialClient::remote(channel)?;
    Ok(build(trial).admin(admin).run(listen))
}
