//! The first part of a backup: what else is in it.

use std::{
    fs::File,
    io::{self, Read},
    path::{Component, Path},
};

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::digest::{self, SHA256};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The name of the manifest in the file.
pub(super) const MANIFEST: &str = "manifest.json";

/// The format that this program writes, and the only one that it reads.
const FORMAT: &str = "cohort-backup/1";

/// What a backup holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Manifest {
    format: String,
    /// The version of the program that wrote it.
    version: String,
    /// When it was written, by the clock of its machine.
    pub(super) created_at: Timestamp,
    /// Everything but the manifest itself.
    pub(super) parts: Vec<Part>,
}

/// A file of a backup.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Part {
    /// Its path in the data folder.
    pub(super) name: String,
    /// Its size.
    pub(super) bytes: u64,
    /// The SHA-256 of its content, in hexadecimal.
    pub(super) sha256: String,
}

impl Manifest {
    /// The manifest of these files of a folder.
    pub(super) fn of(folder: &Path, names: &[String]) -> io::Result<Self> {
        let part = |name: &String| -> io::Result<Part> {
            let path = folder.join(name);
            Ok(Part {
                name: name.clone(),
                bytes: path.metadata()?.len(),
                sha256: digest(&path)?,
            })
        };
        Ok(Self {
            format: FORMAT.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            created_at: Timestamp::now(),
            parts: names.iter().map(part).collect::<io::Result<_>>()?,
        })
    }

    /// Reads a manifest and refuses one that names anything outside of the data folder.
    pub(super) fn read(text: &[u8]) -> Result<Self> {
        let manifest: Self = serde_json::from_slice(text)
            .with_context(|| format!("its {MANIFEST} cannot be read by this version"))?;
        ensure!(
            manifest.format == FORMAT,
            "its format is {:?}; this version reads {FORMAT:?}",
            manifest.format
        );
        for part in &manifest.parts {
            ensure!(
                is_ours(&part.name),
                "it names {:?}, which is no part of a data folder",
                part.name
            );
        }
        Ok(manifest)
    }

    /// The text of the manifest.
    pub(super) fn to_json(&self) -> io::Result<Vec<u8>> {
        Ok(serde_json::to_vec_pretty(self)?)
    }
}

/// A database at the top, or a file among the keys.
fn is_ours(name: &str) -> bool {
    let plain: Option<Vec<&str>> = Path::new(name)
        .components()
        .map(|component| match component {
            Component::Normal(part) => part.to_str(),
            _ => None,
        })
        .collect();
    match plain.as_deref() {
        Some([file]) => *file == name && file.ends_with(".db"),
        Some(["keys", file]) => name == format!("keys/{file}"),
        _ => false,
    }
}

/// The SHA-256 of a file, in hexadecimal.
pub(super) fn digest(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = digest::Context::new(&SHA256);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            length => digest.update(&buffer[..length]),
        }
    }
    let bytes = digest.finish();
    Ok(bytes
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_a_data_folder_are_taken() {
        for name in ["epro.db", "keys/jwks.json"] {
            assert!(is_ours(name), "{name}");
        }
        for name in [
            "",
            "/etc/passwd",
            "../epro.db",
            "keys/../../x",
            "keys/a/b",
            "epro.db/",
            "./epro.db",
            "lock",
            "keys",
            "keys/",
            "other/epro.db",
        ] {
            assert!(!is_ours(name), "{name}");
        }
    }

    #[test]
    fn a_manifest_of_another_format_is_refused() {
        let text = r#"{"format":"cohort-backup/2","version":"9","createdAt":"2026-01-01T00:00:00Z","parts":[]}"#;
        let problem = Manifest::read(text.as_bytes()).unwrap_err().to_string();
        assert!(problem.contains("cohort-backup/1"), "{problem}");
    }
}
