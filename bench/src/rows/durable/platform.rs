//! `cohort up` as a process of its own, on data of its own, with its demonstration study.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ChildStdout, Command, Stdio},
};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    load::http::{self, Connection},
    process::Process,
};

/// Who submits for the subjects of both sites.
const COORDINATOR: &str = "demo-coordinator";
/// How many subjects of the demonstration are enrolled; they stand first.
const ENROLLED: usize = 5;

/// The platform, running or killed.
pub(super) struct Platform {
    program: PathBuf,
    folder: tempfile::TempDir,
    batch_max: usize,
    running: Running,
    demo: Demo,
}

struct Running {
    process: Process,
    gateway: SocketAddr,
    /// What it may still say has a reader as long as it lives.
    _output: BufReader<ChildStdout>,
}

/// What is used of `demo.json`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Demo {
    accounts: Vec<Account>,
    subject_ids: Vec<String>,
    questionnaires: Vec<String>,
}

#[derive(Deserialize)]
struct Account {
    username: String,
    password: String,
}

impl Platform {
    /// Starts it on an empty folder.
    pub(super) fn start(program: &Path, batch_max: usize) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (running, said) = up(program, folder.path(), batch_max, true)?;
        let demo = said.iter().find(|line| line.starts_with('{'));
        let demo = demo.context("it did not tell its demonstration data")?;
        let mut demo: Demo = serde_json::from_str(demo).context("its demonstration data")?;
        demo.subject_ids.truncate(ENROLLED);
        Ok(Self {
            program: program.to_owned(),
            folder,
            batch_max,
            running,
            demo,
        })
    }

    /// Kills it, as a power cut would.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        self.running.process.kill()
    }

    /// Starts it again on the same data.
    pub(super) fn restart(&mut self) -> anyhow::Result<()> {
        let folder = self.folder.path();
        (self.running, _) = up(&self.program, folder, self.batch_max, false)?;
        Ok(())
    }

    /// `cohort audit verify` on its data.
    pub(super) fn verify_audit(&self) -> anyhow::Result<String> {
        let output = Command::new(&self.program)
            .args(["audit", "verify", "--data"])
            .arg(self.folder.path())
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        ensure!(
            output.status.success(),
            "the audit trail does not verify: {said} {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(said)
    }

    /// Its process.
    pub(super) fn process(&self) -> &Process {
        &self.running.process
    }

    /// Where its REST doors are.
    pub(super) fn gateway(&self) -> SocketAddr {
        self.running.gateway
    }

    /// Its enrolled subjects.
    pub(super) fn subjects(&self) -> &[String] {
        &self.demo.subject_ids
    }

    /// A token of the coordinator, good for some minutes.
    pub(super) async fn login(&self) -> anyhow::Result<String> {
        let accounts = &self.demo.accounts;
        let account = accounts.iter().find(|one| one.username == COORDINATOR);
        let account = account.with_context(|| format!("there is no account {COORDINATOR}"))?;
        let body = json!({"username": account.username, "password": account.password});
        let path = "/api/v1/identity/login";
        let answer = self.ask("POST", path, "", Some(&body)).await?;
        let token = answer["accessToken"].as_str();
        token.map(str::to_owned).context("login gave no token")
    }

    /// The published PHQ-9 with its `url|version`.
    pub(super) async fn questionnaire(&self, token: &str) -> anyhow::Result<(String, Value)> {
        let mut named = self.demo.questionnaires.iter();
        let canonical = named.find(|canonical| canonical.contains(":phq9|"));
        let canonical = canonical.context("the PHQ-9 is not published")?;
        let path = "/api/v1/epro/questionnaire";
        let list = self.ask("GET", path, token, None).await?;
        let items = list["items"].as_array().context("a list has items")?;
        let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
        let one = items
            .iter()
            .find(|item| format!("{}|{}", text(item, "url"), text(item, "version")) == *canonical);
        let id = text(one.context("the PHQ-9 is not listed")?, "id");
        let path = format!("{path}/{id}");
        let resource = self.ask("GET", &path, token, None).await?;
        Ok((canonical.clone(), resource))
    }

    /// One request on a connection of its own; its answer must be a success in JSON.
    async fn ask(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let kind = "application/json";
        let request = http::request(method, path, token, kind, body.as_bytes());
        let mut connection = Connection::open(self.gateway()).await?;
        let answer = connection.exchange(&request).await?;
        if !(200..300).contains(&answer.status) {
            let text = String::from_utf8_lossy(&answer.body);
            bail!("{method} {path} answered {}: {text}", answer.status);
        }
        Ok(serde_json::from_slice(&answer.body)?)
    }
}

/// Starts the program, waits until it is ready, and gives what it said till then. Its access log
/// goes to `/dev/null`.
fn up(
    program: &Path,
    folder: &Path,
    batch_max: usize,
    demo: bool,
) -> anyhow::Result<(Running, Vec<String>)> {
    let mut command = Command::new(program);
    command.args(["up", "--data"]).arg(folder);
    for door in ["--listen", "--progress", "--admin"] {
        command.args([door, "127.0.0.1:0"]);
    }
    command.args(["--batch-max", &batch_max.to_string()]);
    if demo {
        command.arg("--demo");
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("start {}", program.display()))?;
    let output = child.stdout.take().context("its output is not piped")?;
    let process = Process::of(child);
    let mut output = BufReader::new(output);
    let mut said: Vec<String> = Vec::new();
    while said.last().is_none_or(|line| line != "ready") {
        let mut line = String::new();
        if output.read_line(&mut line)? == 0 {
            bail!(
                "`cohort up` ended before it was ready; it said {}",
                said.len()
            );
        }
        said.push(line.trim_end().to_owned());
    }
    let mut lines = said.iter();
    let gateway = lines.find_map(|line| line.strip_prefix("gateway http://"));
    let gateway = gateway.context("it did not tell its gateway")?.parse()?;
    let running = Running {
        process,
        gateway,
        _output: output,
    };
    Ok((running, said))
}
