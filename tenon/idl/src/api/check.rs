//! Trees to the model: names are resolved, every rule is checked, all findings are collected.
//!
//! The order of the work is the order of the modules: [`statements`] looks at each file by
//! itself, [`types`] declares and resolves types with their [`fields`], [`structs`] flattens
//! embedded types and finds types that contain themselves, [`service`] and [`routes`] build
//! the service, [`usage`] checks types against the places where routes use them.

mod fields;
mod keys;
mod literals;
mod names;
mod path;
mod routes;
mod service;
mod statements;
mod structs;
mod types;
mod usage;

use std::collections::{HashMap, HashSet};

use super::lexer::TokenKind;
use super::load::Sources;
use super::tree::{NodeId, NodeKind, Tree};
use crate::diagnostic::Diagnostic;
use crate::model::{Api, Pair, Place, SourceFile};

/// Checks the files and builds the model.
pub(super) fn check(sources: Sources) -> Result<Api, Vec<Diagnostic>> {
    let mut checker = Checker {
        sources: &sources,
        diagnostics: Vec::new(),
        declared: HashMap::new(),
        incomplete: HashSet::new(),
    };
    let info = checker.statements();
    let drafts = checker.types();
    let types = checker.structs(drafts);
    let service = checker.service(&types);
    let mut api = Api {
        info,
        service,
        types,
        files: Vec::new(),
    };
    checker.usage(&api);
    let mut diagnostics = checker.diagnostics;
    if !diagnostics.is_empty() {
        let rank = |file: &str| sources.files.iter().position(|(path, _)| path == file);
        diagnostics.sort_by_key(|diagnostic| (rank(&diagnostic.file), diagnostic.span));
        diagnostics.dedup();
        return Err(diagnostics);
    }
    api.files = sources
        .files
        .into_iter()
        .map(|(path, tree)| SourceFile {
            path,
            text: tree.text().to_owned(),
            lines: tree.lines().clone(),
        })
        .collect();
    Ok(api)
}

struct Checker<'s> {
    sources: &'s Sources,
    diagnostics: Vec<Diagnostic>,
    /// All declared type names and where they stand.
    declared: HashMap<String, Place>,
    /// Types that miss a field because of an error: what they lack is no second error.
    incomplete: HashSet<String>,
}

impl<'s> Checker<'s> {
    fn tree(&self, file: usize) -> &'s Tree {
        // Invariant: file numbers come from `Sources::order`, which indexes `Sources::files`.
        &self.sources.files[file].1
    }

    fn at(&self, place: Place, message: impl Into<String>) -> Diagnostic {
        let (path, tree) = &self.sources.files[place.file];
        Diagnostic::new(path, tree.lines(), place.span, message)
    }

    fn report(&mut self, place: Place, message: impl Into<String>) {
        let diagnostic = self.at(place, message);
        self.diagnostics.push(diagnostic);
    }

    fn report_with(&mut self, place: Place, message: impl Into<String>, hint: impl Into<String>) {
        let diagnostic = self.at(place, message).with_hint(hint);
        self.diagnostics.push(diagnostic);
    }

    /// `file:line` of a place, for messages that point at a second one.
    fn line_of(&self, place: Place) -> String {
        let (path, tree) = &self.sources.files[place.file];
        format!("{path}:{}", tree.lines().line(place.span.start))
    }

    fn place(&self, file: usize, node: NodeId) -> Place {
        Place {
            file,
            span: self.tree(file).span(node),
        }
    }

    fn token_place(&self, file: usize, token: usize) -> Place {
        Place {
            file,
            span: self.tree(file).token_span(token),
        }
    }

    /// The pairs of an `info`, `@server` or `@doc` block; a key that is there twice is
    /// reported and kept once.
    fn pairs(&mut self, file: usize, block: NodeId) -> Vec<(Pair, Place)> {
        let tree = self.tree(file);
        let mut pairs: Vec<(Pair, Place)> = Vec::new();
        for node in tree.children_of_kind(block, NodeKind::Pair) {
            let Some(key) = tree.child_tokens(node).next() else {
                continue;
            };
            let Some(value) = tree.child_of_kind(node, NodeKind::Value) else {
                continue;
            };
            let name = tree.token_text(key).to_owned();
            let key_place = self.token_place(file, key);
            if pairs.iter().any(|(pair, _)| pair.key == name) {
                self.report(key_place, format!("key `{name}` is there twice"));
                continue;
            }
            let pair = Pair {
                key: name,
                value: value_text(tree, value),
                place: self.place(file, value),
            };
            pairs.push((pair, key_place));
        }
        pairs
    }
}

/// The value without its quotes, or its tokens without the blanks around commas.
fn value_text(tree: &Tree, value: NodeId) -> String {
    let tokens: Vec<usize> = tree.child_tokens(value).collect();
    match tokens.as_slice() {
        [token] => unquoted(tree, *token).to_owned(),
        tokens => tokens.iter().map(|token| tree.token_text(*token)).collect(),
    }
}

/// The text of a token; a string comes without its quotes.
fn unquoted(tree: &Tree, token: usize) -> &str {
    let text = tree.token_text(token);
    match tree.tokens().get(token).map(|token| token.kind) {
        Some(TokenKind::String | TokenKind::Raw) => {
            text.get(1..text.len().saturating_sub(1)).unwrap_or("")
        }
        _ => text,
    }
}

/// Whether a name can become one of Rust: a letter first, underscores aside.
fn has_leading_letter(name: &str) -> bool {
    name.trim_start_matches('_')
        .starts_with(|c: char| c.is_ascii_alphabetic())
}
