//! The direction of dependency, held against `layers.toml` at the root.
//!
//! A layer is a set of folders with the layers that it may use; a border says under which
//! folders an outside crate may appear. Each rule carries its reason, and the reason is part
//! of the finding.

use anyhow::Context as _;
use serde::Deserialize;

use super::Finding;
use crate::tree::Tree;
use crate::workspace::Member;

const FILE: &str = "layers.toml";

pub(super) fn check(
    tree: &Tree,
    members: &[Member],
    findings: &mut Vec<Finding>,
) -> anyhow::Result<()> {
    let file = tree
        .get(FILE)
        .with_context(|| format!("{FILE} is missing at the root"))?;
    let rules: Rules =
        toml::from_str(&file.text).with_context(|| format!("could not read {FILE}"))?;
    rules.check_themselves(findings);
    for member in members {
        let at = Manifest { member, tree };
        match rules.layer_of(&member.folder) {
            Some(layer) => rules.check_direction(&at, layer, members, findings),
            None => findings.push(at.finding(
                &member.name,
                format!(
                    "crate {} stands in no layer; add its folder to a layer of {FILE}",
                    member.name
                ),
            )),
        }
        rules.check_borders(&at, findings);
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    tests_may_use: Vec<String>,
    layer: Vec<Layer>,
    border: Vec<Border>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Layer {
    name: String,
    folders: Vec<String>,
    may_use: Vec<String>,
    #[serde(default)]
    tests_may_use: Vec<String>,
    note: String,
}

/// Where outside crates may appear: under `only_in`, or everywhere but `not_in`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Border {
    crates: Vec<String>,
    #[serde(default)]
    only_in: Vec<String>,
    #[serde(default)]
    not_in: Vec<String>,
    note: String,
}

impl Rules {
    fn layer_of(&self, folder: &str) -> Option<&Layer> {
        self.layer
            .iter()
            .find(|layer| is_under(&layer.folders, folder))
    }

    /// A rule without a reason, or one that names a layer that is not there, helps nobody.
    fn check_themselves(&self, findings: &mut Vec<Finding>) {
        let mut wrong = |message: String| findings.push(Finding::new(FILE, 1, message));
        let unknown = |name: &&String| !self.layer.iter().any(|layer| layer.name == **name);
        for layer in &self.layer {
            let uses = layer
                .may_use
                .iter()
                .chain(&layer.tests_may_use)
                .chain(&self.tests_may_use);
            for name in uses.filter(unknown) {
                wrong(format!(
                    "layer {} uses `{name}`, which is no layer; name one of this file",
                    layer.name
                ));
            }
            if layer.note.trim().is_empty() {
                wrong(format!(
                    "layer {} gives no reason; write its note",
                    layer.name
                ));
            }
        }
        for border in &self.border {
            let names = border.crates.join(", ");
            if border.note.trim().is_empty() {
                wrong(format!(
                    "the border of {names} gives no reason; write its note"
                ));
            }
            if border.only_in.is_empty() == border.not_in.is_empty() {
                wrong(format!(
                    "the border of {names} needs either only_in or not_in"
                ));
            }
        }
    }

    fn check_direction(
        &self,
        at: &Manifest<'_>,
        layer: &Layer,
        members: &[Member],
        findings: &mut Vec<Finding>,
    ) {
        for dependency in &at.member.dependencies {
            let Some(target) = members.iter().find(|member| member.name == dependency.name) else {
                continue;
            };
            let Some(used) = self.layer_of(&target.folder) else {
                continue;
            };
            let for_tests = dependency.is_for_tests
                && (self.tests_may_use.contains(&used.name)
                    || layer.tests_may_use.contains(&used.name)
                    || target.name == at.member.name);
            if !for_tests && !layer.may_use.contains(&used.name) {
                let message = format!(
                    "{} (layer {}) may not use {} (layer {}): {}",
                    at.member.name, layer.name, target.name, used.name, layer.note
                );
                findings.push(at.finding(&dependency.name, message));
            }
        }
    }

    /// Borders hold for what is shipped: a test may come through any door.
    fn check_borders(&self, at: &Manifest<'_>, findings: &mut Vec<Finding>) {
        for dependency in at
            .member
            .dependencies
            .iter()
            .filter(|dependency| !dependency.is_for_tests)
        {
            for border in self
                .border
                .iter()
                .filter(|border| border.crates.contains(&dependency.name))
            {
                let folder = &at.member.folder;
                let allowed = if border.only_in.is_empty() {
                    !is_under(&border.not_in, folder)
                } else {
                    is_under(&border.only_in, folder)
                };
                if !allowed {
                    let message = format!(
                        "{} may not use {}: {}",
                        at.member.name, dependency.name, border.note
                    );
                    findings.push(at.finding(&dependency.name, message));
                }
            }
        }
    }
}

/// A crate with its manifest's text, to point at the line of a dependency.
struct Manifest<'a> {
    member: &'a Member,
    tree: &'a Tree,
}

impl Manifest<'_> {
    fn finding(&self, dependency: &str, message: String) -> Finding {
        let path = format!("{}/Cargo.toml", self.member.folder);
        let names_it = |line: &str| {
            let rest = line.trim_start().strip_prefix(dependency);
            rest.is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
        };
        let text = self.tree.get(&path).map_or("", |file| file.text.as_str());
        let line = text.lines().position(names_it).map_or(1, |index| index + 1);
        Finding::new(&path, line, message)
    }
}

/// Whether `folder` is one of `patterns`, in which `*` stands for one whole folder name.
fn is_under(patterns: &[String], folder: &str) -> bool {
    let parts: Vec<&str> = folder.split('/').collect();
    patterns.iter().any(|pattern| {
        let wanted: Vec<&str> = pattern.split('/').collect();
        wanted.len() == parts.len()
            && wanted
                .iter()
                .zip(&parts)
                .all(|(want, part)| *want == "*" || want == part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::tree;
    use crate::workspace::Dependency;

    const RULES: &str = r#"
        tests_may_use = ["kit"]
        [[layer]]
        name = "core"
        folders = ["tenon/core"]
        may_use = []
        note = "everything stands on it"
        [[layer]]
        name = "service"
        folders = ["services/*"]
        may_use = ["core"]
        note = "services know contracts, not each other"
        [[layer]]
        name = "kit"
        folders = ["tenon/test"]
        may_use = ["core"]
        note = "for tests"
        [[border]]
        crates = ["rusqlite"]
        only_in = ["tenon/core"]
        note = "SQL stays in one room"
        [[border]]
        crates = ["tokio"]
        not_in = ["services/*"]
        note = "pure"
    "#;

    fn member(name: &str, folder: &str, dependencies: &[(&str, bool)]) -> Member {
        let dependency = |(name, is_for_tests): &(&str, bool)| Dependency {
            name: (*name).to_owned(),
            is_for_tests: *is_for_tests,
        };
        let dependencies = dependencies.iter().map(dependency).collect();
        Member {
            name: name.to_owned(),
            folder: folder.to_owned(),
            dependencies,
        }
    }

    fn found(rules: &str, members: &[Member]) -> Vec<String> {
        let manifest = "[dependencies]\ncore.workspace = true\npatient = { workspace = true }\n";
        let files = tree(&[(FILE, rules), ("services/epro/Cargo.toml", manifest)]);
        let mut findings = Vec::new();
        check(&files, members, &mut findings).expect("the rules are readable");
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_service_that_uses_another_is_found_at_its_line() {
        let members = [
            member(
                "core",
                "tenon/core",
                &[("rusqlite", false), ("tokio", false)],
            ),
            member(
                "patient",
                "services/patient",
                &[("core", false), ("core", true)],
            ),
            member(
                "epro",
                "services/epro",
                &[("core", false), ("patient", false)],
            ),
        ];
        let expected = "services/epro/Cargo.toml:3: epro (layer service) may not use patient (layer service): \
                        services know contracts, not each other";
        assert_eq!(found(RULES, &members), [expected]);
    }

    #[test]
    fn tests_may_use_the_kit_and_the_product_may_not() {
        let kit = || member("kit", "tenon/test", &[]);
        let good = [
            kit(),
            member(
                "patient",
                "services/patient",
                &[("kit", true), ("tokio", true)],
            ),
        ];
        assert_eq!(found(RULES, &good), Vec::<String>::new());
        let bad = [
            kit(),
            member("patient", "services/patient", &[("kit", false)]),
        ];
        assert_eq!(found(RULES, &bad).len(), 1);
    }

    #[test]
    fn outside_crates_stay_behind_their_borders() {
        let members = [member(
            "patient",
            "services/patient",
            &[("rusqlite", false), ("tokio", false)],
        )];
        let findings = found(RULES, &members);
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(
            findings[0].ends_with("may not use rusqlite: SQL stays in one room"),
            "{findings:?}"
        );
    }

    #[test]
    fn a_crate_without_a_layer_and_a_rule_without_a_reason_are_found() {
        assert_eq!(found(RULES, &[member("new", "tenon/new", &[])]).len(), 1);
        assert_eq!(found(&RULES.replace("for tests", " "), &[]).len(), 1);
        let unknown = RULES.replace("may_use = [\"core\"]", "may_use = [\"cor\"]");
        assert_eq!(found(&unknown, &[]).len(), 2);
        let both = RULES.replace("not_in =", "only_in = [\"a\"]\nnot_in =");
        assert_eq!(found(&both, &[]).len(), 1);
    }
}
