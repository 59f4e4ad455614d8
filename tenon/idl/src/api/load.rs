//! Follows imports: each file is read and parsed once, cycles are errors.

use super::lexer::TokenKind;
use super::tree::{NodeKind, Tree};
use crate::diagnostic::{Diagnostic, LineMap, Span};
use crate::source::{LoadError, SourceLoader, normalise, resolve};

/// Imports may be chained this deep.
const MAX_CHAIN: usize = 100;

/// The files of one contract.
pub(super) struct Sources {
    /// Path and tree of each file; the root is the first.
    pub(super) files: Vec<(String, Tree)>,
    /// Indices into `files`, imported files before those that import them.
    pub(super) order: Vec<usize>,
}

pub(super) fn load(loader: &dyn SourceLoader, root: &str) -> Result<Sources, Vec<Diagnostic>> {
    let mut walk = Walk {
        loader,
        sources: Sources {
            files: Vec::new(),
            order: Vec::new(),
        },
        chain: Vec::new(),
        diagnostics: Vec::new(),
    };
    let root = normalise(root);
    match loader.load(&root) {
        Ok(text) => walk.file(&root, &text),
        Err(error) => {
            let nowhere = LineMap::new("");
            walk.diagnostics.push(Diagnostic::new(
                &root,
                &nowhere,
                Span::default(),
                refusal(&root, &error),
            ));
        }
    }
    if walk.diagnostics.is_empty() {
        Ok(walk.sources)
    } else {
        Err(walk.diagnostics)
    }
}

struct Walk<'l> {
    loader: &'l dyn SourceLoader,
    sources: Sources,
    /// The files that are being read, from the root to the innermost import.
    chain: Vec<String>,
    diagnostics: Vec<Diagnostic>,
}

impl Walk<'_> {
    fn file(&mut self, path: &str, text: &str) {
        let (tree, findings) = super::parse(text, path);
        self.diagnostics.extend(findings);
        let index = self.sources.files.len();
        let imports = imports(&tree);
        self.sources.files.push((path.to_owned(), tree));
        self.chain.push(path.to_owned());
        for (import, span) in imports {
            self.import(index, path, &import, span);
        }
        self.chain.pop();
        self.sources.order.push(index);
    }

    fn import(&mut self, importer: usize, importer_path: &str, import: &str, span: Span) {
        if import.trim().is_empty() {
            self.report(importer, span, "the import names no file", None);
            return;
        }
        let path = resolve(importer_path, import);
        if let Some(start) = self.chain.iter().position(|open| *open == path) {
            let mut names: Vec<&str> = self.chain[start..].iter().map(String::as_str).collect();
            names.push(&path);
            let message = format!("import cycle: {}", names.join(" -> "));
            self.report(
                importer,
                span,
                message,
                Some("move what both need into a third file"),
            );
            return;
        }
        if self.sources.files.iter().any(|(known, _)| *known == path) {
            return;
        }
        if self.chain.len() >= MAX_CHAIN {
            self.report(
                importer,
                span,
                format!("imports are chained more than {MAX_CHAIN} deep"),
                None,
            );
            return;
        }
        match self.loader.load(&path) {
            Ok(text) => self.file(&path, &text),
            Err(error) => {
                let hint = "the path is relative to the importing file";
                self.report(importer, span, refusal(&path, &error), Some(hint));
            }
        }
    }

    fn report(&mut self, file: usize, span: Span, message: impl Into<String>, hint: Option<&str>) {
        let Some((path, tree)) = self.sources.files.get(file) else {
            return;
        };
        let mut diagnostic = Diagnostic::new(path, tree.lines(), span, message);
        diagnostic.hint = hint.map(str::to_owned);
        self.diagnostics.push(diagnostic);
    }
}

fn refusal(path: &str, error: &LoadError) -> String {
    format!("cannot read `{path}`: {error}")
}

/// The imported paths without quotes, and where they stand.
pub(super) fn imports(tree: &Tree) -> Vec<(String, Span)> {
    tree.children_of_kind(tree.root(), NodeKind::Import)
        .flat_map(|node| {
            tree.child_tokens_of_kind(node, TokenKind::String)
                .collect::<Vec<_>>()
        })
        .map(|token| {
            (
                tree.token_text(token).trim_matches('"').to_owned(),
                tree.token_span(token),
            )
        })
        .collect()
}
