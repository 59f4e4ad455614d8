//! No instrument whose licence forbids it enters the platform, not even by name: the text, its
//! translations and its screens may not be shipped, and a name is how each of them starts.
//!
//! Study builders import such instruments under their own licence at run time.

use super::Finding;
use crate::tree::Tree;

/// Names as their owners write them; matched as whole words with this capitalisation.
const NOT_OURS_TO_SHIP: [&str; 24] = [
    "EQ-5D",
    "EQ-VAS",
    "SF-36",
    "SF-12",
    "PROMIS",
    "Neuro-QoL",
    "PRO-CTCAE",
    "ISI",
    "HADS",
    "EPDS",
    "EORTC",
    "QLQ-C30",
    "FACT-G",
    "FACIT",
    "BDI",
    "BDI-II",
    "PSQI",
    "MoCA",
    "MMSE",
    "C-SSRS",
    "WEMWBS",
    "GHQ-12",
    "BAARS-IV",
    "THINC-it",
];

pub(super) fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for file in tree
        .files
        .iter()
        // Tests may name them, to prove that they are not there.
        .filter(|file| file.path.starts_with("cohort/") && !file.path.contains("/tests/"))
    {
        for (index, line) in file.text.lines().enumerate() {
            if let Some(name) = NOT_OURS_TO_SHIP.iter().find(|name| has_word(line, name)) {
                let message = format!(
                    "{name} may not be shipped under its licence; remove it, studies import it"
                );
                findings.push(Finding::new(&file.path, index + 1, message));
            }
        }
    }
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, found)| {
        let before = line[..at].chars().next_back();
        let after = line[at + found.len()..].chars().next();
        let is_letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
        !is_letter(before) && !is_letter(after)
    })
}

#[cfg(test)]
mod tests {
    use crate::tidy::tests::places;

    #[test]
    fn a_forbidden_instrument_is_found_in_the_platform_only() {
        let files = [
            (
                "cohort/clinical/instruments/a.json",
                "{\n\"title\": \"EQ-5D-5L\"}",
            ),
            ("cohort/web/b.ts", "const list = ['PHQ-9', 'HADS'];"),
            (
                "cohort/c.md",
                "VISION and PROMISE and CHADS2 are words, PHQ-9 and GAD-7 are free",
            ),
            ("docs/guide/import.md", "EQ-5D needs a licence"),
        ];
        assert_eq!(
            places(super::check, &files),
            ["cohort/clinical/instruments/a.json:2", "cohort/web/b.ts:1"]
        );
    }
}
