//! A program or library as it lies in memory: what its addresses belong to.

use std::{ops::Range, path::PathBuf};

/// A program or library in memory.
#[derive(Debug)]
pub(crate) struct Image {
    /// Where its file is; none for what the kernel itself maps.
    pub(crate) file: Option<PathBuf>,
    /// What profiles call it.
    pub(crate) name: String,
    /// What is added to an address of the file to get the one in memory.
    pub(crate) bias: u64,
    /// Its code in memory.
    pub(crate) code: Range<u64>,
    /// Where its code begins in the file.
    pub(crate) code_offset: u64,
    /// The build id in lower-case hex; empty if it has none.
    pub(crate) build_id: String,
}

impl Image {
    /// The last part of its name, for functions of it that have none.
    pub(crate) fn short_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }
}
