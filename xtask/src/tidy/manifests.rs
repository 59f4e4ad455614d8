//! Versions and lints are stated once, in the root manifest, and taken over by every crate.

use anyhow::Context as _;
use toml::{Table, Value};

use super::Finding;
use crate::tree::Tree;
use crate::workspace::Member;

/// The one room whose crate may use `unsafe`, and therefore cannot take the lints of the workspace,
/// which forbid it: Cargo knows no way to take all but one.
const UNSAFE_ROOM: &str = "tenon/profile";

const DEPENDENCY_TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

pub(super) fn check(
    tree: &Tree,
    members: &[Member],
    findings: &mut Vec<Finding>,
) -> anyhow::Result<()> {
    for member in members {
        let path = format!("{}/Cargo.toml", member.folder);
        let file = tree
            .get(&path)
            .with_context(|| format!("{path} is missing"))?;
        let manifest: Table =
            toml::from_str(&file.text).with_context(|| format!("could not read {path}"))?;
        if member.folder == UNSAFE_ROOM {
            check_unsafe_room(tree, &path, &manifest, findings)?;
        } else if !takes_from_workspace(manifest.get("lints")) {
            let message = "the crate is not linted; add `[lints]` with `workspace = true`";
            findings.push(Finding::new(&path, 1, message));
        }
        // The generator writes the manifest of a contract, which may stand in any workspace.
        if file.text.starts_with("# @generated") {
            continue;
        }
        for key in ["version", "edition", "rust-version", "license"] {
            let package = manifest.get("package").and_then(Value::as_table);
            if !takes_from_workspace(package.and_then(|package| package.get(key))) {
                let message = format!(
                    "`{key}` is stated once, in the root manifest; write `{key}.workspace = true`"
                );
                findings.push(Finding::new(&path, line_of(&file.text, key), message));
            }
        }
        for (name, _) in dependencies(&manifest)
            .into_iter()
            .filter(|(_, value)| !takes_from_workspace(Some(value)))
        {
            let message = format!(
                "versions are stated once, in the root manifest; write `{name}.workspace = true`"
            );
            findings.push(Finding::new(&path, line_of(&file.text, name), message));
        }
    }
    Ok(())
}

/// The room with `unsafe` has every other lint of the workspace at the same level, and the one that
/// asks for the reason of each `unsafe` block.
fn check_unsafe_room(
    tree: &Tree,
    path: &str,
    manifest: &Table,
    findings: &mut Vec<Finding>,
) -> anyhow::Result<()> {
    let root = tree.get("Cargo.toml").context("Cargo.toml is missing")?;
    let root: Table = toml::from_str(&root.text).context("could not read Cargo.toml")?;
    let shared = root.get("workspace").and_then(|table| table.get("lints"));
    let shared = shared.and_then(Value::as_table).into_iter().flatten();
    let own = |tool: &str, lint: &str| manifest.get("lints")?.get(tool)?.get(lint).cloned();
    for (tool, lints) in shared {
        for (lint, level) in lints.as_table().into_iter().flatten() {
            if lint != "unsafe_code" && own(tool, lint).as_ref() != Some(level) {
                let message = format!(
                    "the lint `{lint}` differs from the workspace; write `{lint} = {level}` below `[lints.{tool}]`"
                );
                findings.push(Finding::new(path, 1, message));
            }
        }
    }
    if own("clippy", "undocumented_unsafe_blocks").is_none() {
        let message =
            "each `unsafe` block states its reason; add `undocumented_unsafe_blocks = \"warn\"`";
        findings.push(Finding::new(path, 1, message));
    }
    Ok(())
}

/// Every dependency of the manifest, also those of one kind of machine only.
fn dependencies(manifest: &Table) -> Vec<(&str, &Value)> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let targets = targets
        .into_iter()
        .flat_map(Table::values)
        .filter_map(Value::as_table);
    let mut found = Vec::new();
    for table in std::iter::once(manifest).chain(targets) {
        for key in DEPENDENCY_TABLES {
            let entries = table
                .get(key)
                .and_then(Value::as_table)
                .into_iter()
                .flatten();
            found.extend(entries.map(|(name, value)| (name.as_str(), value)));
        }
    }
    found
}

fn takes_from_workspace(value: Option<&Value>) -> bool {
    value
        .and_then(|value| value.get("workspace"))
        .and_then(Value::as_bool)
        == Some(true)
}

fn line_of(text: &str, key: &str) -> usize {
    text.lines()
        .position(|line| line.trim_start().starts_with(key))
        .map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::tree;

    const GOOD: &str = "[package]\nname = \"a\"\nversion.workspace = true\nedition.workspace = true\n\
                        rust-version.workspace = true\nlicense.workspace = true\n[lints]\nworkspace = true\n\
                        [dependencies]\nserde.workspace = true\ntokio = { workspace = true, features = [\"rt\"] }\n";

    fn found(manifest: &str) -> Vec<usize> {
        let members = [Member {
            name: "a".to_owned(),
            folder: "a".to_owned(),
            dependencies: Vec::new(),
        }];
        let mut findings = Vec::new();
        check(
            &tree(&[("a/Cargo.toml", manifest)]),
            &members,
            &mut findings,
        )
        .expect("the manifest is readable");
        findings.iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_crate_that_takes_all_from_the_workspace_passes() {
        assert_eq!(found(GOOD), Vec::<usize>::new());
    }

    #[test]
    fn the_unsafe_room_differs_from_the_workspace_in_one_lint() {
        const ROOT: &str =
            "[workspace.lints.rust]\nunsafe_code = \"forbid\"\nmissing_docs = \"warn\"\n";
        const OWN: &str = "[lints.rust]\nunsafe_code = \"allow\"\nmissing_docs = \"warn\"\n\
                           [lints.clippy]\nundocumented_unsafe_blocks = \"warn\"\n";
        let count = |own: &str| {
            let manifest = GOOD.replace("[lints]\nworkspace = true\n", own);
            let members = [Member {
                name: "tenon-profile".to_owned(),
                folder: UNSAFE_ROOM.to_owned(),
                dependencies: Vec::new(),
            }];
            let path = format!("{UNSAFE_ROOM}/Cargo.toml");
            let files = tree(&[("Cargo.toml", ROOT), (&path, &manifest)]);
            let mut findings = Vec::new();
            check(&files, &members, &mut findings).expect("the manifests are readable");
            findings.len()
        };
        assert_eq!(count(OWN), 0);
        assert_eq!(count(&OWN.replace("missing_docs = \"warn\"\n", "")), 1);
        assert_eq!(
            count(&OWN.replace("undocumented_unsafe_blocks = \"warn\"", "")),
            1
        );
    }

    #[test]
    fn versions_of_its_own_and_missing_lints_are_found() {
        assert_eq!(found(&GOOD.replace("[lints]\nworkspace = true\n", "")), [1]);
        assert_eq!(
            found(&GOOD.replace(
                "version.workspace = true\nedition",
                "version = \"2.0.0\"\nedition"
            )),
            [3]
        );
        assert_eq!(
            found(&GOOD.replace("serde.workspace = true", "serde = \"1\"")),
            [10]
        );
        assert_eq!(
            found(&GOOD.replace("workspace = true, features", "version = \"1\", features")),
            [11]
        );
        let other_machine = format!("{GOOD}[target.'cfg(unix)'.dependencies]\nlibc = \"0.2\"\n");
        assert_eq!(found(&other_machine), [13]);
    }
}
