//! A platform of its own for each test, and a client of it.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a process may take for anything: machines that test are busy.
const PATIENCE: Duration = Duration::from_secs(90);

/// `cohort` with these arguments.
pub(crate) fn cohort(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cohort"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs `cohort` to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    cohort(arguments).output().unwrap()
}

/// The standard output and error of a finished command.
pub(crate) fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// A folder that is removed with its content.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A process that was started and says `ready`.
pub(crate) struct Process {
    child: Child,
    /// What it said up to `ready`.
    pub(crate) lines: Vec<String>,
    log: PathBuf,
}

impl Process {
    /// Starts a command and waits until it is ready.
    pub(crate) fn start(mut command: Command, log: PathBuf) -> Self {
        command.stdout(Stdio::piped());
        command.stderr(File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut process = Self {
            child,
            lines: Vec::new(),
            log,
        };
        loop {
            match receiver.recv_timeout(PATIENCE) {
                Ok(line) if line == "ready" => return process,
                Ok(line) => process.lines.push(line),
                Err(_) => panic!("it is not ready: {:?}\n{}", process.lines, process.log()),
            }
        }
    }

    /// The rest of the line that begins with this word.
    pub(crate) fn line(&self, word: &str) -> Option<&str> {
        let mut lines = self.lines.iter();
        lines.find_map(|line| line.strip_prefix(word)?.strip_prefix(' '))
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends a signal by its number.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "it does not end: {}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it as an orchestrator does.
    pub(crate) fn stop(self) {
        self.signal("-TERM");
        let log = self.log.clone();
        let status = self.end();
        assert!(
            status.success(),
            "{status}: {}",
            std::fs::read_to_string(log).unwrap()
        );
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `cohort up` on a folder and on free ports.
pub(crate) fn up(data: &Path, more: &[&str]) -> Process {
    let mut command = cohort(&["up", "--data"]);
    command.arg(data).args(more);
    for flag in ["--listen", "--progress", "--admin"] {
        command.args([flag, "127.0.0.1:0"]);
    }
    let log = data.with_extension("log");
    Process::start(command, log)
}

/// The demonstration data of a platform.
pub(crate) fn demo(data: &Path) -> Value {
    let text = std::fs::read_to_string(data.join("demo.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The REST interface, perhaps as an account.
#[derive(Clone)]
pub(crate) struct Client {
    agent: ureq::Agent,
    base: String,
    token: Option<String>,
}

impl Client {
    /// The interface at this address.
    pub(crate) fn at(base: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(PATIENCE))
            .build();
        Self {
            agent: config.new_agent(),
            base: base.to_owned(),
            token: None,
        }
    }

    /// The gateway of a process.
    pub(crate) fn of(process: &Process) -> Self {
        Self::at(process.line("gateway").unwrap())
    }

    /// The same as the holder of this token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// The same as this account.
    pub(crate) fn login(&self, username: &str, password: &str) -> Self {
        let body = json!({"username": username, "password": password});
        let (status, tokens) = self.post("/api/v1/identity/login", &body);
        assert_eq!(status, 200, "{tokens}");
        self.with_token(tokens["accessToken"].as_str().unwrap())
    }

    /// The same as the first demonstration account of a role.
    pub(crate) fn role(&self, demo: &Value, role: &str) -> Self {
        let accounts = demo["accounts"].as_array().unwrap();
        let account = accounts
            .iter()
            .find(|account| account["role"] == role)
            .unwrap();
        let member = |name: &str| account[name].as_str().unwrap();
        self.login(member("username"), member("password"))
    }

    /// The token that it shows.
    pub(crate) fn token(&self) -> &str {
        self.token.as_deref().unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        self.try_send("GET", path, None).unwrap()
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.try_send("POST", path, Some(body)).unwrap()
    }

    /// Sends a request that may get no answer.
    pub(crate) fn try_send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value), ureq::Error> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("content-type", "application/json");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let text = body.map(Value::to_string).unwrap_or_default();
        let mut response = match body {
            Some(_) => self.agent.run(request.body(text).unwrap())?,
            None => self.agent.run(request.body(()).unwrap())?,
        };
        let text = response.body_mut().read_to_string()?;
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok((response.status().as_u16(), value))
    }

    /// All items of a list.
    pub(crate) fn items(&self, path: &str) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let sign = if path.contains('?') { '&' } else { '?' };
            let (status, page) = self.get(&format!("{path}{sign}limit=200{cursor}"));
            assert_eq!(status, 200, "{page}");
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }
}

/// A PHQ-9 response whose items are all answered with this option.
pub(crate) fn phq9(id: &str, subject: &str, option: usize) -> Value {
    let text = include_str!("../../../clinical/instruments/phq9.json");
    let questionnaire: Value = serde_json::from_str(text).unwrap();
    let mut items = Vec::new();
    for item in questionnaire["item"].as_array().unwrap() {
        let code = item["linkId"].clone();
        let Some(options) = item["answerOption"].as_array() else {
            continue;
        };
        let coding = options[option.min(options.len() - 1)]["valueCoding"].clone();
        items.push(json!({"linkId": code, "answer": [{"valueCoding": coding}]}));
    }
    json!({
        "resourceType": "QuestionnaireResponse",
        "id": id,
        "status": "completed",
        "questionnaire": format!(
            "{}|{}",
            questionnaire["url"].as_str().unwrap(),
            questionnaire["version"].as_str().unwrap()
        ),
        "subject": {"reference": format!("Patient/{subject}")},
        "authored": "2026-01-05T08:00:00Z",
        "item": items,
    })
}

/// A new id, as a device makes it.
pub(crate) fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
