//! The arguments of the command. No secret is ever one of them: others on the machine see them.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use tenon::config::{LogConfig, LogFormat, LogLevel, ServerTlsConfig};

/// A platform for clinical research: subjects, questionnaires, scores and their audit trail.
#[derive(Debug, Parser)]
#[command(name = "cohort", version, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole platform in this process.
    Up(Up),
    /// Run one service as this process.
    Serve {
        /// Which one.
        #[arg(value_enum)]
        service: Served,
        /// Its configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Read the configuration, say whether it is sound, and end without touching anything else.
        #[arg(long)]
        check: bool,
    },
    /// Create subjects from a CSV file, and move them to where they stand.
    Import(Import),
    /// Look after the audit trail.
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Copy the data and its keys into one file, also while the platform runs.
    Backup {
        #[command(flatten)]
        data: Data,
        /// The file to write; it must not exist.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Bring a backup back into an empty data folder.
    Restore {
        /// The file that `cohort backup` wrote.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        #[command(flatten)]
        data: Data,
    },
    /// Look after accounts without being able to log in.
    Account {
        #[command(subcommand)]
        command: AccountCommand,
    },
    /// Ask a running process whether it is ready; exit code 0 if it is, 1 if not.
    Health {
        /// Its admin address, host:port or a URL.
        #[arg(
            long,
            visible_alias = "address",
            value_name = "ADDR",
            default_value = "127.0.0.1:8889"
        )]
        admin: String,
    },
    /// Make the keys of an installation whose services do not share a folder, to be handed to them.
    Keys {
        /// The folder to make them in; what is in it already stays.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Print the version.
    Version,
}

/// `cohort up`.
#[derive(Debug, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) data: Data,
    /// Make demonstration accounts, a study and subjects, and write demo.json; again changes nothing.
    #[arg(long)]
    pub(crate) demo: bool,
    /// Where the REST interface of all services listens; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = address)]
    pub(crate) listen: SocketAddr,
    /// Where the progress service listens. It asks nobody for a token.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081", value_parser = address)]
    pub(crate) progress: SocketAddr,
    /// Where health, metrics and the route table are [default: 127.0.0.1:8889].
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub(crate) admin: Option<SocketAddr>,
    /// A file with the sections `admin`, `log` and `traces`, as `cohort serve` has them; what may change
    /// while the platform runs does so when the file does. A flag comes before it at the start.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Speak plaintext also on addresses that other machines reach: something with TLS stands before.
    #[arg(long, conflicts_with = "tls_cert")]
    pub(crate) plaintext: bool,
    /// The certificate (PEM, leaf first) that --listen and --progress speak TLS with.
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_key",
        conflicts_with = "demo"
    )]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The private key of the certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// A file with the password of the first administrator, mode 0400; without it a random one is
    /// printed by the first start.
    #[arg(long, value_name = "FILE")]
    pub(crate) administrator_password: Option<PathBuf>,
    /// How many writes one commit takes at most; 1 turns group commit off.
    #[arg(long, value_name = "N", default_value_t = 512, hide = true,
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=65_536))]
    pub(crate) batch_max: usize,
    #[command(flatten)]
    pub(crate) log: Log,
    /// Read the flags and the file, say whether they are sound, and end without touching anything else.
    #[arg(long)]
    pub(crate) check: bool,
}

/// Where a door listens.
fn address(text: &str) -> Result<SocketAddr, &'static str> {
    let parsed = text.parse();
    parsed.map_err(|_| "expected an IP address and a port up to 65535, as in 127.0.0.1:8080")
}

impl Up {
    /// What the doors speak TLS with, if they do. The flags come together.
    pub(crate) fn tls(&self) -> Option<ServerTlsConfig> {
        let (cert, key) = (self.tls_cert.clone()?, self.tls_key.clone()?);
        Some(ServerTlsConfig {
            cert_file: cert,
            key_file: key,
            client_ca_file: None,
            client_auth: None,
        })
    }
}

/// The folder of the data.
#[derive(Debug, Args)]
pub(crate) struct Data {
    /// The folder of the data and its keys.
    #[arg(long = "data", value_name = "DIR", default_value = "./cohort-data")]
    pub(crate) folder: PathBuf,
}

/// What is logged, and how.
#[derive(Debug, Args)]
pub(crate) struct Log {
    /// The lowest level that is logged, on standard error [default: info].
    #[arg(long = "log-level", value_enum)]
    level: Option<Level>,
    /// How lines are logged; `pretty` at a terminal, else `json`, when it is not given.
    #[arg(long = "log-format", value_enum)]
    format: Option<Format>,
    /// How many lines one place in the code may write in a second; 0 writes all of them
    /// [default: 100].
    #[arg(long = "log-repeats-max", value_name = "N")]
    repeats_max: Option<u32>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Json,
    Pretty,
}

impl Log {
    /// The section `log` of a file, or of none, with what the flags say of it.
    pub(crate) fn over(&self, file: Option<LogConfig>) -> LogConfig {
        use std::io::IsTerminal;
        let mut config = file.unwrap_or_else(|| LogConfig {
            format: match std::io::stderr().is_terminal() {
                true => LogFormat::Pretty,
                false => LogFormat::Json,
            },
            ..LogConfig::default()
        });
        if let Some(level) = self.level {
            config.level = level.into();
        }
        if let Some(format) = self.format {
            config.format = format.into();
        }
        config.repeats_max = self.repeats_max.unwrap_or(config.repeats_max);
        config
    }
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::Error,
            Level::Warn => Self::Warn,
            Level::Info => Self::Info,
            Level::Debug => Self::Debug,
            Level::Trace => Self::Trace,
        }
    }
}

impl From<Format> for LogFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Json => Self::Json,
            Format::Pretty => Self::Pretty,
        }
    }
}

/// What can be a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Served {
    /// Accounts, grants, sessions and tokens.
    Identity,
    /// Studies, sites and their targets.
    Trial,
    /// Subjects and persons.
    Patient,
    /// Questionnaires, responses and scores.
    Epro,
    /// The address in front of the others.
    Gateway,
    /// How far enrolment has come.
    Progress,
}

/// `cohort import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The address of the gateway, http:// or https://.
    #[arg(long)]
    pub(crate) url: String,
    /// A file that holds the access token of an account that may create subjects in the study.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: PathBuf,
    /// The id of the study.
    #[arg(long, value_name = "ID")]
    pub(crate) trial: String,
    /// Which column is what (YAML).
    #[arg(long, value_name = "FILE")]
    pub(crate) map: PathBuf,
    /// Where to write what is wrong with the rows, as CSV.
    #[arg(long, value_name = "FILE")]
    pub(crate) errors: Option<PathBuf>,
    /// Check every row and say what would be done, and do nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How many requests are on their way at once.
    #[arg(long, value_name = "N", default_value_t = 8,
          value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) concurrency: u8,
    /// The rows, with a header line, in UTF-8.
    #[arg(value_name = "CSV")]
    pub(crate) rows: PathBuf,
}

/// `cohort audit`.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Read the whole trail of every service and check its chains, also while the platform runs.
    Verify {
        #[command(flatten)]
        data: Data,
    },
}

/// `cohort account`.
#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Give an account a new random password, and end its sessions.
    Reset {
        /// The user name.
        username: String,
        #[command(flatten)]
        data: Data,
    },
}
