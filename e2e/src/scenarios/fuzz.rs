//! A fuzzer that nobody here wrote (Schemathesis), on the OpenAPI document of the gateway. It is
//! installed once below the target folder where Python and its package index are at hand.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use crate::{cast::Actor, run::Outcome, world::World, world::cohort};

const PACKAGE: &str = "schemathesis==4.32.5";
const INSTALLING: Duration = Duration::from_secs(120);
const FUZZING: Duration = Duration::from_secs(60);

/// Not held against the answers: schemas cannot say all that a route demands of a text, and a
/// null for an optional member is taken as its absence although schemas do not offer it.
const NOT_CHECKED: &str = "positive_data_acceptance,negative_data_rejection";

/// What would end the session of the token, or the one of somebody else.
const LEFT_ALONE: &str = "/identity/(logout|password|account/.id./status)";

pub(super) async fn an_independent_fuzzer_finds_no_contradiction(world: &World) -> Outcome {
    if world.is_split() {
        return Outcome::Skipped("one arrangement is enough; the routes are the same".to_owned());
    }
    let program = match installed().await {
        Ok(program) => program,
        Err(why) => return Outcome::Skipped(why),
    };
    let mut summaries = Vec::new();
    // Between them they may use every route.
    for actor in [Actor::Investigator, Actor::Admin] {
        let token = world.cast().await.token(actor);
        match fuzz(world, &program, token).await {
            Some(summary) => summaries.push(format!("{actor:?} {summary}")),
            None => return Outcome::Skipped(format!("it was not done within {FUZZING:?}")),
        }
    }
    Outcome::Measured(summaries.join("; "))
}

/// Fuzzes all routes with a token. Gives what it says of itself, or nothing if it takes too long.
async fn fuzz(world: &World, program: &Path, token: &str) -> Option<String> {
    let report = world.scratch("fuzz.txt");
    let mut command = Command::new(program);
    command
        .arg("run")
        .arg(format!("{}/openapi.json", world.gateway()))
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--checks", "all", "--exclude-checks", NOT_CHECKED])
        .args(["--phases", "examples,coverage,fuzzing,stateful"])
        .args(["--max-examples", "10", "--seed", "1", "--no-color"])
        .args(["--generation-database", "none"])
        .args(["--exclude-path-regex", LEFT_ALONE])
        .current_dir(report.parent().unwrap())
        .stdout(File::create(&report).unwrap())
        .stderr(Stdio::null());
    let status = run(command, FUZZING).await?;
    let text = std::fs::read_to_string(report).unwrap();
    assert!(status.success(), "{text}");
    let summary = text.lines().rev().find(|line| line.contains("generated"));
    Some(summary.unwrap_or_default().trim().to_owned())
}

/// The program, or why there is none.
async fn installed() -> Result<PathBuf, String> {
    let target = cohort().parent().and_then(Path::parent).unwrap();
    let folder = target.join("e2e-python");
    let (program, mark) = (folder.join("bin/schemathesis"), folder.join(PACKAGE));
    if mark.exists() {
        return Ok(program);
    }
    let mut venv = Command::new("python3");
    venv.arg("-m").arg("venv").arg(&folder);
    quietly(venv).await?;
    let mut pip = Command::new(folder.join("bin/pip"));
    pip.args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--retries",
        "1",
        PACKAGE,
    ]);
    quietly(pip).await?;
    std::fs::write(mark, "").unwrap();
    Ok(program)
}

async fn quietly(mut command: Command) -> Result<(), String> {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    match run(command, INSTALLING).await {
        Some(status) if status.success() => Ok(()),
        _ => Err(format!("{PACKAGE} cannot be installed here")),
    }
}

/// Runs a command for this long at most. Nothing comes back where it cannot be started or was
/// not done in time.
async fn run(mut command: Command, limit: Duration) -> Option<ExitStatus> {
    let mut child = command.stdin(Stdio::null()).spawn().ok()?;
    let began = Instant::now();
    while began.elapsed() < limit {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}
