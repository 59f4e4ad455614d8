//! Text to tokens: every byte of the text is in exactly one token, comments and white space
//! included, so that a tree over the tokens loses nothing.
//!
//! The lexer knows no context and never fails. Text that cannot be part of a contract becomes
//! [`TokenKind::Unknown`], an unclosed string or block comment a token of its own kind that
//! [`Token::closed`] tells apart. Durations and paths are not tokens: the parser puts them
//! together from tokens without a gap.

use crate::diagnostic::Span;

/// The kinds of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Blanks, tabs and line ends.
    Whitespace,
    /// `// ...` without the line end.
    LineComment,
    /// `/* ... */`.
    BlockComment,
    /// `[A-Za-z_][A-Za-z0-9_]*`.
    Ident,
    /// `[0-9]+`.
    Int,
    /// `"..."` without escapes; may span lines.
    String,
    /// `` `...` ``; may span lines.
    Raw,
    /// `@` and the identifier behind it.
    At,
    /// `(`.
    OpenParen,
    /// `)`.
    CloseParen,
    /// `{`.
    OpenBrace,
    /// `}`.
    CloseBrace,
    /// `[`.
    OpenBracket,
    /// `]`.
    CloseBracket,
    /// `:`.
    Colon,
    /// `,`.
    Comma,
    /// `;`.
    Semicolon,
    /// `=`.
    Equals,
    /// `*`.
    Star,
    /// `-`.
    Minus,
    /// `/`.
    Slash,
    /// `.`.
    Dot,
    /// `...`.
    Ellipsis,
    /// A byte order mark at the start of the file.
    ByteOrderMark,
    /// Anything else; neighbours outside ASCII are one token.
    Unknown,
}

impl TokenKind {
    /// Whether the token has no meaning for the grammar: white space or a comment.
    #[must_use]
    pub fn is_trivia(self) -> bool {
        self == TokenKind::Whitespace || self.is_comment()
    }

    /// Whether the token is a comment.
    #[must_use]
    pub fn is_comment(self) -> bool {
        matches!(self, TokenKind::LineComment | TokenKind::BlockComment)
    }
}

/// A token: its kind and its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// The kind.
    pub kind: TokenKind,
    /// The bytes of the text.
    pub span: Span,
    /// False for a string, raw string or block comment whose end is missing.
    pub closed: bool,
}

/// Cuts `text` into tokens. The spans follow each other without gaps from 0 to its length.
#[must_use]
pub fn tokenize(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut start = 0;
    while let Some(rest) = text.get(start..).filter(|rest| !rest.is_empty()) {
        let (kind, length, closed) = scan(rest, start == 0);
        // Invariant: every scan takes at least one character, so the loop ends.
        let end = start + length.max(rest.chars().next().map_or(1, char::len_utf8));
        tokens.push(Token {
            kind,
            span: Span::new(start, end),
            closed,
        });
        start = end;
    }
    tokens
}

/// Kind, length in bytes and closedness of the token at the start of `rest`.
fn scan(rest: &str, at_file_start: bool) -> (TokenKind, usize, bool) {
    let Some(first) = rest.chars().next() else {
        return (TokenKind::Unknown, 0, true);
    };
    match first {
        ' ' | '\t' | '\r' | '\n' => (
            TokenKind::Whitespace,
            run(rest, |c| matches!(c, ' ' | '\t' | '\r' | '\n')),
            true,
        ),
        '/' if rest.starts_with("//") => (TokenKind::LineComment, line_comment(rest), true),
        '/' if rest.starts_with("/*") => delimited(TokenKind::BlockComment, rest, 2, "*/"),
        '"' => delimited(TokenKind::String, rest, 1, "\""),
        '`' => delimited(TokenKind::Raw, rest, 1, "`"),
        '0'..='9' => (TokenKind::Int, run(rest, |c| c.is_ascii_digit()), true),
        '@' => (TokenKind::At, 1 + run(&rest[1..], is_ident), true),
        '.' if rest.starts_with("...") => (TokenKind::Ellipsis, 3, true),
        '\u{feff}' if at_file_start => (TokenKind::ByteOrderMark, first.len_utf8(), true),
        c if is_ident(c) => (TokenKind::Ident, run(rest, is_ident), true),
        c if c.is_ascii() => (punctuation(c), 1, true),
        _ => (TokenKind::Unknown, run(rest, |c| !c.is_ascii()), true),
    }
}

fn punctuation(character: char) -> TokenKind {
    match character {
        '(' => TokenKind::OpenParen,
        ')' => TokenKind::CloseParen,
        '{' => TokenKind::OpenBrace,
        '}' => TokenKind::CloseBrace,
        '[' => TokenKind::OpenBracket,
        ']' => TokenKind::CloseBracket,
        ':' => TokenKind::Colon,
        ',' => TokenKind::Comma,
        ';' => TokenKind::Semicolon,
        '=' => TokenKind::Equals,
        '*' => TokenKind::Star,
        '-' => TokenKind::Minus,
        '/' => TokenKind::Slash,
        '.' => TokenKind::Dot,
        _ => TokenKind::Unknown,
    }
}

/// A digit may not start an identifier, but `scan` has taken digits before it asks.
fn is_ident(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

fn run(text: &str, accept: impl Fn(char) -> bool) -> usize {
    text.find(|c| !accept(c)).unwrap_or(text.len())
}

/// Length of a line comment: up to the line end, which stays white space, `\r\n` included.
fn line_comment(rest: &str) -> usize {
    let line = rest.find('\n').unwrap_or(rest.len());
    if line > 0 && line < rest.len() && rest.as_bytes().get(line - 1) == Some(&b'\r') {
        line - 1
    } else {
        line
    }
}

/// A token from an opening of `open` bytes to `close`. Without a `close` a block comment takes
/// the rest of the file, a string only its line: what follows is likely meant as code.
fn delimited(kind: TokenKind, rest: &str, open: usize, close: &str) -> (TokenKind, usize, bool) {
    match rest.get(open..).and_then(|body| body.find(close)) {
        Some(at) => (kind, open + at + close.len(), true),
        None if kind == TokenKind::BlockComment => (kind, rest.len(), false),
        None => (kind, line_comment(rest).max(open), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(TokenKind, &str)> {
        tokenize(text)
            .into_iter()
            .map(|token| (token.kind, &text[token.span.start..token.span.end]))
            .collect()
    }

    #[test]
    fn comments_leave_the_line_end_alone() {
        assert_eq!(
            kinds("a// x\r\nb"),
            [
                (TokenKind::Ident, "a"),
                (TokenKind::LineComment, "// x"),
                (TokenKind::Whitespace, "\r\n"),
                (TokenKind::Ident, "b"),
            ]
        );
    }

    #[test]
    fn an_unclosed_string_ends_with_its_line() {
        let tokens = tokenize("\"ab\nc");
        assert_eq!((tokens[0].span, tokens[0].closed), (Span::new(0, 3), false));
        assert_eq!(tokens[2].kind, TokenKind::Ident);
    }

    #[test]
    fn digits_and_letters_are_two_tokens() {
        assert_eq!(
            kinds("2fa"),
            [(TokenKind::Int, "2"), (TokenKind::Ident, "fa")]
        );
    }
}
