//! No input makes the crate panic, and no tree loses a byte.

use proptest::prelude::*;
use tenon_idl::{Diagnostic, MemoryLoader, api, proto};

use super::dump::assert_lossless;

const PATIENT: &str = include_str!("../cases/article_api/input.api");
const TAGS: &str = include_str!("../cases/tag_options/input.api");
const SERVER: &str = include_str!("../cases/server_keys/input.api");
const FIELDS: &str = include_str!("../cases/field_forms/input.api");
const PROTO: &str = include_str!("../cases/article_proto/input.proto");

/// Pieces of the language, so that random text gets past the first token.
const WORDS: [&str; 48] = [
    "type",
    "service",
    "info",
    "import",
    "syntax",
    "returns",
    "struct",
    "map",
    "interface",
    "@server",
    "@doc",
    "@handler",
    "@x",
    "get",
    "post",
    "a",
    "B",
    "patient-api",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    ";",
    "=",
    "*",
    "-",
    "/",
    ".",
    "...",
    "\"x\"",
    "\"",
    "`json:\"a,range=[1:2)\"`",
    "`",
    "//c\n",
    "/*",
    "*/",
    " ",
    "\n",
    "\n\n",
    "\u{feff}",
    "患者",
    "\u{b5}",
    "12",
    "string",
];

/// Reads text in every way there is; findings must lie inside the text.
fn read(text: &str) -> Vec<Diagnostic> {
    let (tree, findings) = api::parse(text, "x.api");
    assert_lossless(&tree, text);
    let loader = MemoryLoader::new().with("x.api", text);
    let checked = api::load(&loader, "x.api").err().unwrap_or_default();
    for finding in findings.iter().chain(&checked) {
        assert!(
            finding.span.start <= finding.span.end && finding.span.end <= text.len(),
            "{finding:?}"
        );
        assert!(text.is_char_boundary(finding.span.start), "{finding:?}");
        assert!(finding.line >= 1 && finding.column >= 1, "{finding:?}");
        assert!(
            !finding.message.is_empty() && !finding.message.ends_with('.'),
            "{finding:?}"
        );
    }
    findings
}

/// `text` with the characters from `at` on, `length` of them, replaced.
fn mutated(text: &str, at: usize, length: usize, replacement: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let at = at % (characters.len() + 1);
    let end = (at + length).min(characters.len());
    let mut out: String = characters[..at].iter().collect();
    out.push_str(replacement);
    out.extend(&characters[end..]);
    out
}

proptest! {
    #[test]
    fn any_text(text in any::<String>()) {
        read(&text);
    }

    #[test]
    fn any_words(words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..60)) {
        read(&words.concat());
        read(&words.join(" "));
    }

    #[test]
    fn any_change_of_a_valid_file(
        file in prop::sample::select(vec![PATIENT, TAGS, SERVER, FIELDS]),
        changes in prop::collection::vec((any::<usize>(), 0usize..12, prop::sample::select(&WORDS[..])), 1..4),
    ) {
        let mut text = file.to_owned();
        for (at, length, replacement) in changes {
            text = mutated(&text, at, length, replacement);
        }
        read(&text);
    }

    #[test]
    fn any_tag(tag in "[a-z:\"\\\\,=\\[\\]()|0-9 .-]{0,40}", ty in prop::sample::select(vec!["int8", "string", "float32", "bool", "[]uint", "any"])) {
        read(&format!("type A {{\n  B {ty} `json:\"b,{tag}\"`\n  C {ty} `{tag}`\n}}"));
    }

    #[test]
    fn any_change_of_a_proto(at in any::<usize>(), length in 0usize..12, replacement in prop::sample::select(&WORDS[..])) {
        let text = mutated(PROTO, at, length, replacement);
        let loader = MemoryLoader::new().with("x.proto", text.clone());
        if let Err(findings) = proto::load(&loader, "x.proto", &[]) {
            assert!(!findings.is_empty());
            for finding in findings {
                assert!(finding.span.start <= text.len(), "{finding:?}");
            }
        }
    }
}

#[test]
fn deep_nesting_is_a_finding_and_not_an_exhausted_stack() {
    for open in ["[]", "*", "map[string]", "{ A ", "[3]"] {
        let text = format!("type A {{\n  B {}int\n}}", open.repeat(50_000));
        let findings = read(&text);
        assert!(
            findings
                .iter()
                .any(|finding| finding.message.contains("nested more than 64 deep")),
            "{open}: {findings:?}"
        );
    }
}

#[test]
fn long_chains_of_imports_are_a_finding() {
    let mut loader = MemoryLoader::new();
    for number in 0..5_000 {
        let text = format!("import \"f{}.api\"\ntype T{number} {{}}", number + 1);
        loader = loader.with(&format!("f{number}.api"), text);
    }
    let findings = api::load(&loader, "f0.api").unwrap_err();
    assert!(
        findings[0].message.contains("chained more than 100 deep"),
        "{findings:?}"
    );
}

/// Work must not grow with the square of the input, or an editor would stall.
#[test]
fn many_errors_in_a_large_file_are_all_reported() {
    let text = format!("type A {{\n{}}}\n", "  B int )\n".repeat(20_000));
    assert_eq!(read(&text).len(), 20_000);
}
