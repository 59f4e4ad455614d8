//! Processes under test: started, asked for CPU time and memory, and ended.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use serde_json::json;
use tenon::auth::Signer;

use crate::server::Kind;

/// Linux counts CPU time for user space in hundredths of a second, whatever the kernel's own tick.
const TICK: Duration = Duration::from_millis(10);

/// A process that ends with this value.
pub(crate) struct Process {
    child: Child,
}

/// A contestant that serves.
pub(crate) struct Server {
    process: Process,
    /// Where its HTTP/1.1 listens, or its only protocol.
    pub(crate) address: SocketAddr,
    /// Where its gRPC listens.
    pub(crate) rpc: SocketAddr,
}

impl Server {
    /// Starts a contestant. Its standard error, the access log, goes to `/dev/null`: writing is
    /// paid, a disk is not.
    pub(crate) fn start(kind: Kind, issuer: &Issuer) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?;
        let mut command = Command::new(program);
        command
            .args(["serve", kind.name(), "--keys"])
            .arg(issuer.keys())
            .stderr(Stdio::null());
        let (process, line) = Process::start(command)?;
        let refused = || format!("the server {} did not start: {line}", kind.name());
        let (address, rpc) = line.split_once(' ').with_context(refused)?;
        Ok(Self {
            process,
            address: address.parse().with_context(refused)?,
            rpc: rpc.parse().with_context(refused)?,
        })
    }

    /// Its process.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }
}

/// Who signs the tokens that the contestants take.
pub(crate) struct Issuer {
    folder: tempfile::TempDir,
    /// A token that may read subjects for an hour.
    pub(crate) token: String,
}

impl Issuer {
    /// A new one, with a new key.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let signer = Signer::generate()?;
        signer.write_jwks(&folder.path().join(KEYS))?;
        let exp = jiff::Timestamp::now().as_second() + 3600;
        let claims = json!({ "sub": "nurse-1", "exp": exp, "permission": "subject.read" });
        let token = signer.sign(&claims)?;
        Ok(Self { folder, token })
    }

    /// The file with its public key.
    fn keys(&self) -> PathBuf {
        self.folder.path().join(KEYS)
    }
}

/// The name of the file with the public keys.
const KEYS: &str = "keys.json";

impl Process {
    /// Starts a process and waits for its first line.
    pub(crate) fn start(mut command: Command) -> anyhow::Result<(Self, String)> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", command.get_program().display()))?;
        let output = child.stdout.take().context("its output is not piped")?;
        let process = Self { child };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        Ok((process, line.trim_end().to_owned()))
    }

    /// A process whose output somebody else reads.
    pub(crate) fn of(child: Child) -> Self {
        Self { child }
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The CPU time that it has used.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        cpu_of(&self.id().to_string())
    }

    /// The names of its threads.
    pub(crate) fn threads(&self) -> anyhow::Result<BTreeSet<String>> {
        let path = format!("/proc/{}/task", self.id());
        let tasks = fs::read_dir(&path).with_context(|| format!("read {path}"))?;
        // A thread that ended meanwhile has no name.
        let names =
            tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
        Ok(names.map(|name| name.trim_end().to_owned()).collect())
    }

    /// The memory that it holds, in bytes.
    pub(crate) fn memory(&self) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/status", self.id());
        let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kibibytes: u64 = kibibytes
            .context("its memory is not told")?
            .trim()
            .parse()?;
        Ok(kibibytes << 10)
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Tells it to stop and waits until it has, well.
    pub(crate) fn terminate(&mut self) -> anyhow::Result<()> {
        // The shell's own `kill`: not every machine has the program.
        let told = format!("kill -TERM {}", self.id());
        Command::new("sh").args(["-c", &told]).status()?;
        let status = self.child.wait()?;
        ensure!(
            status.success(),
            "it was told to stop and ended with {status}"
        );
        Ok(())
    }

    /// Kills it, without a farewell, and waits until it is gone.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// The CPU time that this process has used.
pub(crate) fn own_cpu() -> anyhow::Result<Duration> {
    cpu_of("self")
}

fn cpu_of(process: &str) -> anyhow::Result<Duration> {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    // The name of the program stands in parentheses and may hold anything.
    let (_, fields) = stat.rsplit_once(") ").context("its state is not told")?;
    let mut times = fields.split(' ').skip(11).map(str::parse::<u32>);
    match (times.next(), times.next()) {
        (Some(Ok(user)), Some(Ok(system))) => Ok(TICK * (user + system)),
        _ => bail!("{path} does not tell its CPU time"),
    }
}
