//! `cohort health`: asks a process whether it is ready, for the health checks of containers.

use crate::{Outcome, api::Api, screen};

/// Asks `/readyz` of the admin server at `admin` and prints what it says.
pub(crate) fn ask(admin: &str) -> anyhow::Result<Outcome> {
    let api = Api::new(admin, 1)?;
    let (status, report) = api.page("/readyz")?;
    screen::say(report.trim_end());
    Ok(match status {
        200 => Outcome::Good,
        _ => Outcome::Findings,
    })
}
