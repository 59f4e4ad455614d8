//! Golden cases: a folder each under `cases/`, with contracts and what is generated from them.
//! `UPDATE_EXPECT=1` rewrites the expected files. All outputs are compiled together, with every
//! warning an error, and are as rustfmt would have them.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails the test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use tenon_gen::{Config, Kind, Output, Project, generate};
use tenon_idl::{Diagnostic, LoadError, SourceLoader, api, proto};

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

fn repository() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.ancestors().nth(2).unwrap().to_owned()
}

/// Files below a folder.
struct Folder(PathBuf);

impl SourceLoader for Folder {
    fn load(&self, path: &str) -> Result<String, LoadError> {
        std::fs::read_to_string(self.0.join(path)).map_err(|_| LoadError::NotFound)
    }
}

fn project(case: &Path) -> Project {
    let loader = Folder(case.to_owned());
    let text = std::fs::read_to_string(case.join("tenon.toml")).unwrap();
    let config = Config::parse(&text, "tenon.toml").unwrap();
    let api = config.api.as_ref().map(|path| {
        api::load(&loader, path)
            .unwrap_or_else(|found| panic!("{}: {}", case.display(), told(&found)))
    });
    let includes: Vec<&str> = config.includes.iter().map(String::as_str).collect();
    let proto = config.proto.as_ref().map(|path| {
        proto::load(&loader, path, &includes)
            .unwrap_or_else(|found| panic!("{}: {}", case.display(), told(&found)))
    });
    Project {
        config,
        api,
        proto,
        existing: BTreeSet::new(),
        manifest: None,
        tenon: "../tenon/tenon/tenon".to_owned(),
    }
}

fn told(found: &[Diagnostic]) -> String {
    found.iter().map(|found| format!("{found}\n")).collect()
}

fn all() -> Vec<(String, PathBuf)> {
    let mut found: Vec<(String, PathBuf)> = std::fs::read_dir(cases())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .collect();
    found.sort();
    assert!(found.len() >= 6);
    found
}

fn output(case: &Path) -> Output {
    generate(&project(case)).unwrap_or_else(|found| panic!("{}: {}", case.display(), told(&found)))
}

#[test]
fn outputs_are_as_expected() {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut differences = Vec::new();
    for (name, case) in all() {
        let expected = case.join("expected");
        let output = output(&case);
        if update {
            let _ = std::fs::remove_dir_all(&expected);
            write(&output, &expected);
            continue;
        }
        let mut left = read_tree(&expected);
        for file in &output.files {
            match left.remove(&file.path) {
                Some(text) if text == file.text => {}
                Some(_) => differences.push(format!("{name}: {} differs", file.path)),
                None => differences.push(format!("{name}: {} is new", file.path)),
            }
        }
        differences.extend(left.keys().map(|path| format!("{name}: {path} is gone")));
    }
    assert!(
        differences.is_empty(),
        "run with UPDATE_EXPECT=1 and look at the difference:\n{}",
        differences.join("\n")
    );
}

fn write(output: &Output, folder: &Path) {
    for file in &output.files {
        let path = folder.join(&file.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        // A file that did not change keeps its time, so that nothing is compiled again.
        if std::fs::read_to_string(&path).ok().as_ref() != Some(&file.text) {
            std::fs::write(path, &file.text).unwrap();
        }
    }
}

fn read_tree(folder: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
                files.insert(name.to_owned(), std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    files
}

#[test]
fn a_second_run_changes_nothing() {
    for (name, case) in all() {
        let first = output(&case);
        let disk: BTreeMap<String, String> = first
            .files
            .iter()
            .map(|file| (file.path.clone(), file.text.clone()))
            .collect();
        let again = Project {
            existing: disk.keys().cloned().collect(),
            manifest: disk.get(tenon_gen::MANIFEST).cloned(),
            ..project(&case)
        };
        let second = generate(&again).unwrap();
        assert_eq!(second.changes(|path| disk.get(path).cloned()), [], "{name}");
        assert_eq!(second.orphans, [], "{name}");
        assert_eq!(second.files, first.files, "{name}");
    }
}

#[test]
fn files_that_a_person_owns_are_never_touched() {
    for (name, case) in all() {
        let output = output(&case);
        let mut disk: BTreeMap<String, String> = BTreeMap::new();
        for file in &output.files {
            let text = match file.kind {
                Kind::Owned => format!("{}\n// changed", file.text),
                Kind::Scaffold => "mine".to_owned(),
            };
            // The manifest itself must stay readable.
            let manifest = file.path == tenon_gen::MANIFEST;
            disk.insert(
                file.path.clone(),
                if manifest { file.text.clone() } else { text },
            );
        }
        for change in output.changes(|path| disk.get(path).cloned()) {
            let tenon_gen::Change::Update(file) = change else {
                panic!("{name}: {change:?}");
            };
            assert_eq!(file.kind, Kind::Owned, "{name}: {}", file.path);
        }
    }
}

#[test]
fn outputs_are_as_rustfmt_would_have_them() {
    let folder = scratch("format");
    let mut files = Vec::new();
    for (name, case) in all() {
        for file in output(&case)
            .files
            .iter()
            .filter(|file| file.path.ends_with(".rs"))
        {
            // One flat folder, without the lists of modules: each file is checked alone.
            if !file.text.lines().any(is_module) {
                let path = folder.join(format!("{name}--{}", file.path.replace('/', "--")));
                std::fs::write(&path, &file.text).unwrap();
                files.push(path);
            }
        }
    }
    let mut command = Command::new("rustfmt");
    command.args([
        "--check",
        "--edition",
        "2024",
        "--config",
        "style_edition=2024",
    ]);
    let run = command
        .args(&files)
        .output()
        .expect("rustfmt is part of the toolchain");
    assert!(
        run.status.success(),
        "{}{}",
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr)
    );
}

fn is_module(line: &str) -> bool {
    (line.starts_with("pub mod ") || line.starts_with("mod ")) && line.ends_with(';')
}

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn outputs_compile_without_warnings() {
    let folder = scratch("cases");
    let mut members = Vec::new();
    for (name, case) in all() {
        let mut project = project(&case);
        let standalone = std::mem::replace(&mut project.config.standalone, false);
        let mut output = generate(&project).unwrap();
        if standalone {
            // Everything of a standalone project but its manifest, which is a workspace root.
            project.config.standalone = true;
            let all = generate(&project).unwrap().files;
            output
                .files
                .extend(all.into_iter().filter(|file| file.path == "src/main.rs"));
        }
        // What an earlier run left is gone, or modules of old cases would still be compiled.
        let expected: BTreeSet<PathBuf> = output
            .files
            .iter()
            .map(|file| folder.join(&name).join(&file.path))
            .collect();
        for old in read_tree(&folder.join(&name)).keys() {
            let old = folder.join(&name).join(old);
            if !expected.contains(&old) {
                std::fs::remove_file(old).unwrap();
            }
        }
        write(&output, &folder.join(&name));
        members.push(format!("\"{name}\", \"{name}/contract\""));
    }
    let root = repository();
    let manifest = format!(
        "[workspace]\nresolver = \"3\"\nmembers = [{}]\n\n[workspace.dependencies]\n\
         tenon = {{ path = \"{}\" }}\n\n{}{}",
        members.join(", "),
        root.join("tenon/tenon").display(),
        lints(&root),
        profiles(&root)
    );
    std::fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    std::fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    std::fs::copy(root.join("clippy.toml"), folder.join("clippy.toml")).unwrap();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let run = Command::new(env!("CARGO"))
        .args([
            "clippy",
            "--offline",
            "--workspace",
            "--quiet",
            "--target-dir",
        ])
        .arg(target)
        .current_dir(&folder)
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && !told.contains("warning"), "{told}");
}

/// The profiles of this repository: with others nothing that was built for it would be of use, and
/// build scripts would compile SQLite and the cryptography again.
fn profiles(root: &Path) -> String {
    let text = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let start = text.find("[profile").unwrap();
    assert!(
        !text[start..].contains("\n[workspace"),
        "profiles stand last"
    );
    text[start..].to_owned()
}

/// The lints of this repository, each an error.
fn lints(root: &Path) -> String {
    let text = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let start = text.find("[workspace.lints.rust]").unwrap();
    let length = text[start..].find("[profile").unwrap();
    text[start..start + length].replace("\"warn\"", "\"deny\"")
}
