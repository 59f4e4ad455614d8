//! Gathers the files of an RPC contract before the compiler runs.
//!
//! The compiler wants to own its files and stops at the first broken one; reading them first
//! keeps the loader borrowed and reports the syntax errors of all files.

use std::collections::BTreeMap;

use protox::file::{File, FileResolver, GoogleFileResolver};

use super::{ProtoFile, fault};
use crate::diagnostic::{Diagnostic, LineMap, Span};
use crate::source::{LoadError, SourceLoader, normalise};

pub(super) struct Sources {
    files: Vec<ProtoFile>,
}

impl Sources {
    /// Reads the root and, as far as they are found, all files that it imports.
    ///
    /// A missing import is no error here: the compiler reports it where it stands.
    pub(super) fn collect(
        loader: &dyn SourceLoader,
        root: &str,
        includes: &[&str],
    ) -> Result<Self, Vec<Diagnostic>> {
        let root = normalise(root);
        let (folders, root_name) = folders(&root, includes);
        let text = loader
            .load(&root)
            .map_err(|error| vec![unreadable(&root, &error)])?;
        let mut sources = Self {
            files: vec![ProtoFile {
                name: root_name,
                path: root,
                text,
            }],
        };
        let mut diagnostics = Vec::new();
        let mut next = 0;
        while let Some(file) = sources.files.get(next).cloned() {
            next += 1;
            match File::from_source(&file.name, &file.text) {
                Ok(parsed) => {
                    for import in &parsed.file_descriptor_proto().dependency {
                        if sources.files.iter().any(|known| known.name == *import) {
                            continue;
                        }
                        match find(loader, &folders, import) {
                            Ok(Some(found)) => sources.files.push(found),
                            Ok(None) => {}
                            Err(fault) => diagnostics.push(*fault),
                        }
                    }
                }
                Err(error) => diagnostics.extend(fault::diagnostics(&error, &sources)),
            }
        }
        if diagnostics.is_empty() {
            Ok(sources)
        } else {
            Err(diagnostics)
        }
    }

    pub(super) fn root_name(&self) -> &str {
        self.files.first().map_or("", |file| &file.name)
    }

    pub(super) fn by_name(&self, name: &str) -> Option<&ProtoFile> {
        self.files.iter().find(|file| file.name == name)
    }

    pub(super) fn into_files(self) -> Vec<ProtoFile> {
        self.files
    }

    /// The files for the compiler, with the well-known types behind them.
    pub(super) fn resolver(&self) -> impl FileResolver + 'static {
        Gathered {
            texts: self
                .files
                .iter()
                .map(|file| (file.name.clone(), file.text.clone()))
                .collect(),
        }
    }
}

struct Gathered {
    texts: BTreeMap<String, String>,
}

impl FileResolver for Gathered {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match self.texts.get(name) {
            Some(text) => File::from_source(name, text),
            None => match super::built_in(name) {
                Some(text) => File::from_source(name, text),
                None => GoogleFileResolver::new().open_file(name),
            },
        }
    }
}

/// The folders in which imports are looked up, and the root's name below one of them.
fn folders(root: &str, includes: &[&str]) -> (Vec<String>, String) {
    let mut folders: Vec<String> = includes.iter().map(|include| normalise(include)).collect();
    for folder in &folders {
        let below = if folder.is_empty() {
            Some(root)
        } else {
            root.strip_prefix(&format!("{folder}/"))
        };
        if let Some(name) = below.filter(|name| !name.starts_with("../") && !name.starts_with('/'))
        {
            let name = name.to_owned();
            return (folders, name);
        }
    }
    let (folder, name) = root.rsplit_once('/').unwrap_or(("", root));
    folders.push(folder.to_owned());
    let name = name.to_owned();
    (folders, name)
}

/// The first file of that name in the folders; none if no folder has it.
fn find(
    loader: &dyn SourceLoader,
    folders: &[String],
    name: &str,
) -> Result<Option<ProtoFile>, Box<Diagnostic>> {
    for folder in folders {
        let path = if folder.is_empty() {
            normalise(name)
        } else {
            normalise(&format!("{folder}/{name}"))
        };
        match loader.load(&path) {
            Ok(text) => {
                return Ok(Some(ProtoFile {
                    name: name.to_owned(),
                    path,
                    text,
                }));
            }
            Err(LoadError::NotFound) => {}
            Err(error) => return Err(Box::new(unreadable(&path, &error))),
        }
    }
    Ok(None)
}

fn unreadable(path: &str, error: &LoadError) -> Diagnostic {
    Diagnostic::new(
        path,
        &LineMap::default(),
        Span::default(),
        format!("cannot read `{path}`: {error}"),
    )
}
