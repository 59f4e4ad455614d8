//! Service blocks: `@server`, `@doc`, `@handler` and routes.

use super::cursor::Parser;
use crate::api::lexer::TokenKind;
use crate::api::nearest::nearest;
use crate::api::tree::NodeKind;

/// The words that start a route. The last two parse and are refused by name later, because
/// no router takes them.
const METHODS: [&str; 9] = [
    "get", "head", "post", "put", "patch", "delete", "options", "connect", "trace",
];

impl Parser<'_> {
    /// An optional `@server (...)`, then `service x { ... }`.
    pub(super) fn service_block(&mut self) {
        self.start(NodeKind::Service);
        if self.at(TokenKind::At) {
            self.start(NodeKind::Server);
            self.bump();
            self.pair_block();
            self.finish();
        }
        if !self.at_word("service") {
            self.unexpected(&["`service`"])
                .hint("`@server` stands in front of a `service` block");
            self.finish();
            return;
        }
        self.bump();
        self.service_name();
        if self.expect(TokenKind::OpenBrace, "`{`") {
            while !self.at_end() && !self.at(TokenKind::CloseBrace) && !self.starts_statement() {
                let before = self.position();
                self.item();
                if self.position() == before {
                    self.skip_line();
                }
            }
            if self.at(TokenKind::CloseBrace) {
                self.bump();
            } else {
                self.unexpected(&["a route", "`}`"])
                    .hint("a `}` is missing before this");
            }
        }
        self.finish();
    }

    /// Words joined by hyphens.
    fn service_name(&mut self) {
        self.start(NodeKind::ServiceName);
        let mut good = self.expect(TokenKind::Ident, "the name of the service");
        while good && self.at(TokenKind::Minus) {
            self.bump();
            good = self.expect(TokenKind::Ident, "a part of the name");
        }
        self.finish();
    }

    /// One operation, as far as it goes: annotations, then a route.
    fn item(&mut self) {
        self.start(NodeKind::Item);
        let mut handler = None;
        let mut excused = false;
        loop {
            match (self.kind(), self.text()) {
                (Some(TokenKind::At), "@doc") if handler.is_none() => self.doc(),
                (Some(TokenKind::At), "@doc") if self.route_follows_doc() => {
                    self.error_here("`@doc` behind `@handler`")
                        .hint("put `@doc` in front of `@handler`");
                    self.doc();
                }
                (Some(TokenKind::At), "@handler") if handler.is_none() => {
                    handler = Some(self.handler())
                }
                (Some(TokenKind::At), name)
                    if !matches!(name, "@doc" | "@handler") && !self.starts_statement() =>
                {
                    // It was likely meant as the handler, so its lack is no second error.
                    self.stray_annotation();
                    excused = true;
                }
                _ => break,
            }
        }
        if self.at(TokenKind::Ident)
            && (self.kind_at(1) == Some(TokenKind::Slash) || METHODS.contains(&self.text()))
        {
            if handler.is_none() && !excused {
                self.error_here("the route has no handler")
                    .hint("write `@handler name` on the line above");
            }
            self.route();
        } else if let Some(name) = handler {
            self.unexpected(&METHODS[..7])
                .hint(format!("handler `{name}` needs a route"));
            if self.at(TokenKind::Ident) {
                self.skip_line();
            }
        } else if !excused {
            self.unexpected(&["`@doc`", "`@handler`", "`}`"]);
            if !self.at(TokenKind::CloseBrace) {
                self.skip_line();
            }
        }
        self.finish();
    }

    /// Whether the `@doc` here is followed by a method, not by a handler: then it belongs to
    /// the handler above it.
    fn route_follows_doc(&self) -> bool {
        match self.kind_at(1) {
            Some(TokenKind::String | TokenKind::Raw) => self.kind_at(2) == Some(TokenKind::Ident),
            Some(TokenKind::OpenParen) => {
                let mut ahead = 2;
                while !matches!(self.kind_at(ahead), None | Some(TokenKind::CloseParen)) {
                    ahead += 1;
                }
                self.kind_at(ahead + 1) == Some(TokenKind::Ident)
            }
            _ => false,
        }
    }

    /// `@doc "text"`, `@doc (key: value ...)` or `@doc ("text")`.
    fn doc(&mut self) {
        self.start(NodeKind::Doc);
        self.bump();
        match (self.kind(), self.kind_at(1)) {
            (Some(TokenKind::String | TokenKind::Raw), _) => self.bump(),
            (Some(TokenKind::OpenParen), Some(TokenKind::String | TokenKind::Raw)) => {
                self.bump();
                self.bump();
                self.expect(TokenKind::CloseParen, "`)`");
            }
            (Some(TokenKind::OpenParen), _) => self.pair_block(),
            _ => {
                self.unexpected(&["a quoted text", "`(`"]);
                self.skip_rest();
            }
        }
        self.finish();
    }

    fn handler(&mut self) -> String {
        self.start(NodeKind::Handler);
        self.bump();
        let name = self.text().to_owned();
        if self.at(TokenKind::Ident) && !self.on_new_line() {
            self.bump();
        } else {
            self.unexpected(&["the name of the handler"]);
        }
        self.finish();
        name
    }

    fn stray_annotation(&mut self) {
        let name = self.text();
        if name == "@server" {
            self.error_here("`@server` inside a service block")
                .hint("write `@handler name`; `@server` stands in front of `service`");
            self.start(NodeKind::Error);
            self.bump();
            self.pair_block();
            self.finish();
            return;
        }
        let error = self.unexpected(&["`@doc`", "`@handler`"]);
        if let Some(known) = nearest(name, ["@doc", "@handler"]) {
            error.hint(format!("did you mean `{known}`?"));
        }
        self.skip_line();
    }

    fn route(&mut self) {
        self.start(NodeKind::Route);
        let method = self.text();
        if !METHODS.contains(&method) {
            let lower = method.to_ascii_lowercase();
            let error = self.unexpected(&METHODS[..7]);
            if METHODS.contains(&lower.as_str()) {
                error.hint(format!("methods are lower case: `{lower}`"));
            } else if let Some(known) = nearest(method, METHODS) {
                error.hint(format!("did you mean `{known}`?"));
            }
        }
        self.bump();
        if self.path() {
            self.bodies();
        } else {
            self.skip_rest();
        }
        self.finish();
    }

    fn path(&mut self) -> bool {
        if !self.at(TokenKind::Slash) || self.on_new_line() {
            self.unexpected(&["a path that starts with `/`"]);
            return false;
        }
        self.start(NodeKind::Path);
        self.bump();
        while self.is_adjacent() && self.at_path_part() {
            self.bump();
        }
        self.reject_comment_in_path();
        if self.is_adjacent()
            && !matches!(
                self.kind(),
                Some(TokenKind::OpenParen | TokenKind::Semicolon)
            )
        {
            self.unexpected(&[]).or_hint(
                "a path segment is letters, digits, `-`, `_` and `.`, or `:name` for a parameter",
            );
            while self.is_adjacent() && !self.at(TokenKind::OpenParen) {
                self.skip_one();
            }
        }
        self.finish();
        true
    }

    fn at_path_part(&self) -> bool {
        matches!(
            self.kind(),
            Some(
                TokenKind::Slash
                    | TokenKind::Colon
                    | TokenKind::Ident
                    | TokenKind::Int
                    | TokenKind::Minus
                    | TokenKind::Dot
                    | TokenKind::Ellipsis
            )
        )
    }

    /// `(T) returns (T);`, each part optional.
    fn bodies(&mut self) {
        let mut good = true;
        if self.at(TokenKind::OpenParen) {
            good = self.body(NodeKind::Request);
        }
        if good && self.at_word("returns") {
            good = self.body(NodeKind::Response);
        } else if good && !self.at_end() && !self.on_new_line() && self.at(TokenKind::Ident) {
            let hint = if self.text() == "return" {
                "write `returns`"
            } else {
                "the response is `returns (Type)`"
            };
            self.unexpected(&["`returns`", "the end of the line"])
                .hint(hint);
            good = false;
        }
        if good && self.at(TokenKind::Semicolon) {
            self.bump();
        }
        let ends = self.at_end()
            || self.on_new_line()
            || matches!(self.kind(), Some(TokenKind::CloseBrace | TokenKind::At));
        if good && !ends {
            self.unexpected(&["the end of the line"]);
        }
        if !ends {
            self.skip_line();
        }
    }

    /// `(T)` or `returns (T)`; the parentheses may be empty.
    fn body(&mut self, kind: NodeKind) -> bool {
        self.start(kind);
        if kind == NodeKind::Response {
            self.bump();
        }
        let mut good = self.expect(TokenKind::OpenParen, "`(`");
        if good && !self.at(TokenKind::CloseParen) {
            good = self.data_type();
        }
        good = good && self.expect(TokenKind::CloseParen, "`)`");
        self.finish();
        good
    }
}
