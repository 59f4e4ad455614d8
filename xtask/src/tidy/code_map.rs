//! The code map of `ARCHITECTURE.md` names every crate's folder: a crate that no newcomer can
//! find there does not pass. A contract crate is described with its service.

use super::Finding;
use crate::tree::Tree;
use crate::workspace::Member;

const MAP: &str = "ARCHITECTURE.md";

pub(super) fn check(tree: &Tree, members: &[Member], findings: &mut Vec<Finding>) {
    let map = tree.get(MAP).map_or("", |file| file.text.as_str());
    for member in members
        .iter()
        .filter(|member| !member.folder.ends_with("/contract"))
        .filter(|member| !map.contains(&format!("`{}`", member.folder)))
    {
        let message = format!(
            "crate {} is not on the code map; add a paragraph for `{}`",
            member.name, member.folder
        );
        findings.push(Finding::new(MAP, 1, message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::tree;

    #[test]
    fn a_crate_missing_from_the_map_is_found() {
        let member = |folder: &str| Member {
            name: folder.replace('/', "-"),
            folder: folder.to_owned(),
            dependencies: Vec::new(),
        };
        let files = tree(&[(
            MAP,
            "## Code map\n`tenon/core` is what all stands on; tenon/net is not marked.",
        )]);
        let mut findings = Vec::new();
        check(
            &files,
            &[member("tenon/core"), member("tenon/net")],
            &mut findings,
        );
        assert_eq!(findings.len(), 1);
        assert!(
            findings[0].to_string().contains("tenon-net"),
            "{}",
            findings[0]
        );
    }
}
