//! `cohort audit verify`: the audit trails of all services, read and checked.

use tenon::store::audit;

use crate::{
    Outcome,
    arguments::Data,
    data::{Folder, SERVICES},
    screen,
};

/// Verifies the trail of every service, also beside a running process, and prints each problem
/// with its service, or the counts.
pub(crate) fn verify(data: &Data) -> anyhow::Result<Outcome> {
    let folder = Folder::existing(&data.folder)?;
    let mut outcome = Outcome::Good;
    for service in SERVICES {
        for line in examine(&folder, service, &mut outcome) {
            screen::say(line);
        }
    }
    Ok(outcome)
}

/// The lines about one service.
pub(crate) fn examine(folder: &Folder, service: &str, outcome: &mut Outcome) -> Vec<String> {
    // A data file that is gone is the worst that can happen to a trail, not a reason to skip it.
    let report = match audit::verify_file(folder.database(service)) {
        Ok(report) => report,
        Err(problem) => {
            *outcome = Outcome::Findings;
            return vec![format!("{service}: {problem}")];
        }
    };
    if report.is_sound() {
        let (records, streams) = (report.records, report.streams);
        return vec![format!(
            "{service}: {records} records in {streams} chains, sound"
        )];
    }
    *outcome = Outcome::Findings;
    let problems = report.problems.iter();
    problems
        .map(|problem| format!("{service}: {problem}"))
        .collect()
}
