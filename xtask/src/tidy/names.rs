//! Files and folders are named after what they hold; there is no drawer for the rest.

use super::Finding;
use crate::tree::Tree;

const DRAWERS: [&str; 6] = ["util", "utils", "common", "helper", "helpers", "misc"];

pub(super) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree.files.iter().filter(|file| file.extension() == "rs") {
        if file.path.ends_with("/mod.rs") {
            let message = "modules here are `foo.rs` beside `foo/`; rename this `mod.rs` to its folder's name";
            findings.push(Finding::new(&file.path, 1, message));
        }
        let drawer = file
            .path
            .split('/')
            .map(|part| part.trim_end_matches(".rs"))
            .find(|part| DRAWERS.contains(part));
        if let Some(drawer) = drawer {
            let message =
                format!("`{drawer}` says nothing about its content; name it after what it holds");
            findings.push(Finding::new(&file.path, 1, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::tidy::tests::places;

    #[test]
    fn drawers_and_mod_files_are_found() {
        let files = [
            ("a/src/util.rs", ""),
            ("a/src/common/time.rs", ""),
            ("a/src/b/mod.rs", ""),
            ("a/src/utility_meter.rs", ""),
            ("a/misc.md", ""),
        ];
        assert_eq!(
            places(super::check, &files),
            [
                "a/src/util.rs:1",
                "a/src/common/time.rs:1",
                "a/src/b/mod.rs:1"
            ]
        );
    }
}
