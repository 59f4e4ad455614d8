//! Path templates of `google.api.http`: read, checked, and filled from a path.
//!
//! Source: `google/api/http.proto`, "Path template syntax":
//!
//! ```text
//! Template = "/" Segments [ Verb ] ;
//! Segments = Segment { "/" Segment } ;
//! Segment  = "*" | "**" | LITERAL | Variable ;
//! Variable = "{" FieldPath [ "=" Segments ] "}" ;
//! FieldPath = IDENT { "." IDENT } ;
//! Verb     = ":" LITERAL ;
//! ```

use std::{fmt, ops::Range};

/// The longest template in segments: the longest path that a server takes has 8 KiB, and no
/// contract comes near this.
const SEGMENTS_MAX: usize = 64;

/// A template, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    segments: Vec<Segment>,
    verb: Option<String>,
    variables: Vec<Variable>,
}

/// One part of a path between slashes, as a template has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// This text.
    Literal(String),
    /// `*`: one segment that is not empty.
    One,
    /// `**`: all segments that are left, also none.
    Rest,
}

/// A field that takes its value from a part of the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// The path of the field, `book.name`.
    pub field: Vec<String>,
    /// The segments that it takes.
    range: Range<usize>,
    /// Whether slashes belong to the value: `{name=shelves/*}` and `{path=**}`.
    many: bool,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// It does not follow the grammar, a `**` is not its last segment, or a field stands twice.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let reader = Reader { text, at: 0 };
        reader.template().map_err(|problem| TemplateError {
            template: text.to_owned(),
            problem,
        })
    }

    /// The segments, variables opened up.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// What follows the last colon: `open` of `/v1/{name=shelves/*}:open`.
    pub fn verb(&self) -> Option<&str> {
        self.verb.as_deref()
    }

    /// The fields that take values from the path, in its order.
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }
}

impl Variable {
    /// The value in a path that fits the template, given as its segments still percent-encoded
    /// and without the verb. `None` when its encoding is broken or not UTF-8.
    ///
    /// A value of one segment is decoded wholly. In one of several, `%2F` stays as it is, so that
    /// a slash that is data is told apart from one that divides (`google/api/http.proto`).
    pub fn value(&self, path: &[&str]) -> Option<String> {
        let end = if self.many_to_the_end() {
            path.len()
        } else {
            self.range.end.min(path.len())
        };
        let taken = path.get(self.range.start..end).unwrap_or_default();
        if !self.many {
            return decode(taken.first().copied().unwrap_or_default(), false);
        }
        let mut value = String::new();
        for (at, segment) in taken.iter().enumerate() {
            if at > 0 {
                value.push('/');
            }
            value.push_str(&decode(segment, true)?);
        }
        Some(value)
    }

    /// A variable that ends in `**` takes whatever is left.
    fn many_to_the_end(&self) -> bool {
        self.range.end == usize::MAX
    }
}

/// Decodes percent-encoding; `None` when it is broken or the outcome is not UTF-8.
pub(crate) fn decode(text: &str, keep_slash: bool) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = after;
            continue;
        }
        let (digits, after) = after.split_at_checked(2)?;
        let byte = hex(digits[0])? << 4 | hex(digits[1])?;
        if keep_slash && byte == b'/' {
            bytes.extend_from_slice(&rest[..3]);
        } else {
            bytes.push(byte);
        }
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// Reads a template from left to right.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn template(mut self) -> Result<Template, String> {
        self.expect('/')?;
        let mut template = Template {
            segments: Vec::new(),
            verb: None,
            variables: Vec::new(),
        };
        self.segments(&mut template, true)?;
        if self.take(':') {
            template.verb = Some(self.literal()?);
        }
        if self.at < self.text.len() {
            return Err(format!("unexpected `{}`", self.rest()));
        }
        let count = template.segments.len();
        if count > SEGMENTS_MAX {
            return Err(format!("it has more than {SEGMENTS_MAX} segments"));
        }
        let inner = &template.segments[..count - 1];
        if inner.contains(&Segment::Rest) {
            return Err("`**` must be the last segment".to_owned());
        }
        for (at, variable) in template.variables.iter().enumerate() {
            if template.variables[..at]
                .iter()
                .any(|other| other.field == variable.field)
            {
                let field = variable.field.join(".");
                return Err(format!("the field `{field}` stands twice"));
            }
        }
        Ok(template)
    }

    fn segments(&mut self, template: &mut Template, outside: bool) -> Result<(), String> {
        loop {
            self.segment(template, outside)?;
            if !self.take('/') {
                return Ok(());
            }
        }
    }

    fn segment(&mut self, template: &mut Template, outside: bool) -> Result<(), String> {
        if self.take('*') {
            let segment = if self.take('*') {
                Segment::Rest
            } else {
                Segment::One
            };
            template.segments.push(segment);
        } else if self.rest().starts_with('{') {
            if !outside {
                return Err("a variable stands within a variable".to_owned());
            }
            self.variable(template)?;
        } else {
            let text = self.literal()?;
            template.segments.push(Segment::Literal(text));
        }
        Ok(())
    }

    fn variable(&mut self, template: &mut Template) -> Result<(), String> {
        self.expect('{')?;
        let mut field = vec![self.identifier()?];
        while self.take('.') {
            field.push(self.identifier()?);
        }
        let start = template.segments.len();
        if self.take('=') {
            self.segments(template, false)?;
        } else {
            template.segments.push(Segment::One);
        }
        self.expect('}')?;
        let own = &template.segments[start..];
        let open = own.last() == Some(&Segment::Rest);
        template.variables.push(Variable {
            field,
            many: own.len() > 1 || open,
            range: start..if open {
                usize::MAX
            } else {
                template.segments.len()
            },
        });
        Ok(())
    }

    /// Text that means itself.
    fn literal(&mut self) -> Result<String, String> {
        let rest = self.rest();
        let end = rest
            .find(|c: char| {
                matches!(c, '/' | '{' | '}' | '*' | ':' | '=' | '?' | '#') || c.is_whitespace()
            })
            .unwrap_or(rest.len());
        if end == 0 {
            return Err(self.missing("a segment"));
        }
        let text = rest[..end].to_owned();
        self.at += end;
        decode(&text, false).ok_or_else(|| format!("the encoding of `{text}` is broken"))
    }

    fn identifier(&mut self) -> Result<String, String> {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        if end == 0 || rest.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.missing("the name of a field"));
        }
        self.at += end;
        Ok(rest[..end].to_owned())
    }

    fn take(&mut self, expected: char) -> bool {
        let found = self.rest().starts_with(expected);
        if found {
            self.at += expected.len_utf8();
        }
        found
    }

    fn expect(&mut self, expected: char) -> Result<(), String> {
        if self.take(expected) {
            return Ok(());
        }
        Err(self.missing(&format!("`{expected}`")))
    }

    fn missing(&self, expected: &str) -> String {
        match self.rest() {
            "" => format!("it ends where {expected} was expected"),
            rest => format!("expected {expected} before `{rest}`"),
        }
    }
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }
}

/// Text that is not a path template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    template: String,
    problem: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the path template `{}`: {}", self.template, self.problem)
    }
}

impl std::error::Error for TemplateError {}
