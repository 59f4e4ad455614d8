//! Golden cases: each folder of `tests/cases` is one contract and what becomes of it.
//!
//! `input.api` (or `input.proto`) is the root, other files in the folder are there to be
//! imported. `expected.txt` is the model in readable form, `stderr.txt` the findings; a case
//! has one of the two. With `UPDATE_EXPECT=1` in the environment the files are rewritten:
//! read the difference before you keep it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod dump;
mod loading;
mod robust;

use std::fs;
use std::path::{Path, PathBuf};

use tenon_idl::{Diagnostic, MemoryLoader};

/// What a case gives: the model as text, or the findings.
type Outcome = Result<String, Vec<Diagnostic>>;

#[test]
fn every_case_gives_what_it_says() {
    let mut failures = Vec::new();
    let cases = case_folders();
    assert!(cases.len() >= 30, "only {} cases were found", cases.len());
    for folder in cases {
        if let Err(difference) = check(&folder) {
            failures.push(difference);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn every_input_says_what_it_is_for() {
    for folder in case_folders() {
        let (root, text) = root_file(&folder);
        let first = text
            .trim_start_matches('\u{feff}')
            .lines()
            .next()
            .unwrap_or("")
            .to_owned();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        // The article's files are kept as they are, and an empty file has no line.
        let exempt = name.starts_with("article") || text.is_empty();
        assert!(
            exempt || first.starts_with("//"),
            "{name}/{root}: the first line is no comment"
        );
    }
}

/// Whatever a file holds, its tokens are its text.
#[test]
fn trees_lose_nothing() {
    for folder in case_folders() {
        for (path, text) in files_below(&folder)
            .into_iter()
            .filter(|(path, _)| path.ends_with(".api"))
        {
            let (tree, _) = tenon_idl::api::parse(&text, &path);
            dump::assert_lossless(&tree, &text);
        }
    }
}

fn check(folder: &Path) -> Result<(), String> {
    let (model_file, findings_file) = (folder.join("expected.txt"), folder.join("stderr.txt"));
    let (good, actual) = match outcome(folder) {
        Ok(model) => (true, model),
        Err(findings) => (
            false,
            findings
                .iter()
                .map(|finding| format!("{finding}\n"))
                .collect(),
        ),
    };
    let (file, other) = if good {
        (model_file, findings_file)
    } else {
        (findings_file, model_file)
    };
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let _ = fs::remove_file(&other);
        fs::write(&file, &actual).unwrap();
        return Ok(());
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    if other.exists() || actual != expected {
        return Err(format!(
            "{}\n--- expected\n{expected}--- actual\n{actual}",
            file.display()
        ));
    }
    Ok(())
}

fn outcome(folder: &Path) -> Outcome {
    let loader = files_below(folder)
        .into_iter()
        .fold(MemoryLoader::new(), |loader, (path, text)| {
            loader.with(&path, text)
        });
    let (root, _) = root_file(folder);
    if root.ends_with(".proto") {
        return tenon_idl::proto::load(&loader, &root, &[]).map(|proto| dump::proto(&proto));
    }
    tenon_idl::api::load(&loader, &root).map(|api| dump::api(&api))
}

fn root_file(folder: &Path) -> (String, String) {
    let name = if folder.join("input.proto").exists() {
        "input.proto"
    } else {
        "input.api"
    };
    (
        name.to_owned(),
        fs::read_to_string(folder.join(name)).unwrap(),
    )
}

fn case_folders() -> Vec<PathBuf> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut folders: Vec<PathBuf> = fs::read_dir(cases)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    folders
}

/// Path inside the folder and text of every contract file.
fn files_below(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(current) = open.pop() {
        for entry in fs::read_dir(current).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "api" || extension == "proto")
            {
                let name = path
                    .strip_prefix(folder)
                    .unwrap()
                    .to_string_lossy()
                    .into_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}
