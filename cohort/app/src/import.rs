//! `cohort import`: creates subjects from a CSV file through the REST interface.
//!
//! Every row is checked before anything is sent, and everything that is wrong is told at once,
//! by row, column and rule; never by value, because rows are about persons. Then subjects are
//! created and moved to where they stand. The import may be interrupted and run again: what is
//! there already with the same content is skipped, what is half done is finished.

mod findings;
mod load;
mod map;
mod rows;
mod standing;

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, bail, ensure};

use self::{findings::Findings, load::Counts, map::Map};
use crate::{
    Outcome,
    api::{self, Api},
    arguments::Import,
    screen,
};

/// The longest token that is read from a file.
const TOKEN_MAX: usize = 16 << 10;

/// Runs the import and prints its counts, or everything that is wrong with the rows.
pub(crate) fn run(arguments: &Import) -> Result<Outcome> {
    let map = Map::load(&arguments.map)?;
    let token = read_token(&arguments.token_file)?;
    if api::is_readable_by_others(&arguments.url) {
        screen::tell(
            "attention: http:// to another machine shows names and the token to the network; use https://",
        );
    }
    let api = Api::new(&arguments.url, arguments.concurrency.into())?.with_token(&token);
    let trial = arguments.trial.as_str();
    let sites = sites(&api, trial)?;
    let today = jiff::Zoned::now().date();
    let (rows, findings) = rows::read(&arguments.rows, &map, &sites, today)?;
    if !findings.is_empty() {
        tell(&findings, arguments.errors.as_deref())?;
        let count = findings.len();
        screen::tell(format_args!(
            "{count} problems in the rows; nothing was sent"
        ));
        return Ok(Outcome::Findings);
    }
    let loaded = load::run(&api, trial, &rows, &arguments.into());
    tell(&loaded.findings, arguments.errors.as_deref())?;
    screen::say(shown(&loaded.counts, arguments.dry_run));
    if let Some(reason) = loaded.stopped {
        bail!("{reason}; run the same command again to go on where it stopped");
    }
    Ok(match loaded.counts.failed {
        0 => Outcome::Good,
        _ => Outcome::Findings,
    })
}

fn shown(counts: &Counts, dry_run: bool) -> String {
    let Counts {
        created,
        moved,
        skipped,
        failed,
    } = counts;
    let remark = if dry_run {
        " (dry run: nothing was sent)"
    } else {
        ""
    };
    format!("{created} created, {moved} moved, {skipped} skipped, {failed} failed{remark}")
}

/// The ids of the study's sites by their codes.
fn sites(api: &Api, trial: &str) -> Result<BTreeMap<String, String>> {
    let path = format!("/trial/{}/site", api::escaped(trial));
    let found = match api.items(&path) {
        Ok(found) => found,
        Err(failure) if failure.is_status(404) => {
            bail!("the account sees no study {trial:?}; give its id with --trial")
        }
        Err(failure) => return Err(failure).context("the sites of the study cannot be read"),
    };
    let text = |site: &serde_json::Value, name: &str| {
        site.get(name)
            .and_then(|value| value.as_str())
            .map(str::to_owned)
    };
    let sites = found.iter();
    Ok(sites
        .filter_map(|site| Some((text(site, "code")?, text(site, "id")?)))
        .collect())
}

fn read_token(path: &Path) -> Result<String> {
    let shown = path.display();
    let text = fs::read_to_string(path)
        .with_context(|| format!("the token file {shown} cannot be read"))?;
    let token = text.trim();
    let sound = !token.is_empty()
        && token.len() <= TOKEN_MAX
        && token.bytes().all(|byte| byte.is_ascii_graphic());
    ensure!(
        sound,
        "the token file {shown} holds no token; expected the accessToken of a login"
    );
    Ok(token.to_owned())
}

/// Shows the findings, and writes all of them to the file that was asked for.
fn tell(findings: &Findings, file: Option<&Path>) -> Result<()> {
    findings.tell();
    match file {
        Some(path) => findings.write(path),
        None => Ok(()),
    }
}
