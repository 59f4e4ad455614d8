//! A real etcd of the system's package, on free ports and in a folder of its own; and `etcdctl`,
//! which is a client by other hands.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "what tests stand on fails them as their assertions do, and says what it skips"
)]

use std::{
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use tenon_core::config::EtcdConfig;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::fixed_port;

/// An etcd costs a process and some 30 MB; a test machine has few cores.
static TURNS: Semaphore = Semaphore::const_new(3);

/// How long an etcd may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether there is an etcd to test against; says so once where there is none.
pub fn is_installed() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let runs = |name: &str| {
            let version = if name == "etcd" {
                "--version"
            } else {
                "version"
            };
            let run = Command::new(name).arg(version).output();
            run.is_ok_and(|output| output.status.success())
        };
        let found = runs("etcd") && runs("etcdctl");
        if !found {
            println!("skipped: no etcd (Debian: etcd-server and etcd-client)");
        }
        found
    })
}

/// One member, which is killed when this is dropped.
pub struct Etcd {
    /// Where it keeps its data.
    pub folder: tempfile::TempDir,
    port: u16,
    peer_port: u16,
    extra: Vec<String>,
    scheme: &'static str,
    /// How etcdctl reaches it.
    pub control: Vec<String>,
    child: Option<Child>,
    _turn: SemaphorePermit<'static>,
}

impl Etcd {
    /// One that runs.
    pub async fn start() -> Self {
        let mut etcd = Self::stopped("http", Vec::new(), Vec::new()).await;
        etcd.resume().await;
        etcd
    }

    /// One that has a place and does not run yet.
    pub async fn stopped(scheme: &'static str, extra: Vec<String>, control: Vec<String>) -> Self {
        let turn = TURNS.acquire().await.unwrap();
        let (port, peer_port) = (fixed_port(), fixed_port());
        Self {
            folder: tempfile::tempdir().unwrap(),
            port,
            peer_port,
            extra,
            scheme,
            control,
            child: None,
            _turn: turn,
        }
    }

    /// Starts it on its data of before, and waits until it answers.
    pub async fn resume(&mut self) {
        let own = format!("{}://127.0.0.1:{}", self.scheme, self.port);
        let peer = format!("http://127.0.0.1:{}", self.peer_port);
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let child = Command::new("etcd")
            .args(["--name=test", "--log-level=error", "--logger=zap"])
            .arg(format!(
                "--data-dir={}",
                self.folder.path().join("data").display()
            ))
            .arg(format!("--listen-client-urls={own}"))
            .arg(format!("--advertise-client-urls={own}"))
            .arg(format!("--listen-peer-urls={peer}"))
            .arg(format!("--initial-advertise-peer-urls={peer}"))
            .arg(format!("--initial-cluster=test={peer}"))
            .args(&self.extra)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let begun = Instant::now();
        while self.is_running() && begun.elapsed() < PATIENCE {
            if self.run(&["get", "is-it-there"]).is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let log = std::fs::read_to_string(self.folder.path().join("log"));
        panic!("etcd does not answer: {log:?}");
    }

    /// Kills it, without a chance to say good-bye.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Forgets all that it was told; it must not run.
    pub fn forget(&self) {
        std::fs::remove_dir_all(self.folder.path().join("data")).unwrap();
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The place of instances below `key`, directly.
    pub fn config(&self, key: &str) -> EtcdConfig {
        at(&self.address(), key)
    }

    /// Runs etcdctl; its output, which it must give.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        self.run(arguments)
            .unwrap_or_else(|| panic!("etcdctl {arguments:?} failed"))
    }

    fn is_running(&mut self) -> bool {
        let child = self.child.as_mut();
        child.is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    fn run(&self, arguments: &[&str]) -> Option<String> {
        let output = Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .arg(format!(
                "--endpoints={}://127.0.0.1:{}",
                self.scheme, self.port
            ))
            .args(["--dial-timeout=2s", "--command-timeout=5s"])
            .args(&self.control)
            .args(arguments)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        output.status.success().then_some(text)
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The place of instances below `key` of the etcd at `address`.
pub fn at(address: &str, key: &str) -> EtcdConfig {
    EtcdConfig {
        hosts: vec![address.to_owned()],
        key: key.to_owned(),
        ..EtcdConfig::default()
    }
}
