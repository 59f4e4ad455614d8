//! `cohort health`: asks a process whether it is ready, for the health checks of containers whose
//! image holds this program and no other.

use std::time::Duration;

use anyhow::Context as _;

use crate::{Outcome, api::Api, screen};

/// How long the answer may take. The probes of a process have two seconds among themselves, and
/// container engines wait for three at least.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks `/readyz` of the admin server at `admin`, once, and prints what it says as one line.
pub(crate) fn ask(admin: &str) -> anyhow::Result<Outcome> {
    let address = match admin.contains("://") {
        true => admin.to_owned(),
        false => format!("http://{admin}"),
    };
    let api = Api::new(&address, 1)?;
    let answer = api.page("/readyz", PATIENCE).with_context(|| {
        format!("{admin} says nothing; name the admin address of the process with --address")
    });
    let (status, report) = answer?;
    screen::say(report.trim_end());
    Ok(match status {
        200 => Outcome::Good,
        _ => Outcome::Findings,
    })
}
