//! Field tags: `` `json:"name,optional,range=[0:10)" validate:"min=1"` `` taken apart.
//!
//! The outer form is Go's: `key:"value"` pairs with escapes in the value. The inner form is
//! go-zero's: a name, then options separated by commas; a comma inside brackets or behind a
//! backslash does not separate.

use crate::diagnostic::Span;

/// One `key:"value"` of a tag.
#[derive(Debug, Clone)]
pub(super) struct Tag {
    /// The key, e.g. `json`.
    pub(super) key: String,
    /// The whole pair.
    pub(super) span: Span,
    /// The characters of the value without escapes, each with its offset in the file.
    value: Vec<(char, usize)>,
}

/// A part of a tag's value between commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) text: String,
    pub(super) span: Span,
}

/// Why a tag cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) span: Span,
    pub(super) message: String,
}

impl Tag {
    /// The value without escapes.
    pub(super) fn text(&self) -> String {
        self.value.iter().map(|(character, _)| character).collect()
    }

    /// The value, split at commas: the name, then the options.
    pub(super) fn parts(&self) -> Vec<Part> {
        let mut parts = vec![Part {
            text: String::new(),
            span: Span::new(self.start(), self.start()),
        }];
        let mut in_brackets = false;
        let mut escaped = false;
        for (character, offset) in &self.value {
            let separates = *character == ',' && !in_brackets && !escaped;
            if separates {
                parts.push(Part {
                    text: String::new(),
                    span: Span::new(offset + 1, offset + 1),
                });
                continue;
            }
            let Some(part) = parts.last_mut() else {
                continue;
            };
            match character {
                '[' | '(' if !escaped && part.text.ends_with('=') => in_brackets = true,
                ']' | ')' if !escaped => in_brackets = false,
                ',' if escaped => {
                    part.text.pop();
                }
                _ => {}
            }
            escaped = *character == '\\' && !escaped;
            part.text.push(*character);
            part.span.end = offset + character.len_utf8();
        }
        for part in &mut parts {
            let leading = part.text.len() - part.text.trim_start().len();
            part.span.start += leading;
            part.text = part.text.trim().to_owned();
        }
        parts
    }

    fn start(&self) -> usize {
        self.value
            .first()
            .map_or(self.span.end, |(_, offset)| *offset)
    }
}

/// Reads the text between the backquotes; `base` is its offset in the file.
pub(super) fn parse(text: &str, base: usize) -> Result<Vec<Tag>, Malformed> {
    let mut tags = Vec::new();
    let mut rest = 0;
    loop {
        let tail = text.get(rest..).unwrap_or("");
        let start = rest + (tail.len() - tail.trim_start().len());
        let tail = text.get(start..).unwrap_or("");
        if tail.is_empty() {
            return Ok(tags);
        }
        let (tag, length) = pair(tail, base + start)?;
        tags.push(tag);
        rest = start + length;
    }
}

/// One pair at the start of `text`, and its length in bytes.
fn pair(text: &str, base: usize) -> Result<(Tag, usize), Malformed> {
    let fail = |length: usize, message: String| Malformed {
        span: Span::new(base, base + length),
        message,
    };
    let key_end = text
        .find(|c: char| c == ':' || c == '"' || c.is_whitespace())
        .unwrap_or(text.len());
    let key = &text[..key_end];
    let word = text.find(char::is_whitespace).unwrap_or(text.len());
    if key.is_empty() || !text[key_end..].starts_with(':') {
        return Err(fail(
            word.max(1),
            format!(
                "the tag has `{}` where a `key:\"value\"` belongs",
                &text[..word]
            ),
        ));
    }
    let open = key_end + 1;
    if !text[open..].starts_with('"') {
        return Err(fail(
            open,
            format!("the value of tag `{key}` is not in double quotes right behind the colon"),
        ));
    }
    let mut value = Vec::new();
    let mut characters = text[open + 1..].char_indices();
    while let Some((at, character)) = characters.next() {
        let offset = open + 1 + at;
        match character {
            '"' => {
                let span = Span::new(base, base + offset + 1);
                return Ok((
                    Tag {
                        key: key.to_owned(),
                        span,
                        value,
                    },
                    offset + 1,
                ));
            }
            '\\' => match characters.next() {
                Some((_, next @ ('"' | '\\'))) => value.push((next, base + offset)),
                Some((next_at, next)) => {
                    value.push(('\\', base + offset));
                    value.push((next, base + open + 1 + next_at));
                }
                None => {}
            },
            other => value.push((other, base + offset)),
        }
    }
    Err(fail(
        text.len(),
        format!("the value of tag `{key}` has no closing `\"`"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<String> {
        parse(text, 0).unwrap()[0]
            .parts()
            .into_iter()
            .map(|part| part.text)
            .collect()
    }

    #[test]
    fn options_split_at_free_commas() {
        assert_eq!(
            parts(r#"json:"a,optional,options=[x,y],range=(0:1]""#),
            ["a", "optional", "options=[x,y]", "range=(0:1]"]
        );
        assert_eq!(
            parts(r#"json:"a, default=x\\,y ,z""#),
            ["a", "default=x,y", "z"]
        );
        assert_eq!(parts(r#"json:"a,default=x\,y""#), ["a", "default=x,y"]);
        assert_eq!(parts(r#"json:"""#), [""]);
    }

    #[test]
    fn parts_know_their_place() {
        let tag = &parse("json:\"名,optional\"", 10).unwrap()[0];
        assert_eq!(tag.parts()[1].span, Span::new(20, 28));
    }

    #[test]
    fn malformed_tags_say_where() {
        assert_eq!(parse("json: \"a\"", 3).unwrap_err().span, Span::new(3, 8));
        assert!(
            parse("json:\"a", 0)
                .unwrap_err()
                .message
                .contains("no closing")
        );
        assert!(parse("json", 0).unwrap_err().message.contains("`json`"));
        assert!(parse("a:\"\\", 0).is_err());
    }
}
