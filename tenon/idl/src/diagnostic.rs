//! Where something stands in a contract, and what is wrong with it there.

use std::fmt;

/// One finding in a contract file: where it is, what is wrong, and what to do.
///
/// The `Display` form is one line, `file:line:column: message; expected a, b; hint: text`,
/// which editors and terminals turn into a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The path of the file, as the source loader knows it.
    pub file: String,
    /// The bytes of the file that the finding is about.
    pub span: Span,
    /// Line of the start of `span`, counted from 1.
    pub line: usize,
    /// Column of the start of `span`, counted from 1 in characters, not in bytes.
    pub column: usize,
    /// What is wrong: lower case, no final stop.
    pub message: String,
    /// What would have been accepted at this place; empty where that is no short list.
    pub expected: Vec<String>,
    /// What to do next, where the message does not already say it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// A finding at `span` of the file `file`, whose lines are `lines`.
    #[must_use]
    pub fn new(file: &str, lines: &LineMap, span: Span, message: impl Into<String>) -> Self {
        let (line, column) = lines.position(span.start);
        Self {
            file: file.to_owned(),
            span,
            line,
            column,
            message: message.into(),
            expected: Vec::new(),
            hint: None,
        }
    }

    /// The same finding with a list of what would have been accepted.
    #[must_use]
    pub fn expecting<S: Into<String>>(mut self, expected: impl IntoIterator<Item = S>) -> Self {
        self.expected = expected.into_iter().map(Into::into).collect();
        self
    }

    /// The same finding with advice.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.file, self.line, self.column, self.message
        )?;
        if !self.expected.is_empty() {
            write!(f, "; expected {}", self.expected.join(", "))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "; hint: {hint}")?;
        }
        Ok(())
    }
}

/// A half-open range of byte offsets into one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
}

impl Span {
    /// The span from `start` up to, not including, `end`.
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The smallest span that holds both.
    #[must_use]
    pub fn to(self, other: Span) -> Span {
        Span::new(self.start.min(other.start), self.end.max(other.end))
    }
}

/// Turns byte offsets of one text into lines and columns.
///
/// It keeps the text's line starts, and for each line with characters outside ASCII the
/// offsets of its characters, so that a column counts characters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LineMap {
    line_starts: Vec<usize>,
    /// Byte offset and byte length of every character that is longer than one byte.
    wide: Vec<(usize, usize)>,
}

impl LineMap {
    /// Reads the lines of `text`. A line ends at `\n`; a `\r` before it belongs to the line.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut line_starts = vec![0];
        let mut wide = Vec::new();
        for (offset, character) in text.char_indices() {
            if character == '\n' {
                line_starts.push(offset + 1);
            } else if character.len_utf8() > 1 {
                wide.push((offset, character.len_utf8()));
            }
        }
        Self { line_starts, wide }
    }

    /// Line and column of a byte offset, both from 1; the column counts characters.
    ///
    /// An offset past the end of the text is counted on its last line.
    #[must_use]
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let line = self
            .line_starts
            .partition_point(|start| *start <= offset)
            .max(1);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let from = self.wide.partition_point(|(at, _)| *at < start);
        let extra: usize = self
            .wide
            .iter()
            .skip(from)
            .take_while(|(at, _)| *at < offset)
            .map(|(_, len)| len - 1)
            .sum();
        (line, (offset - start).saturating_sub(extra) + 1)
    }

    /// The line of a byte offset, counted from 1.
    #[must_use]
    pub fn line(&self, offset: usize) -> usize {
        self.position(offset).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let map = LineMap::new("a\n患者 x\r\n🙂y");
        assert_eq!(map.position(0), (1, 1));
        let x = "a\n患者 ".len();
        assert_eq!(map.position(x), (2, 4));
        let y = "a\n患者 x\r\n🙂".len();
        assert_eq!(map.position(y), (3, 2));
        assert_eq!(map.position(y + 1), (3, 3));
    }

    #[test]
    fn empty_text_has_one_line() {
        assert_eq!(LineMap::new("").position(0), (1, 1));
    }
}
