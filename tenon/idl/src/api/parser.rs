//! Tokens to a tree: a recursive-descent parser that goes on after an error.
//!
//! This file has the statements of a file and the `key: value` blocks; [`types`] has type
//! declarations, [`service`] has service blocks, [`cursor`] the machinery. After an error the
//! parser skips to the next line, field, route or statement, puts what it skipped into an
//! [`NodeKind::Error`] node and goes on, so that one run reports many faults. A statement that
//! starts inside an open block is taken as a sign that the closing bracket is missing.

mod cursor;
mod service;
mod types;

use super::lexer::TokenKind;
use super::tree::{NodeKind, Tree};
use crate::diagnostic::Diagnostic;
use cursor::Parser;

/// Parses the text of one file. `file` is the name that diagnostics carry.
pub(super) fn parse(text: &str, file: &str) -> (Tree, Vec<Diagnostic>) {
    let mut parser = Parser::new(text, file);
    parser.file();
    parser.into_tree()
}

const STATEMENTS: [&str; 6] = [
    "`syntax`",
    "`info`",
    "`import`",
    "`type`",
    "`@server`",
    "`service`",
];

impl Parser<'_> {
    fn file(&mut self) {
        if self.at(TokenKind::ByteOrderMark) {
            self.error_here("the file starts with a byte order mark")
                .hint("save it as UTF-8 without a byte order mark");
            self.skip_one();
        }
        while !self.at_end() {
            let before = self.position();
            match (self.kind(), self.text()) {
                (Some(TokenKind::At), "@server") => self.service_block(),
                (Some(TokenKind::Ident), "service") => self.service_block(),
                (Some(TokenKind::Ident), "type") => self.type_statement(),
                (Some(TokenKind::Ident), "import") => self.import_statement(),
                (Some(TokenKind::Ident), "info") => self.info_statement(),
                (Some(TokenKind::Ident), "syntax") => self.syntax_statement(),
                _ => self.stray_text(),
            }
            if self.position() == before {
                self.stray_text();
            }
        }
    }

    /// Reports text that starts no statement and skips to the next one.
    fn stray_text(&mut self) {
        let hint = match (self.kind(), self.text()) {
            (Some(TokenKind::At), "@doc" | "@handler") => {
                Some("it belongs inside a `service` block")
            }
            (Some(TokenKind::CloseBrace | TokenKind::CloseParen), _) => Some("it closes nothing"),
            (Some(TokenKind::Ident), "message" | "package" | "option") => {
                Some("this looks like a .proto file; `tenon rpc` reads those")
            }
            _ => None,
        };
        let error = self.unexpected(&STATEMENTS);
        if let Some(hint) = hint {
            error.hint(hint);
        }
        self.start(NodeKind::Error);
        self.bump();
        while !self.at_end() && !self.starts_statement() {
            self.bump();
        }
        self.finish();
    }

    fn syntax_statement(&mut self) {
        self.start(NodeKind::Syntax);
        self.bump();
        if self.expect(TokenKind::Equals, "`=`") {
            self.expect(TokenKind::String, "`\"v1\"`");
        }
        self.finish();
    }

    fn info_statement(&mut self) {
        self.start(NodeKind::Info);
        self.bump();
        self.pair_block();
        self.finish();
    }

    fn import_statement(&mut self) {
        self.start(NodeKind::Import);
        self.bump();
        if self.at(TokenKind::OpenParen) {
            self.bump();
            while !self.at_end() && !self.at(TokenKind::CloseParen) && !self.starts_statement() {
                if self.at(TokenKind::String) {
                    self.bump();
                } else {
                    self.unexpected(&["a quoted path", "`)`"]);
                    self.skip_line();
                }
            }
            self.expect(TokenKind::CloseParen, "`)`");
        } else if !self.expect(TokenKind::String, "a quoted path")
            && !self.at_end()
            && !self.starts_statement()
        {
            self.skip_line();
        }
        self.finish();
    }

    /// `( key: value ... )` behind `info`, `@server` or `@doc`.
    fn pair_block(&mut self) {
        if !self.expect(TokenKind::OpenParen, "`(`") {
            return;
        }
        while !self.at_end() && !self.at(TokenKind::CloseParen) && !self.starts_statement() {
            if self.at(TokenKind::Ident) {
                self.pair();
            } else {
                self.unexpected(&["a key", "`)`"]);
                self.skip_line();
            }
        }
        self.expect(TokenKind::CloseParen, "`)`");
    }

    fn pair(&mut self) {
        self.start(NodeKind::Pair);
        let key = self.text().to_owned();
        self.bump();
        if !self.expect(TokenKind::Colon, "`:`") {
            self.skip_rest();
        } else if self.at(TokenKind::CloseParen) || self.at_end() || self.at_next_key() {
            self.error_behind(format!("key `{key}` has no value"))
                .hint("give it one, or remove the key");
        } else {
            self.start(NodeKind::Value);
            self.value();
            self.finish();
            if !self.at_end()
                && !self.on_new_line()
                && !self.at(TokenKind::CloseParen)
                && !self.at_next_key()
            {
                self.value_goes_on(&key);
            }
        }
        self.finish();
    }

    fn value_goes_on(&mut self, key: &str) {
        if self.previous_kind() == Some(TokenKind::String) && self.previous_text().contains('\n') {
            self.error_behind(format!(
                "the value of `{key}` is a string over several lines with text behind it"
            ))
            .hint("the closing quote is likely missing on its first line");
        } else {
            self.error_here(format!(
                "the value of `{key}` goes on after a blank or a character it cannot have"
            ))
            .hint("put the value in double quotes");
        }
        self.skip_line();
    }

    fn at_next_key(&self) -> bool {
        self.at(TokenKind::Ident) && self.kind_at(1) == Some(TokenKind::Colon)
    }

    /// A quoted value, or tokens without gaps; a comma goes on to another run of them.
    fn value(&mut self) {
        if self.at(TokenKind::String) || self.at(TokenKind::Raw) {
            self.bump();
            return;
        }
        loop {
            if !self.at_value_part() {
                self.unexpected(&["a value"])
                    .hint("put text in double quotes");
                self.skip_rest();
                return;
            }
            self.bump();
            while self.is_adjacent() && self.at_value_part() {
                self.bump();
            }
            self.reject_comment_in_path();
            if !self.at(TokenKind::Comma) {
                return;
            }
            self.bump();
            if self.at(TokenKind::CloseParen) || self.at_next_key() || self.at_end() {
                self.error_behind("the list ends with a comma")
                    .hint("remove the comma, or name what follows");
                return;
            }
        }
    }

    fn at_value_part(&self) -> bool {
        match self.kind() {
            Some(
                TokenKind::Ident
                | TokenKind::Int
                | TokenKind::Slash
                | TokenKind::Dot
                | TokenKind::Minus,
            ) => true,
            // A path parameter.
            Some(TokenKind::Colon) => {
                self.is_adjacent() && self.previous_kind() == Some(TokenKind::Slash)
            }
            // Microseconds are written with a Greek letter in two code points.
            Some(TokenKind::Unknown) => matches!(self.text(), "\u{b5}" | "\u{3bc}"),
            _ => false,
        }
    }
}
