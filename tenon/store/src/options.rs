//! How a [`crate::Db`] is opened.

use std::path::PathBuf;

use tenon_core::config::StoreConfig;

/// Where the data is, and the limits under which it is worked on.
#[derive(Debug, Clone)]
pub struct Options {
    /// The database file; its folder must exist. It is created with mode 0600.
    pub path: PathBuf,
    /// How many writes one commit takes at most; 1 turns group commit off. Default 512.
    pub batch_max: usize,
    /// How many writes may wait, and how many reads; further ones are refused with `OVERLOADED`
    /// before anything is done. Default 4096.
    pub queue_max: usize,
    /// How many threads serve the reads. Default 2.
    pub readers: usize,
    /// The largest size of the data in bytes: a quota. A write that needs more is refused with
    /// `STORE_FULL`. By default the disk is the limit.
    pub max_bytes: Option<u64>,
    /// How large the log of recent commits grows before it is copied into the data file while
    /// writes go on, in bytes; an idle store copies it sooner. Default 64 MiB.
    pub log_bytes: u64,
}

impl Options {
    /// The defaults, for the file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            batch_max: 512,
            queue_max: 4096,
            readers: 2,
            max_bytes: None,
            log_bytes: 64 << 20,
        }
    }
}

impl From<&StoreConfig> for Options {
    fn from(config: &StoreConfig) -> Self {
        Self {
            batch_max: config.batch_max,
            ..Self::new(&config.path)
        }
    }
}
