//! Reading and writing below one folder.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context as _, bail};
use tenon_idl::{LoadError, SourceLoader};

/// The folder of a project, as the generator sees it: paths relative to it, with `/`.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Where a file of the folder is.
    pub(crate) fn place(&self, path: &str) -> PathBuf {
        let below: PathBuf = path.split('/').collect();
        if self.root == Path::new(".") {
            below
        } else {
            self.root.join(below)
        }
    }

    /// The text of a file; none when it does not exist.
    pub(crate) fn read(&self, path: &str) -> anyhow::Result<Option<String>> {
        let place = self.place(path);
        match fs::read_to_string(&place) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("could not read {}", place.display())),
        }
    }

    /// Writes a file whole or not at all: a generator that is interrupted leaves no half files.
    pub(crate) fn write(&self, path: &str, text: &str) -> anyhow::Result<()> {
        let place = self.place(path);
        let attempt = || {
            if let Some(folder) = place.parent() {
                fs::create_dir_all(folder)?;
            }
            let mut fresh = place.clone().into_os_string();
            fresh.push(".tenon-new");
            fs::write(&fresh, text)?;
            fs::rename(&fresh, &place)
        };
        attempt().with_context(|| format!("could not write {}", place.display()))
    }

    /// Deletes a file.
    pub(crate) fn delete(&self, path: &str) -> anyhow::Result<()> {
        let place = self.place(path);
        fs::remove_file(&place).with_context(|| format!("could not delete {}", place.display()))
    }

    /// The files below `src/`.
    pub(crate) fn sources(&self) -> anyhow::Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        let mut folders = vec!["src".to_owned()];
        while let Some(folder) = folders.pop() {
            let place = self.place(&folder);
            let entries = match fs::read_dir(&place) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("could not list {}", place.display()));
                }
            };
            for entry in entries {
                let entry = entry.with_context(|| format!("could not list {}", place.display()))?;
                let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(path);
                } else {
                    found.insert(path);
                }
            }
        }
        Ok(found)
    }
}

impl SourceLoader for Folder {
    fn load(&self, path: &str) -> Result<String, LoadError> {
        let bytes = fs::read(self.place(path)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => LoadError::NotFound,
            _ => LoadError::Unreadable(error.to_string()),
        })?;
        String::from_utf8(bytes).map_err(|_| LoadError::NotUtf8)
    }
}

/// `path` as seen from the folder `from`, with `/`. Both must exist.
pub(crate) fn relative(path: &Path, from: &Path) -> anyhow::Result<String> {
    let path = absolute(path)?;
    let from = absolute(from)?;
    let shared = path
        .components()
        .zip(from.components())
        .take_while(|(a, b)| a == b)
        .count();
    let up = from.components().skip(shared).map(|_| "..".to_owned());
    let mut parts: Vec<String> = up.collect();
    for component in path.components().skip(shared) {
        match component {
            Component::Normal(part) => match part.to_str() {
                Some(part) => parts.push(part.to_owned()),
                None => bail!("{} has a name that is not UTF-8; rename it", path.display()),
            },
            _ => bail!(
                "{} and {} share no root; copy one",
                path.display(),
                from.display()
            ),
        }
    }
    Ok(if parts.is_empty() {
        ".".to_owned()
    } else {
        parts.join("/")
    })
}

/// The path without links and `..`.
pub(crate) fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    path.canonicalize()
        .with_context(|| format!("could not find {}", path.display()))
}
