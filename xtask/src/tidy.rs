//! The checks of `cargo xtask tidy`: one small module each, all over the same tree.

mod code_map;
mod header;
mod instruments;
mod layers;
mod length;
mod manifests;
mod names;
mod words;

use std::fmt;

use crate::tree::Tree;
use crate::workspace::Member;

/// Something to put right: where, what is wrong, what to do.
pub(crate) struct Finding {
    path: String,
    line: usize,
    message: String,
}

/// Runs every check; findings are sorted by file and line.
pub(crate) fn check(tree: &Tree, members: &[Member]) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    header::check(tree, &mut findings);
    names::check(tree, &mut findings);
    words::check(tree, &mut findings);
    instruments::check(tree, &mut findings);
    length::check(tree, &mut findings);
    manifests::check(tree, members, &mut findings)?;
    layers::check(tree, members, &mut findings)?;
    code_map::check(tree, members, &mut findings);
    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    Ok(findings)
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Finding {
        Finding {
            path: path.to_owned(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::tree;

    /// Runs one check of files and gives `path:line` of what it finds.
    pub(super) fn places(
        check: fn(&Tree, &mut Vec<Finding>),
        files: &[(&str, &str)],
    ) -> Vec<String> {
        let mut findings = Vec::new();
        check(&tree(files), &mut findings);
        findings
            .iter()
            .map(|finding| format!("{}:{}", finding.path, finding.line))
            .collect()
    }

    #[test]
    fn a_finding_names_file_line_and_what_to_do() {
        let finding = Finding::new("a/b.rs", 3, "split it");
        assert_eq!(finding.to_string(), "a/b.rs:3: split it");
    }
}
