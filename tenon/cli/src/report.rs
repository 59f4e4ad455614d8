//! What the user is told: findings with their place in the source, failures, and what was done.

use std::io::{IsTerminal, Write as _};

use annotate_snippets::{Annotation, AnnotationKind, Level, Renderer, Snippet};
use tenon_idl::Diagnostic;

use crate::disk::Folder;

/// Prints findings to stderr, each with its line of the source.
pub(crate) fn findings(folder: &Folder, findings: &[Diagnostic]) {
    for finding in findings {
        print(folder, Level::ERROR, finding);
    }
    let count = findings.len();
    let noun = if count == 1 { "finding" } else { "findings" };
    tell_error(&format!("{count} {noun}; nothing was written"));
}

/// Prints findings that stop nothing.
pub(crate) fn warnings(folder: &Folder, warnings: &[Diagnostic]) {
    for warning in warnings {
        print(folder, Level::WARNING, warning);
    }
}

fn print(folder: &Folder, level: Level<'static>, finding: &Diagnostic) {
    let place = folder.place(&finding.file).display().to_string();
    // The first line stands alone, so that editors and scripts can read it.
    let headline = format!(
        "{place}:{}:{}: {}",
        finding.line, finding.column, finding.message
    );
    let mut group = level
        .primary_title(headline.as_str())
        .elements(Vec::<Snippet<'_, Annotation<'_>>>::new());
    let text = folder
        .read(&finding.file)
        .ok()
        .flatten()
        .unwrap_or_default();
    let end = finding.span.end.min(text.len());
    let start = finding.span.start.min(end);
    if !text.is_empty() && text.is_char_boundary(start) && text.is_char_boundary(end) {
        let snippet = Snippet::source(text.as_str()).path(place.as_str());
        group = group.element(snippet.annotation(AnnotationKind::Primary.span(start..end)));
    }
    let expected = format!("expected {}", finding.expected.join(", "));
    if !finding.expected.is_empty() {
        group = group.element(Level::NOTE.message(expected.as_str()));
    }
    if let Some(hint) = &finding.hint {
        group = group.element(Level::HELP.message(hint.as_str()));
    }
    let styled = std::io::stderr().is_terminal();
    let renderer = if styled {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    tell_error(&renderer.render(&[group]));
}

/// Prints why a command failed.
pub(crate) fn failure(problem: &anyhow::Error) {
    tell_error(&format!("error: {problem:#}"));
}

/// Prints a line to stderr. A closed pipe is no reason to fail.
pub(crate) fn tell_error(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Prints a line to stdout. A closed pipe is no reason to fail.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
