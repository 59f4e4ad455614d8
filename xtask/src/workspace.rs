//! The crates of the workspace and what each declares to depend on, from `cargo metadata`.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use serde::Deserialize;

/// One crate of the workspace.
pub(crate) struct Member {
    /// The package name.
    pub name: String,
    /// Its folder from the root, as `tenon/core`.
    pub folder: String,
    /// What its manifest declares.
    pub dependencies: Vec<Dependency>,
}

/// One declared dependency.
pub(crate) struct Dependency {
    /// The package name, also where the manifest renames it.
    pub name: String,
    /// Whether only tests see it.
    pub is_for_tests: bool,
}

/// Asks cargo for the members. Reads manifests only: no network, no build, no lock file.
pub(crate) fn members(root: &Path) -> anyhow::Result<Vec<Member>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(root)
        .output()
        .context("could not start cargo metadata")?;
    if !output.status.success() {
        anyhow::bail!(
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).context("could not read cargo metadata")?;
    metadata
        .packages
        .into_iter()
        .map(|package| package.into_member(root))
        .collect()
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: String,
    dependencies: Vec<Declared>,
}

#[derive(Deserialize)]
struct Declared {
    name: String,
    kind: Option<String>,
}

impl Package {
    fn into_member(self, root: &Path) -> anyhow::Result<Member> {
        let folder = Path::new(&self.manifest_path)
            .parent()
            .and_then(|folder| folder.strip_prefix(root).ok())
            .with_context(|| format!("crate {} lies outside the repository", self.name))?;
        let dependencies = self
            .dependencies
            .into_iter()
            .map(|d| Dependency {
                name: d.name,
                is_for_tests: d.kind.as_deref() == Some("dev"),
            })
            .collect();
        Ok(Member {
            name: self.name,
            folder: folder.to_string_lossy().replace('\\', "/"),
            dependencies,
        })
    }
}
