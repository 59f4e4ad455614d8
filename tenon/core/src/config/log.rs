//! The section `log`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::at_least_one;

/// The section `log`. `level` and `repeatsMax` may change while the process runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LogConfig {
    /// The lowest level that is written. Default `info`.
    pub level: LogLevel,
    /// How lines are written. Default `json`.
    pub format: LogFormat,
    /// How many lines one place in the code may write in a second; further ones are counted and
    /// not written. 0 writes all. The access log and the security log are never thinned.
    /// Default 100.
    pub repeats_max: u32,
    /// Writes to this file instead of standard error.
    pub file: Option<LogFileConfig>,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: LogLevel::default(),
            format: LogFormat::default(),
            // More of one kind in a second tells an operator nothing new.
            repeats_max: 100,
            file: None,
        }
    }
}

/// A log file, and when the next one begins.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogFileConfig {
    /// The file that is written; its folder must exist. Earlier ones stand beside it, with the
    /// time at which they ended in their names.
    pub path: PathBuf,
    /// A file of this size is ended, in bytes. Default 100 MiB.
    #[serde(default = "file_bytes", deserialize_with = "at_least_one")]
    pub max_bytes: usize,
    /// Ends the file at the end of each day, in UTC. Default true.
    #[serde(default = "yes")]
    pub daily: bool,
    /// How many ended files are kept. Default 7.
    #[serde(default = "kept_files")]
    pub keep: usize,
    /// Compresses ended files. Default true.
    #[serde(default = "yes")]
    pub gzip: bool,
}

const fn file_bytes() -> usize {
    100 << 20
}

const fn yes() -> bool {
    true
}

const fn kept_files() -> usize {
    7
}

/// The level of a log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
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
