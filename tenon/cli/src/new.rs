//! `tenon api new` and `tenon rpc new`: a folder with a first contract, generated.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use crate::{contract, report::tell};

/// A new REST service.
pub(crate) fn api(name: &str, dir: Option<PathBuf>, tenon: Option<&Path>) -> anyhow::Result<bool> {
    let dir = dir.unwrap_or_else(|| PathBuf::from(name));
    let file = start(
        name,
        &dir,
        &format!("{name}.api"),
        include_str!("new/first.api"),
    )?;
    Ok(contract::api(&file, &dir, tenon)? && next(&dir, "src/logic/greet.rs"))
}

/// A new RPC service.
pub(crate) fn rpc(name: &str, dir: Option<PathBuf>, tenon: Option<&Path>) -> anyhow::Result<bool> {
    let dir = dir.unwrap_or_else(|| PathBuf::from(name));
    let file = start(
        name,
        &dir,
        &format!("{name}.proto"),
        include_str!("new/first.proto"),
    )?;
    Ok(contract::rpc(&file, &[], &dir, tenon)? && next(&dir, "src/logic/greet.rs"))
}

/// Writes the first contract into a folder that is new or empty.
fn start(name: &str, dir: &Path, file: &str, template: &str) -> anyhow::Result<PathBuf> {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if !plain {
        bail!("`{name}` cannot be the name of a service; use lower-case letters and digits");
    }
    let taken = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    if taken {
        bail!(
            "{} is not empty; choose another folder with --dir",
            dir.display()
        );
    }
    fs::create_dir_all(dir).with_context(|| format!("could not create {}", dir.display()))?;
    let title = name[..1].to_uppercase() + &name[1..];
    let text = template.replace("NAME", name).replace("TITLE", &title);
    let place = dir.join(file);
    fs::write(&place, text).with_context(|| format!("could not write {}", place.display()))?;
    tell(&format!("created {}", place.display()));
    Ok(place)
}

/// Says what to do next.
fn next(dir: &Path, logic: &str) -> bool {
    let logic = dir.join(logic);
    tell(&format!(
        "next: fill in {}, then `cd {} && cargo run`",
        logic.display(),
        dir.display()
    ));
    true
}
