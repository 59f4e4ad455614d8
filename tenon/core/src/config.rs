//! The configuration loader, and the sections that every service has.
//!
//! One YAML file, read strictly: a missing file, an unknown key, a duplicate key or a value of
//! another type is an error with its line and the nearest valid key. No key is read and ignored.

use std::{
    collections::BTreeMap,
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::SecretString;
use serde::{Deserialize, de::DeserializeOwned};

/// Loads the file as `T`, usually a struct with the sections of this module and its own keys.
///
/// # Errors
/// The file is missing, is not YAML, or does not fit `T`.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|cause| ConfigError {
        path: path.to_owned(),
        problem: format!("the file could not be read: {cause}; pass its path with --config"),
    })?;
    parse(&text, path)
}

/// Reads `text` as `T`; `path` is for the error text only.
///
/// # Errors
/// The text is not YAML or does not fit `T`.
pub fn parse<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T, ConfigError> {
    serde_saphyr::from_str(text).map_err(|cause| ConfigError {
        path: path.to_owned(),
        // A snippet of the file could show a secret that stands beside the problem.
        problem: with_nearest_key(&cause.without_snippet().to_string()),
    })
}

/// A configuration file that cannot be used, with what to do about it.
#[derive(Debug)]
pub struct ConfigError {
    path: PathBuf,
    problem: String,
}

impl ConfigError {
    /// A problem that the service itself found in the file at `path`.
    pub fn new(path: impl Into<PathBuf>, problem: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            problem: problem.into(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "configuration {}: {}", self.path.display(), self.problem)
    }
}

impl std::error::Error for ConfigError {}

/// Serde lists the valid keys of an unknown one; the nearest of them is what the writer meant.
fn with_nearest_key(problem: &str) -> String {
    let Some((before, valid)) = problem.split_once(", expected one of ") else {
        return problem.to_owned();
    };
    let Some(unknown) = before.split('`').nth(1) else {
        return problem.to_owned();
    };
    // The place in the file follows the last of them.
    let valid = valid.split(" at line ").next().unwrap_or(valid);
    let near = valid
        .split(", ")
        .map(|key| key.trim_matches(|c: char| !c.is_alphanumeric()))
        .min_by_key(|key| strsim::damerau_levenshtein(key, unknown));
    near.map_or_else(
        || problem.to_owned(),
        |near| format!("{problem}; the nearest valid key is `{near}`"),
    )
}

/// The section `rest`: the REST door.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RestConfig {
    /// The address to listen on; port 0 takes a free one. Default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// How long a request may take, unless its route says otherwise. Default `3s`.
    #[serde(with = "duration::positive")]
    pub timeout: Duration,
    /// The largest body, counted after decompression. Default 1 MiB.
    pub max_bytes: u64,
    /// How many connections are held at once; further ones wait. Default 10,000.
    #[serde(deserialize_with = "at_least_one")]
    pub max_connections: usize,
    /// How long a client may take to send the headers of a request. Default `10s`.
    #[serde(with = "duration::positive")]
    pub header_timeout: Duration,
    /// How long requests in flight may still run once the process was told to stop.
    /// Default `25s`, below the 30 s of the usual orchestrators.
    #[serde(with = "duration")]
    pub grace: Duration,
}

impl Default for RestConfig {
    fn default() -> Self {
        Self {
            listen: loopback(8080),
            timeout: Duration::from_secs(3),
            max_bytes: 1 << 20,
            max_connections: 10_000,
            header_timeout: Duration::from_secs(10),
            grace: Duration::from_secs(25),
        }
    }
}

/// The section `rpc`: the gRPC door.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RpcConfig {
    /// The address to listen on; port 0 takes a free one. Default `127.0.0.1:9080`.
    pub listen: SocketAddr,
    /// How long a call may take when its caller sets no deadline, and at most. Default `3s`.
    #[serde(with = "duration::positive")]
    pub timeout: Duration,
    /// The largest message. Default 4 MiB.
    pub max_bytes: u64,
    /// How many connections are held at once; further ones wait. Default 10,000.
    #[serde(deserialize_with = "at_least_one")]
    pub max_connections: usize,
    /// How long calls in flight may still run once the process was told to stop. Default `25s`.
    #[serde(with = "duration")]
    pub grace: Duration,
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self {
            listen: loopback(9080),
            timeout: Duration::from_secs(3),
            max_bytes: 4 << 20,
            max_connections: 10_000,
            grace: Duration::from_secs(25),
        }
    }
}

/// The section `admin`: health, metrics and the route table.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AdminConfig {
    /// The address to listen on; port 0 takes a free one. Default `127.0.0.1:8889`.
    pub listen: SocketAddr,
    /// What peers that are not on loopback must show for `/routes`. Without it they are refused.
    pub auth: Option<AdminAuth>,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            listen: loopback(8889),
            auth: None,
        }
    }
}

/// How an operator proves itself to the admin server.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum AdminAuth {
    /// `Authorization: Basic`.
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: SecretString,
    },
    /// `Authorization: Bearer`.
    Bearer(SecretString),
}

/// The section `auth`: which tokens are accepted. One of `accessSecret` and `keys`, or none where
/// no route asks for a token.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AuthConfig {
    /// The shared secret of HS256 tokens, at least 32 bytes.
    pub access_secret: Option<SecretString>,
    /// The secret before the last change, still accepted (`jwtTransition`).
    pub previous_secret: Option<SecretString>,
    /// Public keys of EdDSA tokens.
    pub keys: Vec<KeyConfig>,
    /// The issuer that a token must name.
    pub issuer: Option<String>,
    /// The audience that a token must name.
    pub audience: Option<String>,
    /// The claim that names the caller. Default `sub`.
    pub subject_claim: Option<String>,
}

/// One source of public keys.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyConfig {
    /// A JSON Web Key Set (RFC 7517) in a file; read again when a token names an unknown key.
    pub file: PathBuf,
}

/// The section `clients`: where the services are that this one calls, by their name.
pub type ClientsConfig = BTreeMap<String, ClientConfig>;

/// Where a service is.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientConfig {
    /// `host:port` of each instance.
    pub endpoints: Vec<String>,
    /// How long a call may take when its context has more time. Default `2s`.
    #[serde(with = "duration::positive", default = "client_timeout")]
    pub timeout: Duration,
}

fn client_timeout() -> Duration {
    Duration::from_secs(2)
}

/// The section `store`: the data of the service.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StoreConfig {
    /// The SQLite file; its folder must exist.
    pub path: PathBuf,
    /// How many writes one commit takes at most. Default 512; 1 turns group commit off.
    #[serde(deserialize_with = "at_least_one")]
    pub batch_max: usize,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::from("service.db"),
            batch_max: 512,
        }
    }
}

/// The section `log`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LogConfig {
    /// The lowest level that is written. Default `info`.
    pub level: LogLevel,
    /// How lines are written. Default `json`.
    pub format: LogFormat,
}

/// The level of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Failures of the service.
    Error,
    /// What an operator should look at.
    Warn,
    /// The access log, start and stop.
    #[default]
    Info,
    /// What a developer looks at.
    Debug,
    /// Everything.
    Trace,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    #[default]
    Json,
    /// Coloured lines, for people.
    Pretty,
}

/// Durations as text: `3s`, `500ms`, `1m30s`. A bare number is refused: it has no unit.
pub mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, de::Error};

    /// Reads a duration, for `#[serde(with = "tenon_core::config::duration")]`.
    ///
    /// # Errors
    /// The text is not a duration with units, or is negative.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        parse(&text).map_err(D::Error::custom)
    }

    /// The longest duration: nothing is waited for longer, and deadlines can be added to it.
    pub const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

    /// Reads `3s`, `500ms`, `1m30s`.
    ///
    /// # Errors
    /// The text is not a duration with units, is negative, or is longer than [`LONGEST`].
    pub fn parse(text: &str) -> Result<Duration, String> {
        let refused = || format!("`{text}` is not a duration; expected one like 3s, 500ms, 1m30s");
        let signed: jiff::SignedDuration = text.parse().map_err(|_| refused())?;
        let duration = Duration::try_from(signed).map_err(|_| refused())?;
        if duration > LONGEST {
            return Err(format!("`{text}` is too long; expected at most 365 days"));
        }
        Ok(duration)
    }

    /// Durations above zero, for times that would refuse everything at zero. Zero is not "no
    /// limit": there is always one.
    pub mod positive {
        use std::time::Duration;

        use serde::{Deserializer, de::Error};

        /// Reads a duration above zero.
        ///
        /// # Errors
        /// As [`super::deserialize`], and for zero.
        pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
            let duration = super::deserialize(from)?;
            if duration.is_zero() {
                let problem = "a duration of zero would refuse everything; expected a longer one";
                return Err(D::Error::custom(problem));
            }
            Ok(duration)
        }
    }
}

/// A number of things of which there must be one at least.
fn at_least_one<'de, D: serde::Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    let number = usize::deserialize(from)?;
    if number == 0 {
        return Err(serde::de::Error::custom("expected at least 1"));
    }
    Ok(number)
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Config {
        name: String,
        #[serde(default)]
        rest: RestConfig,
        #[serde(default)]
        auth: AuthConfig,
        #[serde(default)]
        clients: ClientsConfig,
    }

    fn read(text: &str) -> Result<Config, String> {
        parse(text, Path::new("etc/patient.yaml")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_whole_file_is_read() {
        let config = read(concat!(
            "name: patient\n",
            "rest:\n  listen: 127.0.0.1:0\n  timeout: 1m30s\n",
            "clients:\n  trial:\n    endpoints: [\"127.0.0.1:9102\"]\n    timeout: 500ms\n",
        ))
        .unwrap();
        assert_eq!(config.name, "patient");
        assert_eq!(config.rest.timeout, Duration::from_secs(90));
        assert_eq!(config.rest.max_bytes, 1 << 20);
        assert_eq!(config.clients["trial"].timeout, Duration::from_millis(500));
        assert!(config.auth.access_secret.is_none());
    }

    #[test]
    fn an_unknown_key_names_its_line_and_the_nearest_valid_one() {
        let error = read("name: patient\nrest:\n  timeot: 3s\n").unwrap_err();
        assert!(error.contains("nearest valid key is `timeout`"), "{error}");
        assert!(error.contains("etc/patient.yaml"), "{error}");
        assert!(error.contains('3'), "the line is named: {error}");
        let last = read("name: patient\nclients: {trial: {endpoints: [], timeuot: 3s}}\n");
        let last = last.unwrap_err();
        assert!(last.contains("nearest valid key is `timeout`"), "{last}");
    }

    #[test]
    fn durations_need_a_unit() {
        for bad in ["3", "-3s", "soon"] {
            let error = read(&format!("name: x\nrest:\n  timeout: {bad}\n")).unwrap_err();
            assert!(error.contains("expected one like 3s"), "{error}");
        }
    }

    #[test]
    fn limits_that_would_refuse_everything_or_overflow_are_errors() {
        for (key, expected) in [
            ("timeout: 0s", "a longer one"),
            ("headerTimeout: 0ms", "a longer one"),
            ("maxConnections: 0", "at least 1"),
            ("timeout: 2540400000h", "at most 365 days"),
        ] {
            let error = read(&format!("name: x\nrest:\n  {key}\n")).unwrap_err();
            assert!(error.contains(expected), "{key}: {error}");
        }
        assert!(read("name: x\nrest:\n  grace: 0s\n").is_ok());
    }

    #[test]
    fn duplicate_keys_and_missing_files_are_errors() {
        assert!(read("name: a\nname: b\n").is_err());
        let error = load::<Config>(Path::new("no/such.yaml"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("no/such.yaml") && error.contains("--config"),
            "{error}"
        );
    }

    #[test]
    fn a_secret_is_not_printed() {
        let config = read("name: a\nauth:\n  accessSecret: very-secret-value\n").unwrap();
        assert!(!format!("{config:?}").contains("very-secret-value"));
        // A secret of another type is a mistake, and no reason to print it.
        for odd in [
            "[very-secret-value]",
            "{very-secret-value: 1}",
            "424242424242",
        ] {
            if let Err(error) = read(&format!("name: a\nauth:\n  accessSecret: {odd}\n")) {
                assert!(!error.contains("very-secret"), "{error}");
                assert!(!error.contains("4242"), "{error}");
            }
        }
    }
}
