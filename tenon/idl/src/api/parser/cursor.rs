//! The parser's machinery: looking at tokens, taking them into the tree, reporting errors.
//!
//! The cursor runs over the meaningful tokens; white space and comments in between go into
//! the tree on the way.

use crate::api::lexer::{Token, TokenKind, tokenize};
use crate::api::tree::{NodeKind, Tree, TreeBuilder};
use crate::diagnostic::{Diagnostic, LineMap, Span};

/// Types may be nested this deep; the limit keeps hostile input from exhausting the stack.
pub(super) const MAX_DEPTH: usize = 64;

pub(super) struct Parser<'t> {
    text: &'t str,
    file: &'t str,
    lines: LineMap,
    tokens: Vec<Token>,
    /// Indices of the meaningful tokens.
    significant: Vec<usize>,
    /// The next meaningful token, as an index into `significant`.
    cursor: usize,
    /// The next token that the tree does not have yet, as an index into `tokens`.
    flushed: usize,
    builder: TreeBuilder,
    diagnostics: Vec<Diagnostic>,
    /// How deep the type at the cursor is nested.
    pub(super) depth: usize,
}

/// The error just reported, open for advice.
pub(super) struct Reported<'d> {
    diagnostic: Option<&'d mut Diagnostic>,
}

impl Reported<'_> {
    pub(super) fn hint(self, hint: impl Into<String>) {
        if let Some(diagnostic) = self.diagnostic {
            diagnostic.hint = Some(hint.into());
        }
    }

    pub(super) fn expecting(self, expected: &str) {
        if let Some(diagnostic) = self.diagnostic {
            diagnostic.expected = vec![expected.to_owned()];
        }
    }

    /// Advice for when the character itself gave none.
    pub(super) fn or_hint(self, hint: &str) {
        if let Some(diagnostic) = self.diagnostic {
            diagnostic.hint.get_or_insert_with(|| hint.to_owned());
        }
    }
}

impl<'t> Parser<'t> {
    pub(super) fn new(text: &'t str, file: &'t str) -> Self {
        let tokens = tokenize(text);
        let significant = (0..tokens.len())
            .filter(|index| !tokens[*index].kind.is_trivia())
            .collect();
        Self {
            text,
            file,
            lines: LineMap::new(text),
            tokens,
            significant,
            cursor: 0,
            flushed: 0,
            builder: TreeBuilder::new(),
            diagnostics: Vec::new(),
            depth: 0,
        }
    }

    pub(super) fn into_tree(mut self) -> (Tree, Vec<Diagnostic>) {
        while self.flushed < self.tokens.len() {
            self.builder.token(self.flushed);
            self.flushed += 1;
        }
        self.report_unclosed();
        self.diagnostics.sort_by_key(|diagnostic| diagnostic.span);
        (
            self.builder.build(self.text.to_owned(), self.tokens),
            self.diagnostics,
        )
    }

    /// An unclosed token explains what follows it, so it goes in place of other errors there.
    fn report_unclosed(&mut self) {
        for token in self.tokens.iter().filter(|token| !token.closed) {
            let (what, close, hint) = match token.kind {
                TokenKind::BlockComment => (
                    "the comment",
                    "`*/`",
                    Some("`/*` opens a comment inside a path too; a path has no wildcards"),
                ),
                TokenKind::Raw => ("the raw string", "a backquote", None),
                _ => ("the string", "`\"`", None),
            };
            self.diagnostics.retain(|other| {
                other.span.start < token.span.start || other.span.start > token.span.end
            });
            let mut diagnostic = Diagnostic::new(
                self.file,
                &self.lines,
                token.span,
                format!("{what} is not closed"),
            )
            .expecting([close]);
            diagnostic.hint = hint.map(str::to_owned);
            self.diagnostics.push(diagnostic);
        }
    }

    // Looking.

    pub(super) fn position(&self) -> usize {
        self.cursor
    }

    pub(super) fn at_end(&self) -> bool {
        self.cursor >= self.significant.len()
    }

    fn token_at(&self, ahead: usize) -> Option<&Token> {
        self.significant
            .get(self.cursor + ahead)
            .and_then(|index| self.tokens.get(*index))
    }

    pub(super) fn kind_at(&self, ahead: usize) -> Option<TokenKind> {
        self.token_at(ahead).map(|token| token.kind)
    }

    pub(super) fn text_at(&self, ahead: usize) -> &'t str {
        self.token_at(ahead)
            .and_then(|token| self.text.get(token.span.start..token.span.end))
            .unwrap_or("")
    }

    pub(super) fn kind(&self) -> Option<TokenKind> {
        self.kind_at(0)
    }

    pub(super) fn text(&self) -> &'t str {
        self.text_at(0)
    }

    pub(super) fn at(&self, kind: TokenKind) -> bool {
        self.kind() == Some(kind)
    }

    pub(super) fn at_word(&self, word: &str) -> bool {
        self.at(TokenKind::Ident) && self.text() == word
    }

    fn previous(&self) -> Option<&Token> {
        let index = self.significant.get(self.cursor.checked_sub(1)?)?;
        self.tokens.get(*index)
    }

    pub(super) fn previous_text(&self) -> &'t str {
        self.previous()
            .and_then(|token| self.text.get(token.span.start..token.span.end))
            .unwrap_or("")
    }

    pub(super) fn previous_kind(&self) -> Option<TokenKind> {
        self.previous().map(|token| token.kind)
    }

    /// Whether the token `ahead` touches the one before it.
    pub(super) fn is_adjacent_at(&self, ahead: usize) -> bool {
        let index = self.cursor + ahead;
        match (
            index
                .checked_sub(1)
                .and_then(|index| self.significant.get(index)),
            self.significant.get(index),
        ) {
            (Some(before), Some(here)) => before + 1 == *here,
            _ => false,
        }
    }

    pub(super) fn is_adjacent(&self) -> bool {
        self.is_adjacent_at(0)
    }

    /// Whether the token `ahead` starts on a later line than the one before it ends.
    pub(super) fn on_new_line_at(&self, ahead: usize) -> bool {
        let index = self.cursor + ahead;
        match (
            index
                .checked_sub(1)
                .and_then(|index| self.significant.get(index)),
            self.significant.get(index),
        ) {
            (Some(before), Some(here)) => {
                self.lines.line(self.tokens[*before].span.end)
                    < self.lines.line(self.tokens[*here].span.start)
            }
            _ => true,
        }
    }

    pub(super) fn on_new_line(&self) -> bool {
        self.on_new_line_at(0)
    }

    /// Whether a statement of the file starts here, judged by enough tokens to tell it from a
    /// field or a key with such a name.
    pub(super) fn starts_statement(&self) -> bool {
        let next = self.kind_at(1);
        match (self.kind(), self.text()) {
            (Some(TokenKind::At), "@server") => {
                // `@server(handler: x)` inside a service is the old way to name a handler.
                !(next == Some(TokenKind::OpenParen) && self.text_at(2) == "handler")
            }
            (Some(TokenKind::Ident), "syntax") => next == Some(TokenKind::Equals),
            (Some(TokenKind::Ident), "info") => next == Some(TokenKind::OpenParen),
            (Some(TokenKind::Ident), "import") => {
                matches!(next, Some(TokenKind::String | TokenKind::OpenParen))
            }
            (Some(TokenKind::Ident), "service") => {
                next == Some(TokenKind::Ident)
                    && matches!(
                        self.kind_at(2),
                        Some(TokenKind::Minus | TokenKind::OpenBrace)
                    )
            }
            (Some(TokenKind::Ident), "type") => match next {
                Some(TokenKind::OpenParen) => true,
                Some(TokenKind::Ident) if self.text_at(1) != "struct" => {
                    matches!(
                        self.kind_at(2),
                        Some(TokenKind::OpenBrace | TokenKind::Equals)
                    ) || self.text_at(2) == "struct"
                }
                _ => false,
            },
            _ => false,
        }
    }

    // Taking.

    /// Opens a node at the next meaningful token.
    pub(super) fn start(&mut self, kind: NodeKind) {
        let next = self
            .significant
            .get(self.cursor)
            .copied()
            .unwrap_or(self.flushed);
        while self.flushed < next {
            self.builder.token(self.flushed);
            self.flushed += 1;
        }
        self.builder.start(kind);
    }

    pub(super) fn finish(&mut self) {
        self.builder.finish();
    }

    /// Takes the next meaningful token, with what is in front of it, into the open node.
    pub(super) fn bump(&mut self) {
        let Some(next) = self.significant.get(self.cursor).copied() else {
            return;
        };
        while self.flushed <= next {
            self.builder.token(self.flushed);
            self.flushed += 1;
        }
        self.cursor += 1;
    }

    /// Takes a token of this kind, or reports what is there instead.
    pub(super) fn expect(&mut self, kind: TokenKind, name: &str) -> bool {
        let found = self.at(kind);
        if found {
            self.bump();
        } else {
            self.unexpected(&[name]);
        }
        found
    }

    pub(super) fn skip_one(&mut self) {
        self.start(NodeKind::Error);
        self.bump();
        self.finish();
    }

    /// Skips one token, then up to the line end, the bracket that closes the block, or the
    /// next statement. Brackets that open in between are skipped with what they hold.
    pub(super) fn skip_line(&mut self) {
        self.start(NodeKind::Error);
        let mut open = 0_usize;
        loop {
            match self.kind() {
                Some(TokenKind::OpenParen | TokenKind::OpenBrace) => open += 1,
                Some(TokenKind::CloseParen | TokenKind::CloseBrace) => {
                    open = open.saturating_sub(1)
                }
                _ => {}
            }
            self.bump();
            let closes = open == 0
                && matches!(
                    self.kind(),
                    Some(TokenKind::CloseParen | TokenKind::CloseBrace)
                );
            if self.at_end() || self.on_new_line() || closes || self.starts_statement() {
                break;
            }
        }
        self.finish();
    }

    /// Skips what is left of the line, which may be nothing.
    pub(super) fn skip_rest(&mut self) {
        let closes = matches!(
            self.kind(),
            Some(TokenKind::CloseParen | TokenKind::CloseBrace)
        );
        if !self.at_end() && !self.on_new_line() && !closes && !self.starts_statement() {
            self.skip_line();
        }
    }

    // Reporting.

    /// Reports the next token as one that does not fit.
    pub(super) fn unexpected(&mut self, expected: &[&str]) -> Reported<'_> {
        let (message, hint) = match self.kind() {
            None => ("unexpected end of file".to_owned(), None),
            Some(TokenKind::Unknown) => {
                let character = self.text().chars().next().unwrap_or(' ');
                let hint = replacement(character);
                (
                    format!("unexpected character `{}`", character.escape_debug()),
                    hint,
                )
            }
            Some(_) => (format!("unexpected `{}`", shortened(self.text())), None),
        };
        let span = self.span_here();
        let reported = self.error_at(span, message);
        match reported.diagnostic {
            Some(diagnostic) => {
                diagnostic.expected = expected.iter().map(|item| (*item).to_owned()).collect();
                diagnostic.hint = hint;
                Reported {
                    diagnostic: Some(diagnostic),
                }
            }
            None => Reported { diagnostic: None },
        }
    }

    pub(super) fn error_here(&mut self, message: impl Into<String>) -> Reported<'_> {
        let span = self.span_here();
        self.error_at(span, message)
    }

    /// Reports at the token that was taken last.
    pub(super) fn error_behind(&mut self, message: impl Into<String>) -> Reported<'_> {
        let span = self
            .previous()
            .map_or_else(Span::default, |token| token.span);
        self.error_at(span, message)
    }

    /// Reports at `span`, but only once for each start: a second error there would speak of
    /// the same fault.
    fn error_at(&mut self, span: Span, message: impl Into<String>) -> Reported<'_> {
        if self
            .diagnostics
            .iter()
            .rev()
            .take(4)
            .any(|other| other.span.start == span.start)
        {
            return Reported { diagnostic: None };
        }
        self.diagnostics
            .push(Diagnostic::new(self.file, &self.lines, span, message));
        Reported {
            diagnostic: self.diagnostics.last_mut(),
        }
    }

    fn span_here(&self) -> Span {
        self.token_at(0).map_or_else(
            || Span::new(self.text.len(), self.text.len()),
            |token| token.span,
        )
    }

    /// `//` and `/*` start a comment inside a path too, which silently cuts the path off.
    pub(super) fn reject_comment_in_path(&mut self) {
        let Some(last) = self
            .cursor
            .checked_sub(1)
            .and_then(|index| self.significant.get(index))
            .copied()
        else {
            return;
        };
        let Some(comment) = self
            .tokens
            .get(last + 1)
            .filter(|token| token.kind.is_comment())
        else {
            return;
        };
        let span = comment.span;
        self.error_at(span, "a comment starts inside a path or right behind it")
            .hint("write one slash, or a blank before the comment");
    }
}

fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or("");
    if line.chars().count() <= 30 && line.len() == text.len() {
        return text.to_owned();
    }
    format!("{}...", line.chars().take(27).collect::<String>())
}

/// Advice for a character that people meant as another.
fn replacement(character: char) -> Option<String> {
    let plain = match character {
        '（' => '(',
        '）' => ')',
        '｛' => '{',
        '｝' => '}',
        '：' => ':',
        '，' => ',',
        '；' => ';',
        '“' | '”' => '"',
        '‘' | '’' => '`',
        '＝' => '=',
        '／' => '/',
        '\u{3000}' | '\u{a0}' => return Some("it is a wide blank; write a plain one".to_owned()),
        '\u{feff}' => return Some("it is a byte order mark; remove it".to_owned()),
        other if other.is_alphabetic() => {
            return Some(
                "names are ASCII letters, digits and `_`; other text belongs into quotes or comments"
                    .to_owned(),
            );
        }
        _ => return None,
    };
    Some(format!("write `{plain}`"))
}
