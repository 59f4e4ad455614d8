//! protox errors to our diagnostics.

use miette::Diagnostic as _;

use super::{options, sources::Sources};
use crate::diagnostic::{Diagnostic, LineMap, Span};

/// All findings of one error: parse errors carry several.
pub(super) fn diagnostics(error: &protox::Error, sources: &Sources) -> Vec<Diagnostic> {
    let name = error.file().unwrap_or_else(|| sources.root_name());
    let mut found = vec![convert(error, name, sources)];
    if let Some(related) = error.related() {
        found.extend(related.map(|related| convert(related, name, sources)));
    }
    found.sort_by_key(|diagnostic| diagnostic.span);
    found.dedup();
    found
}

fn convert(error: &dyn miette::Diagnostic, name: &str, sources: &Sources) -> Diagnostic {
    let (path, text) = sources
        .by_name(name)
        .map_or((name, ""), |file| (file.path.as_str(), file.text.as_str()));
    let lines = LineMap::new(text);
    let labels: Vec<Span> = error
        .labels()
        .into_iter()
        .flatten()
        .map(|label| Span::new(label.offset(), label.offset() + label.len()))
        .collect();
    let message = error.to_string();
    if let Some(cycle) = cycle(&message, sources) {
        return cycle;
    }
    // Without a label the fault is at the end ("reached end of file") or with the whole file.
    let at_end = message.contains("end of file");
    let fallback = if at_end {
        Span::new(text.len(), text.len())
    } else {
        Span::default()
    };
    let span = labels.last().copied().unwrap_or(fallback);
    let (message, expected) = split_expected(&message);
    let mut diagnostic = Diagnostic::new(path, &lines, span, message).expecting(expected);
    diagnostic.hint = match (error.help(), labels.as_slice()) {
        (Some(help), _) => Some(tidy(&help.to_string())),
        (None, [first, .., last]) if first != last => {
            Some(format!("see also {path}:{}", lines.line(first.start)))
        }
        _ => missing_import(&error.to_string()),
    };
    options::advise(diagnostic)
}

fn missing_import(message: &str) -> Option<String> {
    let name = message
        .strip_prefix("import '")?
        .strip_suffix("' not found")?;
    Some(format!(
        "imports are looked up in the include folders; put `{name}` into one, or name its folder with -I"
    ))
}

/// Quotes in our manner, no stop at the end.
fn tidy(message: &str) -> String {
    message.trim_end_matches('.').replace('\'', "`")
}

/// protox gives a cycle no place; it is the import that closes it.
fn cycle(message: &str, sources: &Sources) -> Option<Diagnostic> {
    let names: Vec<&str> = message
        .strip_prefix("import cycle detected: ")?
        .split(" -> ")
        .collect();
    let (imported, importer) = (names.last()?, names.get(names.len().checked_sub(2)?)?);
    let file = sources.by_name(importer)?;
    let at = file.text.find(&format!("\"{imported}\""))?;
    let span = Span::new(at, at + imported.len() + 2);
    let message = format!("import cycle: {}", names.join(" -> "));
    let hint = "move what both need into a third file";
    Some(Diagnostic::new(&file.path, &LineMap::new(&file.text), span, message).with_hint(hint))
}

/// "expected 'a', 'b' or 'c', but found 'd'" as a message and a list.
fn split_expected(message: &str) -> (String, Vec<String>) {
    let Some((expected, found)) = message
        .strip_prefix("expected ")
        .and_then(|rest| rest.split_once(", but "))
    else {
        return (tidy(message), Vec::new());
    };
    let found = match found.strip_prefix("found ") {
        Some(found) => format!("unexpected {}", tidy(found)),
        None => "unexpected end of file".to_owned(),
    };
    let expected = expected
        .split(", ")
        .flat_map(|part| part.split(" or "))
        .map(tidy)
        .collect();
    (found, expected)
}
