//! Every project of this repository fits its contracts: what `tenon gen` writes is what is
//! checked in.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The folders with a `tenon.toml`, but for build output and the inputs of other tests.
fn projects(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && !["target", "tests"].contains(&name.as_str())
        {
            projects(&path, found);
        } else if name == "tenon.toml" {
            found.push(folder.to_owned());
        }
    }
}

#[test]
fn what_is_checked_in_is_what_the_contracts_ask_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap();
    let mut found = Vec::new();
    projects(&root, &mut found);
    assert!(!found.is_empty(), "no project below {}", root.display());
    for project in found {
        let check = Command::new(env!("CARGO_BIN_EXE_tenon"))
            .args(["gen", "--check"])
            .current_dir(&project)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&check.stderr).into_owned();
        assert!(check.status.success(), "{}: {said}", project.display());
    }
}
