//! `tenon gen`: from `tenon.toml` and the contracts to the files on disk.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use tenon_gen::{Change, Config, MANIFEST, Output, Project};
use tenon_idl::{Diagnostic, api, proto};

use crate::{
    disk::{self, Folder},
    report::{self, tell},
};

/// Where the description of a project is.
pub(crate) const CONFIG: &str = "tenon.toml";

/// Brings the files below `dir` in line with its contracts, or with `check` only says whether
/// they are.
pub(crate) fn project(dir: &Path, check: bool, tenon: Option<&Path>) -> anyhow::Result<bool> {
    let folder = Folder::new(dir);
    let Some(text) = folder.read(CONFIG)? else {
        bail!(
            "there is no {}; run `tenon api rust --api FILE --dir {1}` or `tenon rpc rust --proto FILE --dir {1}` first",
            folder.place(CONFIG).display(),
            dir.display()
        );
    };
    let output = match load(&folder, dir, &text, tenon)? {
        Ok(output) => output,
        Err(findings) => {
            report::findings(&folder, &findings);
            return Ok(false);
        }
    };
    report::warnings(&folder, &output.warnings);
    let changes = changes(&folder, &output)?;
    for orphan in &output.orphans {
        let place = folder.place(&orphan.path);
        let moved = orphan
            .moved_to
            .as_ref()
            .map(|to| format!("; its operation is now {to}"));
        tell(&format!(
            "orphan  {}: no contract asks for it{}; delete it when you no longer need it",
            place.display(),
            moved.unwrap_or_default()
        ));
    }
    if check {
        Ok(drift(&folder, &changes))
    } else {
        apply(&folder, &changes)
    }
}

/// Generates in memory.
fn load(
    folder: &Folder,
    dir: &Path,
    text: &str,
    tenon: Option<&Path>,
) -> anyhow::Result<Result<Output, Vec<Diagnostic>>> {
    let config = match Config::parse(text, CONFIG) {
        Ok(config) => config,
        Err(findings) => return Ok(Err(findings)),
    };
    let mut findings = Vec::new();
    let rest = config.api.as_deref().map(|path| api::load(folder, path));
    let rest = rest.and_then(|loaded| loaded.map_err(|found| findings.extend(found)).ok());
    let includes: Vec<&str> = config.includes.iter().map(String::as_str).collect();
    let rpc = config
        .proto
        .as_deref()
        .map(|path| proto::load(folder, path, &includes));
    let rpc = rpc.and_then(|loaded| loaded.map_err(|found| findings.extend(found)).ok());
    if !findings.is_empty() {
        return Ok(Err(findings));
    }
    let project = Project {
        tenon: if config.standalone {
            checkout(dir, tenon)?
        } else {
            String::new()
        },
        config,
        api: rest,
        proto: rpc,
        existing: folder.sources()?,
        manifest: folder.read(MANIFEST)?,
    };
    Ok(tenon_gen::generate(&project))
}

/// The checkout of Tenon that a standalone project depends on, as seen from its folder.
fn checkout(dir: &Path, given: Option<&Path>) -> anyhow::Result<String> {
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let place: PathBuf = given.map_or(built_from, Path::to_owned);
    let place = disk::absolute(&place).with_context(
        || "the checkout that this tenon was built from is gone; pass another with --tenon PATH",
    )?;
    if !place.join("tenon/tenon/Cargo.toml").is_file() {
        bail!(
            "{} is no checkout of Tenon; expected tenon/tenon in it",
            place.display()
        );
    }
    let facade = place.join("tenon/tenon");
    // Inside the checkout a relative path survives a move of the whole.
    if disk::absolute(dir)?.starts_with(&place) {
        return disk::relative(&facade, dir);
    }
    match facade.to_str() {
        Some(facade) => Ok(facade.to_owned()),
        None => bail!("{} is not UTF-8; move the checkout", place.display()),
    }
}

fn changes(folder: &Folder, output: &Output) -> anyhow::Result<Vec<Change>> {
    let problem = RefCell::new(None);
    let changes = output.changes(|path| match folder.read(path) {
        Ok(text) => text,
        Err(error) => {
            problem.borrow_mut().get_or_insert(error);
            // Never taken for missing: the command fails below.
            Some(String::new())
        }
    });
    problem.into_inner().map_or(Ok(changes), Err)
}

fn drift(folder: &Folder, changes: &[Change]) -> bool {
    for change in changes {
        let (what, path) = match change {
            Change::Create(file) => ("missing", &file.path),
            Change::Update(file) => ("differs", &file.path),
            Change::Delete(path) => ("is no longer generated", path),
            Change::Refuse(path) => ("stands where a generated file belongs", path),
        };
        report::tell_error(&format!("{}: {what}", folder.place(path).display()));
    }
    if !changes.is_empty() {
        report::tell_error("the files do not fit their contracts; run `tenon gen`");
    }
    changes.is_empty()
}

fn apply(folder: &Folder, changes: &[Change]) -> anyhow::Result<bool> {
    let refused: Vec<&String> = changes
        .iter()
        .filter_map(|change| {
            if let Change::Refuse(path) = change {
                Some(path)
            } else {
                None
            }
        })
        .collect();
    if !refused.is_empty() {
        for path in refused {
            let place = folder.place(path);
            report::tell_error(&format!(
                "{}: written by a person, and a generated file belongs there; move it away",
                place.display()
            ));
        }
        report::tell_error("nothing was written");
        return Ok(false);
    }
    // The manifest comes last: an interrupted run is then simply run again.
    let (manifest, files): (Vec<_>, Vec<_>) = changes.iter().partition(
        |change| matches!(change, Change::Create(file) | Change::Update(file) if file.path == MANIFEST),
    );
    for change in files.into_iter().chain(manifest) {
        let (what, path) = match change {
            Change::Create(file) => {
                folder.write(&file.path, &file.text)?;
                ("created", &file.path)
            }
            Change::Update(file) => {
                folder.write(&file.path, &file.text)?;
                ("updated", &file.path)
            }
            Change::Delete(path) => {
                folder.delete(path)?;
                ("deleted", path)
            }
            Change::Refuse(_) => continue,
        };
        tell(&format!("{what} {}", folder.place(path).display()));
    }
    Ok(true)
}
