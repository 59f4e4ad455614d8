//! Words that never enter the tree: promises without an owner, debug output, sleeping tests,
//! code put to sleep in comments, paths of one machine.

use super::Finding;
use crate::tree::{File, Tree};

// Each needle is joined from two halves, so that this file does not find itself.
const OPEN_PROMISE: &str = concat!("TO", "DO");
const BROKEN_PROMISE: &str = concat!("FIX", "ME");
const DEBUG_PRINT: &str = concat!("dbg", "!(");
const SLEEPING_TEST: &str = concat!("#[ig", "nore");
const MACHINE_PATHS: [&str; 3] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/tmp/", "spec"),
];

/// What a commented-out line of Rust starts with; English seldom does and ends with a full stop.
const CODE_STARTS: [&str; 12] = [
    "let ", "use ", "fn ", "pub ", "impl ", "mod ", "if ", "for ", "match ", "return ", "self.",
    "assert",
];

pub(super) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree.files.iter().filter(|file| !file.is_generated()) {
        for (index, line) in file.text.lines().enumerate() {
            for message in faults(file, line) {
                findings.push(Finding::new(&file.path, index + 1, message));
            }
        }
    }
}

fn faults(file: &File, line: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let is_code = !matches!(file.extension(), "md" | "json" | "txt" | "html");
    if is_code && has_promise_without_issue(line) {
        faults.push(format!(
            "`{OPEN_PROMISE}` without an issue; write `{OPEN_PROMISE}(#12): ...` or do it"
        ));
    }
    if is_code && line.contains(BROKEN_PROMISE) {
        faults.push(format!(
            "`{BROKEN_PROMISE}` stands for a known fault; put it right or open an issue"
        ));
    }
    if file.extension() == "rs" {
        if line.contains(DEBUG_PRINT) {
            faults.push("debug output left behind; remove it".to_owned());
        }
        if line.contains(SLEEPING_TEST) {
            faults
                .push("a test that does not run proves nothing; repair it or delete it".to_owned());
        }
        if is_commented_out(line) {
            faults.push("commented-out code; delete it, the history keeps it".to_owned());
        }
    }
    if let Some(path) = MACHINE_PATHS
        .iter()
        .find(|path| has_absolute_path(line, path))
    {
        faults.push(format!(
            "`{path}` exists on one machine only; use a path from the repository's root"
        ));
    }
    faults
}

fn has_promise_without_issue(line: &str) -> bool {
    line.match_indices(OPEN_PROMISE).any(|(at, found)| {
        let number = line[at + found.len()..]
            .strip_prefix("(#")
            .unwrap_or_default();
        !number.starts_with(|c: char| c.is_ascii_digit())
    })
}

fn is_commented_out(line: &str) -> bool {
    let Some(text) = line.trim_start().strip_prefix("// ") else {
        return false;
    };
    let text = text.trim();
    let ends_as_code = text.ends_with(';') || text.ends_with('{') || text.ends_with("});");
    ends_as_code && CODE_STARTS.iter().any(|start| text.starts_with(start))
}

/// Whether `path` stands in the line as the start of an absolute path.
fn has_absolute_path(line: &str, path: &str) -> bool {
    let continues = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | '*');
    line.match_indices(path)
        .any(|(at, _)| !line[..at].ends_with(continues))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::places;

    fn found(path: &str, line: &str) -> bool {
        !places(check, &[(path, line)]).is_empty()
    }

    #[test]
    fn promises_need_an_issue() {
        assert!(found("a.rs", &format!("// {OPEN_PROMISE}: later")));
        assert!(found("a.sql", &format!("-- {OPEN_PROMISE}(name): later")));
        assert!(!found("a.rs", &format!("// {OPEN_PROMISE}(#12): later")));
        assert!(found("a.ts", &format!("// {BROKEN_PROMISE} soon")));
        assert!(!found("a.md", &format!("A {OPEN_PROMISE} needs an issue.")));
    }

    #[test]
    fn debug_output_and_sleeping_tests_are_found() {
        assert!(found("a.rs", &format!("    {DEBUG_PRINT}x);")));
        assert!(found(
            "a/tests/b.rs",
            &format!("{SLEEPING_TEST} = \"slow\"]")
        ));
        assert!(!found("a.md", SLEEPING_TEST));
    }

    #[test]
    fn code_in_comments_is_found_and_english_is_not() {
        assert!(found("a.rs", "    // let total = sum(&items);"));
        assert!(found("a.rs", "// if ready {"));
        assert!(!found(
            "a.rs",
            "// if the caller left, nobody reads the answer."
        ));
        assert!(!found("a.rs", "/// let total = sum(&items);"));
        assert!(!found("a.rs", "let total = 1; // let it be"));
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        let [work, root, _] = MACHINE_PATHS;
        assert!(found("a.md", &format!("see {work}main/x")));
        assert!(found("a.rs", &format!("\"{root}x\"")));
        assert!(!found("a.md", &format!("docs{work}x")));
    }
}
