//! Comments of a contract as Rust documentation.
//!
//! A comment is plain text; rustdoc reads Markdown. What Markdown, rustdoc's lints or clippy's
//! would take for syntax is escaped, so that any comment passes.

/// The lines of a comment, ready to stand behind `///`; empty lines at both ends are dropped.
pub(crate) fn lines(comment: &[String]) -> Vec<String> {
    let lines: Vec<String> = comment
        .iter()
        .flat_map(|line| line.split('\n'))
        .map(escape)
        .collect();
    let start = lines.iter().take_while(|line| line.is_empty()).count();
    let end = lines
        .iter()
        .rev()
        .take_while(|line| line.is_empty())
        .count();
    let end = lines.len() - end;
    if start < end {
        lines[start..end].to_vec()
    } else {
        Vec::new()
    }
}

/// The lines of a comment, or `otherwise` where there is no comment.
pub(crate) fn lines_or(comment: &[String], otherwise: String) -> Vec<String> {
    let lines = lines(comment);
    if lines.is_empty() {
        vec![otherwise]
    } else {
        lines
    }
}

/// One line of plain text as Markdown that shows it.
pub(crate) fn escape(line: &str) -> String {
    let line = line.trim().replace('\t', " ");
    let mut escaped = String::with_capacity(line.len());
    for (index, word) in line.split(' ').enumerate() {
        if index > 0 {
            escaped.push(' ');
        }
        if word.starts_with("http://") || word.starts_with("https://") {
            let end = word.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '/');
            let rest = escape_word(&word[end.len()..]);
            escaped.push_str(&format!("<{end}>{rest}"));
        } else {
            escaped.push_str(&escape_word(word));
        }
    }
    escape_start(escaped)
}

fn escape_word(word: &str) -> String {
    let mut escaped = String::with_capacity(word.len());
    for character in word.chars() {
        if matches!(
            character,
            '[' | ']' | '<' | '>' | '`' | '*' | '_' | '\\' | '|' | '~'
        ) {
            escaped.push('\\');
        }
        if !character.is_control() {
            escaped.push(character);
        }
    }
    escaped
}

/// Escapes what starts a list, a heading or a rule at the start of a line.
fn escape_start(line: String) -> String {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let rest = &line[digits..];
    if digits > 0 && rest.starts_with(['.', ')']) {
        return format!("{}\\{rest}", &line[..digits]);
    }
    if line.starts_with(['-', '+', '#', '=']) {
        return format!("\\{line}");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_markup_is_escaped() {
        assert_eq!(escape("- a list"), "\\- a list");
        assert_eq!(escape("1. first"), "1\\. first");
        assert_eq!(
            escape("see [x] <T> a_b `c"),
            "see \\[x\\] \\<T\\> a\\_b \\`c"
        );
        assert_eq!(escape("see https://a.b/c_d."), "see <https://a.b/c_d>.");
        assert_eq!(
            escape("入组状态: 1-已入组, 2-已出组"),
            "入组状态: 1-已入组, 2-已出组"
        );
        assert_eq!(escape("    indented"), "indented");
    }

    #[test]
    fn empty_ends_are_dropped() {
        let comment = [
            "".to_owned(),
            " a".to_owned(),
            "".to_owned(),
            "b".to_owned(),
            " ".to_owned(),
        ];
        assert_eq!(lines(&comment), ["a", "", "b"]);
        assert_eq!(lines_or(&["".to_owned()], "x".to_owned()), ["x"]);
    }
}
