//! What each file must get right by itself: `syntax`, `info`, `import`.

use super::{Checker, unquoted};
use crate::api::lexer::TokenKind;
use crate::api::load::imports;
use crate::api::tree::NodeKind;
use crate::diagnostic::Span;
use crate::model::{Pair, Place};

impl Checker<'_> {
    /// Checks the statements of all files; gives the `info` of the root file.
    pub(super) fn statements(&mut self) -> Vec<Pair> {
        let mut info = Vec::new();
        for file in 0..self.sources.files.len() {
            let tree = self.tree(file);
            if tree.child_nodes(tree.root()).next().is_none() {
                let place = Place {
                    file,
                    span: Span::default(),
                };
                self.report_with(
                    place,
                    "the file has no statement",
                    "declare a type or a service in it",
                );
            }
            self.syntax(file);
            self.duplicate_imports(file);
            let pairs = self.info(file);
            if file == 0 {
                info = pairs;
            }
        }
        info
    }

    fn syntax(&mut self, file: usize) {
        let tree = self.tree(file);
        for (count, node) in tree
            .children_of_kind(tree.root(), NodeKind::Syntax)
            .enumerate()
        {
            if count > 0 {
                let place = self.place(file, node);
                self.report_with(place, "a second `syntax` statement", "remove it");
            }
            for token in tree.child_tokens_of_kind(node, TokenKind::String) {
                let version = unquoted(tree, token);
                if version != "v1" {
                    let place = self.token_place(file, token);
                    let diagnostic = self
                        .at(place, format!("syntax `{version}` is not known"))
                        .expecting(["`\"v1\"`"]);
                    self.diagnostics.push(diagnostic);
                }
            }
        }
    }

    fn info(&mut self, file: usize) -> Vec<Pair> {
        let tree = self.tree(file);
        let mut info = Vec::new();
        for (count, node) in tree
            .children_of_kind(tree.root(), NodeKind::Info)
            .enumerate()
        {
            if count > 0 {
                let place = self.place(file, node);
                self.report_with(place, "a second `info` block", "put all keys into one");
            }
            info.extend(self.pairs(file, node).into_iter().map(|(pair, _)| pair));
        }
        info
    }

    fn duplicate_imports(&mut self, file: usize) {
        let mut seen: Vec<String> = Vec::new();
        for (import, span) in imports(self.tree(file)) {
            if seen.contains(&import) {
                self.report_with(
                    Place { file, span },
                    format!("`{import}` is imported twice"),
                    "remove one of the two",
                );
            }
            seen.push(import);
        }
    }
}
