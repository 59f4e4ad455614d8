//! How contract text comes in: the crate opens no files, it asks a [`SourceLoader`].

use std::collections::BTreeMap;
use std::fmt;

/// Gives the text of contract files.
///
/// Paths use `/`, are normalised (no `.` segments, `..` only at the front) and are relative to
/// whatever the loader takes as its root.
pub trait SourceLoader {
    /// The text of the file at `path`.
    ///
    /// # Errors
    /// [`LoadError`] says why there is none; it becomes a diagnostic at the import.
    fn load(&self, path: &str) -> Result<String, LoadError>;
}

/// Why a file could not be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadError {
    /// There is no such file.
    NotFound,
    /// The bytes are not UTF-8.
    NotUtf8,
    /// Anything else, in words (lower case, no final stop).
    Unreadable(String),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::NotFound => f.write_str("there is no such file"),
            LoadError::NotUtf8 => f.write_str("the file is not UTF-8 text"),
            LoadError::Unreadable(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for LoadError {}

/// Files in memory: for tests, editors and generated input.
#[derive(Debug, Clone, Default)]
pub struct MemoryLoader {
    files: BTreeMap<String, String>,
}

impl MemoryLoader {
    /// No files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same files and one more; a file of the same path is replaced.
    #[must_use]
    pub fn with(mut self, path: &str, text: impl Into<String>) -> Self {
        self.files.insert(normalise(path), text.into());
        self
    }
}

impl SourceLoader for MemoryLoader {
    fn load(&self, path: &str) -> Result<String, LoadError> {
        self.files.get(path).cloned().ok_or(LoadError::NotFound)
    }
}

/// `path` without `.` segments, empty segments and inner `..`; an absolute path stays so.
#[must_use]
pub fn normalise(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." if segments.last().is_some_and(|last| *last != "..") => {
                segments.pop();
            }
            ".." if path.starts_with('/') => {}
            other => segments.push(other),
        }
    }
    let joined = segments.join("/");
    if path.starts_with('/') {
        format!("/{joined}")
    } else {
        joined
    }
}

/// The path that an import of `import` in the file `importer` means.
#[must_use]
pub fn resolve(importer: &str, import: &str) -> String {
    if import.starts_with('/') {
        return normalise(import);
    }
    match importer.rsplit_once('/') {
        Some((folder, _)) => normalise(&format!("{folder}/{import}")),
        None => normalise(import),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_relative_to_the_importing_file() {
        assert_eq!(resolve("a/b.api", "c.api"), "a/c.api");
        assert_eq!(resolve("a/b.api", "./c/../d.api"), "a/d.api");
        assert_eq!(resolve("a/b.api", "../../c.api"), "../c.api");
        assert_eq!(resolve("b.api", "../c.api"), "../c.api");
        assert_eq!(resolve("/x/b.api", "../../../c.api"), "/c.api");
        assert_eq!(resolve("x/b.api", "/c.api"), "/c.api");
    }
}
