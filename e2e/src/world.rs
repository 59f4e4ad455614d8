//! The platform under test: its processes, where they listen, and the folder with all that they
//! write.

mod binary;
mod config;
mod ports;
mod process;

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    process::Output,
    sync::{Mutex, OnceLock},
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use self::process::Process;
use crate::{cast::Cast, http::Client};

pub use self::binary::cohort;
pub(crate) use self::ports::Ports;

/// The services that keep data.
pub(crate) const SERVICES: [&str; 4] = ["identity", "trial", "patient", "epro"];

/// How the platform is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrangement {
    /// `cohort up`.
    OneProcess,
    /// `cohort serve`, six times.
    SeparateProcesses,
}

impl fmt::Display for Arrangement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneProcess => "one process",
            Self::SeparateProcesses => "separate processes",
        })
    }
}

impl Arrangement {
    /// The processes in the order in which they are started: identity writes the keys that the
    /// others read.
    fn processes(self) -> &'static [&'static str] {
        match self {
            Self::OneProcess => &["up"],
            Self::SeparateProcesses => &[
                "identity", "trial", "patient", "epro", "progress", "gateway",
            ],
        }
    }
}

/// How the processes learn where the others are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Neighbours {
    /// By fixed addresses.
    Fixed,
    /// They register in the etcd at this `host:port`, and look there.
    InEtcd(String),
    /// Whoever calls `trial` asks the API server at this URL; the others have fixed addresses.
    InKubernetes(String),
}

/// How much the processes tell of themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Talk {
    /// As much as they do by themselves.
    Usual,
    /// Every line of the lowest level; and the spans of separate processes, to this collector.
    /// The one process has no setting for a collector.
    All { collector: String },
}

/// A platform that runs.
pub(crate) struct World {
    arrangement: Arrangement,
    talk: Talk,
    neighbours: Neighbours,
    folder: TempDir,
    data: PathBuf,
    ports: Ports,
    processes: Mutex<BTreeMap<&'static str, Process>>,
    client: Client,
    administrator: OnceLock<String>,
    document: OnceCell<Value>,
    cast: OnceCell<Cast>,
}

impl World {
    /// Starts the platform on an empty data folder.
    pub(crate) async fn start(arrangement: Arrangement) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        process::private_folder(&data);
        Self::start_in(arrangement, (folder, data), Talk::Usual, Neighbours::Fixed).await
    }

    /// Starts a platform of its own as separate processes that find each other so.
    pub(crate) async fn start_finding(neighbours: Neighbours) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        process::private_folder(&data);
        let split = Arrangement::SeparateProcesses;
        Self::start_in(split, (folder, data), Talk::Usual, neighbours).await
    }

    /// Starts a platform of its own whose processes log all that they can, and send their spans to
    /// this collector.
    pub(crate) async fn start_talkative(arrangement: Arrangement, collector: String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        process::private_folder(&data);
        let talk = Talk::All { collector };
        Self::start_in(arrangement, (folder, data), talk, Neighbours::Fixed).await
    }

    /// Starts a platform of its own on this data folder.
    pub(crate) async fn start_on(arrangement: Arrangement, data: PathBuf) -> Self {
        let folder = (tempfile::tempdir().unwrap(), data);
        Self::start_in(arrangement, folder, Talk::Usual, Neighbours::Fixed).await
    }

    async fn start_in(
        arrangement: Arrangement,
        (folder, data): (TempDir, PathBuf),
        talk: Talk,
        neighbours: Neighbours,
    ) -> Self {
        for name in ["logs", "etc"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let world = Self {
            arrangement,
            talk,
            neighbours,
            folder,
            data,
            ports: Ports::free(),
            processes: Mutex::default(),
            client: Client::new(),
            administrator: OnceLock::new(),
            document: OnceCell::new(),
            cast: OnceCell::new(),
        };
        if arrangement == Arrangement::SeparateProcesses {
            let more = match &world.talk {
                Talk::Usual => String::new(),
                Talk::All { collector } => format!(
                    "log: {{ level: trace, repeatsMax: 0 }}\ntraces: {{ endpoint: {collector} }}\n"
                ),
            };
            let (data, etc) = (world.data(), world.etc());
            config::write(&world.ports, &data, &etc, &world.neighbours, &more);
        }
        for name in arrangement.processes() {
            world.launch(name).await;
        }
        world
    }

    pub(crate) fn arrangement(&self) -> Arrangement {
        self.arrangement
    }

    pub(crate) fn is_split(&self) -> bool {
        self.arrangement == Arrangement::SeparateProcesses
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// The folder of what the processes printed and logged.
    pub(crate) fn logs(&self) -> PathBuf {
        self.folder.path().join("logs")
    }

    /// A new path beside the data.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn etc(&self) -> PathBuf {
        self.folder.path().join("etc")
    }

    pub(crate) fn ports(&self) -> &Ports {
        &self.ports
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The address that clients use.
    pub(crate) fn gateway(&self) -> String {
        self.ports.rest("gateway")
    }

    /// A second instance of `trial` that begins with what the first one has stored: `trial_2`. Both
    /// run afterwards, each on its own data, so that they give the same answers for as long as
    /// nobody writes.
    pub(crate) async fn double_trial(&self) {
        let second = self.data().join("second");
        process::private_folder(&second);
        self.stop("trial").await;
        for entry in std::fs::read_dir(self.data()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_owned();
            if name.to_str().unwrap().starts_with("trial.db") {
                std::fs::copy(&path, second.join(name)).unwrap();
            }
        }
        self.launch("trial").await;
        self.launch("trial_2").await;
    }

    /// The configuration file of a process.
    pub(crate) fn configuration(&self, process: &str) -> String {
        std::fs::read_to_string(self.etc().join(format!("{process}.yaml"))).unwrap()
    }

    /// Writes the configuration file of a process, which may run.
    pub(crate) fn configure(&self, process: &str, text: &str) {
        std::fs::write(self.etc().join(format!("{process}.yaml")), text).unwrap();
    }

    /// What the admin server of a process shows of its client `name`.
    pub(crate) async fn client_of(&self, process: &str, name: &str) -> Value {
        let (status, text) = self
            .client
            .plain(&self.ports.admin(process), "/clients")
            .await;
        assert_eq!(status, 200, "/clients of {process}");
        let clients: Vec<Value> = serde_json::from_slice(&text).unwrap();
        let client = clients.into_iter().find(|client| client["client"] == name);
        client.unwrap_or_else(|| panic!("{process} has no client {name}"))
    }

    /// The names of all processes.
    pub(crate) fn processes(&self) -> &'static [&'static str] {
        self.arrangement.processes()
    }

    /// The process that a service runs in.
    pub(crate) fn process_of(&self, service: &'static str) -> &'static str {
        match self.arrangement {
            Arrangement::OneProcess => "up",
            Arrangement::SeparateProcesses => service,
        }
    }

    /// The password that the first start printed.
    pub(crate) fn administrator(&self) -> &str {
        self.administrator.get_or_init(|| {
            let text = std::fs::read_to_string(self.printed(self.process_of("identity"))).unwrap();
            let line = text.lines().find(|line| line.starts_with("administrator "));
            let words: Vec<&str> = line.unwrap().split(' ').collect();
            assert_eq!(words.len(), 3, "the line of the first administrator");
            words[2].to_owned()
        })
    }

    /// The OpenAPI document of the gateway.
    pub(crate) async fn document(&self) -> &Value {
        let read = async || {
            let answer = self.client.plain(&self.gateway(), "/openapi.json").await;
            assert_eq!(answer.0, 200, "/openapi.json");
            serde_json::from_slice(&answer.1).unwrap()
        };
        self.document.get_or_init(read).await
    }

    /// The accounts and objects that most scenarios play with, made when first asked for.
    pub(crate) async fn cast(&self) -> &Cast {
        self.cast.get_or_init(|| Cast::gather(self)).await
    }

    /// The metrics of a process in text form.
    pub(crate) async fn metrics(&self, process: &'static str) -> String {
        let admin = self.ports.admin(process);
        let (status, text) = self.client.plain(&admin, "/metrics").await;
        assert_eq!(status, 200, "/metrics of {process}");
        String::from_utf8(text.to_vec()).unwrap()
    }

    /// The sum of a metric over all of its labels, in one process.
    pub(crate) async fn metric(&self, process: &'static str, name: &str) -> f64 {
        let text = self.metrics(process).await;
        let lines = text.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        lines
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum()
    }

    /// Runs `cohort` with these arguments to its end.
    pub(crate) async fn command<const N: usize>(&self, arguments: [&str; N]) -> Output {
        let mut command = std::process::Command::new(cohort());
        command.args(arguments);
        let run = tokio::task::spawn_blocking(move || command.output());
        run.await.unwrap().unwrap()
    }

    /// How many audit records a service has, as `cohort audit verify` counts them; all chains of
    /// all services must be sound.
    pub(crate) async fn audited(&self) -> BTreeMap<String, u64> {
        let data = self.data();
        let output = self
            .command(["audit", "verify", "--data", data.to_str().unwrap()])
            .await;
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{text}");
        let count = |line: &str| {
            let (service, rest) = line.split_once(": ").unwrap();
            let count = rest.split(' ').next().unwrap().parse().unwrap();
            assert!(line.ends_with("sound"), "{line}");
            (service.to_owned(), count)
        };
        let counts: BTreeMap<_, _> = text.lines().map(count).collect();
        assert_eq!(counts.len(), SERVICES.len(), "{text}");
        counts
    }

    /// Keeps the folder after the end, to be looked at, and says where it is.
    pub(crate) fn keep(&self) {
        if std::env::var_os("E2E_KEEP").is_some() {
            let kept = std::env::temp_dir().join(format!("e2e-{}", std::process::id()));
            let copied = std::process::Command::new("cp")
                .arg("-a")
                .arg(self.folder.path())
                .arg(&kept)
                .status();
            println!("  kept in {}: {copied:?}", kept.display());
        }
    }
}
