//! Changing the running program: its file changes, and it does; a bad file changes nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs::File,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// What a loaded machine may take for anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

struct Hello {
    child: Child,
    folder: PathBuf,
}

impl Hello {
    fn start(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("hello-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let hello = |child| Self {
            child,
            folder: folder.clone(),
        };
        let config = folder.join("hello.yaml");
        std::fs::write(&config, config_of("level: info", "3s")).unwrap();
        let log = File::create(folder.join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_hello"));
        command.arg("--config").arg(config);
        let hello = hello(command.stderr(Stdio::from(log)).spawn().unwrap());
        hello.wait_for(r#""door":"admin""#);
        hello
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap()
    }

    /// The first line of the log with this text.
    fn wait_for(&self, text: &str) -> String {
        let began = Instant::now();
        loop {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| line.contains(text)) {
                return line.to_owned();
            }
            assert!(began.elapsed() < PATIENCE, "no {text} in:\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn change(&self, text: &str) {
        std::fs::write(self.folder.join("hello.yaml"), text).unwrap();
    }

    /// Asks the service.
    fn get(&self) -> String {
        self.ask_at("hello.rest", "GET /api/v1/hello/li", "")
    }

    /// Asks the admin server.
    fn ask(&self, request: &str, body: &str) -> String {
        self.ask_at("admin", request, body)
    }

    fn ask_at(&self, door: &str, request: &str, body: &str) -> String {
        let line = self.wait_for(&format!(r#""door":"{door}""#));
        let address = line.split(r#""address":""#).nth(1).unwrap();
        let mut socket = TcpStream::connect(address.split('"').next().unwrap()).unwrap();
        let length = body.len();
        let head = "HTTP/1.1\r\nhost: localhost\r\nconnection: close";
        let text = format!("{request} {head}\r\ncontent-length: {length}\r\n\r\n{body}");
        socket.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Hello {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn config_of(log: &str, timeout: &str) -> String {
    format!(
        "name: hello\nrest: {{ listen: \"127.0.0.1:0\", timeout: {timeout} }}\n\
         admin: {{ listen: \"127.0.0.1:0\" }}\nlog: {{ {log} }}\n"
    )
}

#[test]
fn the_file_changes_what_may_change_and_a_bad_one_changes_nothing() {
    let hello = Hello::start("file");
    hello.change(&config_of("level: debug", "5s"));
    let applied = hello.wait_for(r#""key":"log.level""#);
    assert!(
        applied.contains(r#""old":"info","new":"debug""#),
        "{applied}"
    );
    let waits = hello.wait_for(r#""key":"rest.timeout""#);
    assert!(waits.contains("takes a restart"), "{waits}");
    assert!(hello.ask("GET /log-level", "").ends_with("debug\n"));

    hello.change(&config_of("level: loud", "5s"));
    let refused = hello.wait_for("the new configuration is refused");
    assert!(
        refused.contains("loud") && refused.contains("hello.yaml"),
        "{refused}"
    );
    assert!(hello.ask("GET /log-level", "").ends_with("debug\n"));
    let metrics = hello.ask("GET /metrics", "");
    for line in [
        "config_reloads_total{outcome=\"taken\"} 1",
        "config_reloads_total{outcome=\"refused\"} 1",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    // It goes on, and takes the next sound one.
    hello.change(&config_of("level: warn", "3s"));
    let began = Instant::now();
    while !hello.ask("GET /log-level", "").ends_with("warn\n") {
        assert!(began.elapsed() < PATIENCE, "{}", hello.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    let config = hello.ask("GET /config", "");
    assert!(config.contains("\"log.level\": \"warn\""), "{config}");
}

#[test]
fn a_rate_limit_is_taken_from_the_file() {
    let hello = Hello::start("limit");
    let limits = "rateLimits: [{ name: all, by: address, requests: 1, per: 1h }]";
    let text =
        config_of("level: info", "3s").replace("timeout: 3s", &format!("timeout: 3s, {limits}"));
    assert!(hello.get().starts_with("HTTP/1.1 200"));
    assert!(hello.get().starts_with("HTTP/1.1 200"));
    hello.change(&text);
    let applied = hello.wait_for(r#""key":"rest.rateLimits""#);
    assert!(applied.contains(r#""old":"default""#), "{applied}");
    assert!(hello.get().starts_with("HTTP/1.1 200"));
    let refused = hello.get();
    assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    // One that names no route is refused, and the old one stays in force.
    hello.change(&text.replace("per: 1h", "per: 1h, routes: [GET /nowhere]"));
    hello.wait_for("the new configuration is refused");
    assert!(hello.get().starts_with("HTTP/1.1 429"));
}

#[test]
fn an_operator_changes_the_level_and_the_log_says_so() {
    let hello = Hello::start("level");
    assert!(hello.ask("PUT /log-level", "error").ends_with("error\n"));
    let line = hello.wait_for("the log level was changed");
    assert!(
        line.contains(r#""old":"info","new":"error","peer":"127.0.0.1""#),
        "{line}"
    );
}

#[test]
fn a_hangup_reads_the_file_at_once() {
    let hello = Hello::start("hangup");
    let id = hello.child.id().to_string();
    // The shell's own `kill`: not every machine has the program.
    let command = format!("kill -HUP {id}");
    let sent = Command::new("sh").args(["-c", &command]).status().unwrap();
    assert!(sent.success());
    let line = hello.wait_for("nothing changed");
    assert!(
        line.contains(&Path::new("hello.yaml").display().to_string()),
        "{line}"
    );
}
