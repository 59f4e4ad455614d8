//! The configuration loader, and the sections that every service has.
//!
//! One YAML file, read strictly: a missing file, an unknown key, a duplicate key or a value of
//! another type is an error with its line and the nearest valid key. No key is read and ignored.

mod auth;
mod calls;
mod clients;
mod doors;
pub mod duration;
mod failures;
mod gateway;
mod log;
mod profiling;
mod registration;
mod resilience;
mod sizes;
mod sources;
mod store;
mod tls;
mod traces;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};

pub use auth::{AuthConfig, KeyConfig};
pub use calls::{BalancerConfig, MethodTimeouts, RetryBudgetConfig, RetryConfig};
pub use clients::{ClientConfig, ClientsConfig, Source};
pub use doors::{AdminAuth, AdminConfig, Reflection, RestConfig, RpcConfig};
pub use failures::FailureCode;
pub use gateway::{
    GatewayConfig, HeaderRulesConfig, HeadersConfig, MappingConfig, RouteConfig, TranscodeConfig,
    UpstreamConfig,
};
pub use log::{LogConfig, LogFileConfig, LogFormat, LogLevel};
pub use profiling::{HeapProfiling, ProfilingConfig};
pub use registration::RegistrationConfig;
pub use resilience::{Guards, RateLimitBy, RateLimitConfig, SharedLimitsConfig, SheddingConfig};
pub use sizes::{JSON_DEPTH_MAX, Sizes};
pub use sources::{DnsConfig, EtcdConfig, KubernetesConfig, PortName};
pub use store::StoreConfig;
pub use tls::{ClientAuth, ClientTlsConfig, Plaintext, ServerTlsConfig};
pub use traces::TracesConfig;

/// Loads the file as `T`, usually a struct with the sections of this module and its own keys.
///
/// # Errors
/// The file is missing, is not YAML, or does not fit `T`.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    parse(&read(path)?, path)
}

/// The text of the file.
///
/// # Errors
/// The file is missing or no text.
pub fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|cause| ConfigError {
        path: path.to_owned(),
        problem: format!("the file could not be read: {cause}; pass its path with --config"),
    })
}

/// Reads `text` as `T`; `path` is for the error text only.
///
/// # Errors
/// The text is not YAML or does not fit `T`.
pub fn parse<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T, ConfigError> {
    serde_saphyr::from_str(text).map_err(|cause| {
        // A snippet of the file could show a secret that stands beside the problem.
        let problem = cause.without_snippet().to_string();
        let problem = match text.trim_start() {
            "" => EMPTY.to_owned(),
            _ => with_nearest_key(&problem.replace(FOR_PROGRAMMERS, "")),
        };
        ConfigError::new(path, problem)
    })
}

/// Said of a file that holds nothing, where keys are needed: it was cut off, or never written.
const EMPTY: &str = "the file is empty; expected the keys of the service";

/// What the YAML library advises in its error on a key that stands twice: to the author of a
/// program, and to nobody who wrote a file.
const FOR_PROGRAMMERS: &str = ", set DuplicateKeyPolicy in Options if acceptable";

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

    /// A problem of a section, told with the file that the section stands in.
    #[must_use]
    pub fn within(self, file: impl Into<PathBuf>) -> Self {
        Self {
            path: file.into(),
            problem: format!("{}: {}", self.path.display(), self.problem),
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
    let valid = valid
        .split(", ")
        .map(|key| key.trim_matches(|c: char| !c.is_alphanumeric()));
    nearest(unknown, valid).map_or_else(
        || problem.to_owned(),
        |near| format!("{problem}; the nearest valid key is `{near}`"),
    )
}

/// What the writer of `unknown` meant: the nearest of the valid names, by the letters that differ.
pub fn nearest<'a>(unknown: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    valid
        .into_iter()
        .min_by_key(|name| strsim::damerau_levenshtein(name, unknown))
}

/// A number of things of which there must be one at least.
fn at_least_one<'de, D: serde::Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    let number = usize::deserialize(from)?;
    if number == 0 {
        return Err(serde::de::Error::custom("expected at least 1"));
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
            ("maxUriBytes: 63", "expected 64 to 65534"),
            ("maxUriBytes: 65535", "expected 64 to 65534"),
            ("maxHeadBytes: 1023", "expected 1024 to 1048576"),
            ("maxHeadBytes: 1048577", "expected 1024 to 1048576"),
            ("maxJsonDepth: 0", "maxJsonDepth is 0; expected 1 to 127"),
            ("maxJsonDepth: 128", "expected 1 to 127"),
        ] {
            let error = read(&format!("name: x\nrest:\n  {key}\n")).unwrap_err();
            assert!(error.contains(expected), "{key}: {error}");
        }
        assert!(read("name: x\nrest:\n  grace: 0s\n").is_ok());
        let sizes = |keys| {
            let config = read(&format!("name: x\nrest: {{{keys}}}\n")).unwrap();
            config.rest.guards().sizes.check()
        };
        assert_eq!(sizes("maxUriBytes: 65534, maxHeadBytes: 1048576"), Ok(()));
        assert_eq!(sizes("maxUriBytes: 64, maxHeadBytes: 1024"), Ok(()));
        let larger = sizes("maxHeadBytes: 8191").unwrap_err();
        assert!(larger.contains("maxUriBytes is 8192"), "{larger}");
        assert!(sizes("maxBytes: 0").is_err());
    }

    #[test]
    fn duplicate_keys_and_missing_files_are_errors() {
        let twice = read("name: a\nname: b\n").unwrap_err();
        assert!(
            twice.ends_with("duplicate mapping key: name at line 2, column 1"),
            "{twice}"
        );
        let error = load::<Config>(Path::new("no/such.yaml"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("no/such.yaml") && error.contains("--config"),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_was_cut_off_is_called_empty() {
        for text in ["", "\n  \n"] {
            let error = read(text).unwrap_err();
            assert!(
                error.contains("etc/patient.yaml: the file is empty"),
                "{error}"
            );
        }
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
