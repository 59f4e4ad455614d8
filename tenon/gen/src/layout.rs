//! Writing Rust the way rustfmt would: what fits stays on a line, the rest goes below.
//!
//! Generated text is written, not printed from tokens, so that it has blank lines and comments
//! where a person would put them. The widths are rustfmt's own; a test runs rustfmt over every
//! golden file.

/// The longest line.
const WIDTH: usize = 100;
/// The longest list of arguments, array or chain on one line.
const NARROW: usize = 60;

/// The longest list of options of an attribute on one line.
const ATTRIBUTE: usize = 70;

/// A text under construction, with its indentation.
#[derive(Debug, Default)]
pub(crate) struct Code {
    text: String,
    depth: usize,
}

impl Code {
    /// An empty text.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The text.
    pub(crate) fn finish(self) -> String {
        let mut text = self.text;
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }

    /// One line.
    pub(crate) fn line(&mut self, line: impl AsRef<str>) {
        let line = line.as_ref();
        if !line.is_empty() {
            self.text.push_str(&" ".repeat(self.depth * 4));
            self.text.push_str(line);
        }
        self.text.push('\n');
    }

    /// Several lines, each indented.
    pub(crate) fn lines(&mut self, text: &str) {
        for line in text.lines() {
            self.line(line);
        }
    }

    /// One group of imports, each of one or more lines, in rustfmt's order: a contract crate may
    /// come before or after `tenon`.
    pub(crate) fn imports(&mut self, mut imports: Vec<String>) {
        imports.sort_unstable();
        imports.iter().for_each(|import| self.lines(import));
    }

    /// An empty line, unless one is there or a block just opened.
    pub(crate) fn blank(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") && !self.text.ends_with("{\n") {
            self.text.push('\n');
        }
    }

    /// A line that opens a block.
    pub(crate) fn open(&mut self, line: impl AsRef<str>) {
        self.line(line);
        self.depth += 1;
    }

    /// What follows stands one level deeper; [`Code::close`] ends it.
    pub(crate) fn indent(&mut self) {
        self.depth += 1;
    }

    /// What follows stands one level less deep.
    pub(crate) fn dedent(&mut self) {
        self.depth -= 1;
    }

    /// A line that closes a block; an empty block closes on the line that opened it.
    pub(crate) fn close(&mut self, line: impl AsRef<str>) {
        let line = line.as_ref();
        self.depth -= 1;
        if self.text.ends_with("\n\n") {
            self.text.pop();
        }
        if line.starts_with('}') && self.text.ends_with("{\n") {
            self.text.pop();
            self.text.push_str(line);
            self.text.push('\n');
        } else {
            self.line(line);
        }
    }

    /// Documentation, one line each.
    pub(crate) fn docs(&mut self, lines: &[String]) {
        for line in lines {
            if line.is_empty() {
                self.line("///");
            } else {
                self.line(format!("/// {line}"));
            }
        }
    }

    /// `head` + items + `tail`, on one line where the items are narrow and it fits, else an item
    /// a line.
    pub(crate) fn call(&mut self, head: &str, items: &[String], tail: &str) {
        let joined = items.join(", ");
        if joined.len() <= NARROW && self.fits(&[head, &joined, tail]) {
            self.line(format!("{head}{joined}{tail}"));
        } else {
            self.vertical(head, items, tail);
        }
    }

    /// The signature of a function: on one line where it fits, else a parameter a line.
    pub(crate) fn signature(&mut self, head: &str, params: &[String], tail: &str) {
        let joined = params.join(", ");
        if self.fits(&[head, &joined, tail]) {
            self.line(format!("{head}{joined}{tail}"));
        } else {
            self.vertical(head, params, tail);
        }
    }

    /// An attribute with options, one a line where they are wide.
    pub(crate) fn attribute(&mut self, name: &str, options: &[String]) {
        let joined = options.join(", ");
        if joined.len() <= ATTRIBUTE {
            self.line(format!("#[{name}({joined})]"));
            return;
        }
        self.open(format!("#[{name}("));
        let last = options.len().saturating_sub(1);
        for (index, option) in options.iter().enumerate() {
            self.line(format!("{option}{}", if index == last { "" } else { "," }));
        }
        self.close(")]");
    }

    /// A call in a chain whose last argument is a closure: `.route(&X, |api| async move { .. })`.
    /// `body` is one expression; a closure that is not `async move` needs no block around it.
    pub(crate) fn closure_call(&mut self, name: &str, args: &[String], closure: &str, body: &str) {
        let block = closure.ends_with("move");
        let one_line = match block {
            true => format!("{closure} {{ {body} }}"),
            false => format!("{closure} {body}"),
        };
        let first = args.join(", ");
        let whole = format!("{first}, {one_line}");
        let head = format!("{first}, {closure} {{");
        if width(&whole) <= NARROW && self.fits(&[name, "(", &whole, ")"]) {
            self.line(format!("{name}({whole})"));
        } else if width(&head) <= NARROW && self.fits(&[name, "(", &head]) {
            self.open(format!("{name}({head}"));
            self.line(body);
            self.close("})");
        } else {
            self.open(format!("{name}("));
            for arg in args {
                self.line(format!("{arg},"));
            }
            if self.fits(&[&one_line, ","]) {
                self.line(format!("{one_line},"));
            } else {
                self.open(format!("{closure} {{"));
                self.line(body);
                self.close("},");
            }
            self.close(")");
        }
    }

    /// Names in braces or parentheses, as many a line as fit: imports.
    pub(crate) fn names(&mut self, head: &str, names: &[String], tail: &str) {
        let joined = names.join(", ");
        if self.fits(&[head, &joined, tail]) {
            self.line(format!("{head}{joined}{tail}"));
        } else {
            self.packed(head, names, tail);
        }
    }

    /// `#[derive(...)]`.
    pub(crate) fn derive(&mut self, names: &[String]) {
        let joined = names.join(", ");
        if self.fits(&["#[derive(", &joined, ")]"]) {
            self.line(format!("#[derive({joined})]"));
        } else if self.fits(&["    ", &joined, ","]) {
            self.packed("#[derive(", names, ")]");
        } else {
            self.vertical("#[derive(", names, ")]");
        }
    }

    /// `static` + value: a call, then a chain of calls on it.
    pub(crate) fn constant(&mut self, head: &str, root: &str, args: &[String], calls: &[String]) {
        let joined = args.join(", ");
        let whole = format!("{root}({joined})");
        if width(&joined) > NARROW {
            self.vertical(&format!("{head} {root}("), args, ")");
            self.unfinished_line();
            match calls {
                [] => self.text.push_str(";\n"),
                _ => self.text.push('\n'),
            }
            self.links(calls, ";");
            return;
        }
        let chain = format!("{whole}{};", calls.concat());
        let narrow = calls.len() < 2 || width(&chain) <= NARROW + 1;
        if narrow && self.fits(&[head, " ", &chain]) {
            self.line(format!("{head} {chain}"));
            return;
        }
        let below = !self.fits(&[head, " ", &whole]) || (narrow && self.fits(&["    ", &chain]));
        if below {
            self.open(head);
        } else {
            self.line(format!("{head} {whole}"));
        }
        if below && narrow && self.fits(&[&chain]) {
            self.line(&chain);
        } else {
            if below {
                self.line(format!(
                    "{whole}{}",
                    if calls.is_empty() { ";" } else { "" }
                ));
            }
            self.indent();
            self.links(calls, ";");
            self.dedent();
        }
        if below {
            self.dedent();
        }
    }

    fn unfinished_line(&mut self) {
        if self.text.ends_with('\n') {
            self.text.pop();
        }
    }

    /// The calls of a broken chain, a line each.
    fn links(&mut self, calls: &[String], tail: &str) {
        let last = calls.len().saturating_sub(1);
        for (index, call) in calls.iter().enumerate() {
            self.link(call, if index == last { tail } else { "" });
        }
    }

    /// An array: on one line, packed where all items are short, or an item a line.
    pub(crate) fn array(&mut self, head: &str, items: &[String], tail: &str) {
        let joined = items.join(", ");
        let short = items.iter().all(|item| item.chars().count() <= 10);
        let narrow = width(&joined) <= NARROW;
        if narrow && self.fits(&[head, &joined, tail]) {
            self.line(format!("{head}{joined}{tail}"));
        } else if let Some(name) = head.strip_suffix(" &[").filter(|_| narrow) {
            self.open(name);
            self.line(format!("&[{joined}{tail}"));
            self.dedent();
        } else if short {
            self.packed(head, items, tail);
        } else {
            self.vertical(head, items, tail);
        }
    }

    /// `head` + `root` + calls + `tail`: one line where the chain is narrow, else a call a line.
    pub(crate) fn chain(&mut self, head: &str, root: &str, calls: &[String], tail: &str) {
        let joined = calls.concat();
        let width = width(root) + width(&joined);
        if (width <= NARROW || calls.len() < 2) && self.fits(&[head, root, &joined, tail]) {
            self.line(format!("{head}{root}{joined}{tail}"));
            return;
        }
        self.line(format!("{head}{root}"));
        self.depth += 1;
        self.links(calls, tail);
        self.depth -= 1;
    }

    /// One call of a broken chain; an array that is its only argument may break too.
    fn link(&mut self, call: &str, tail: &str) {
        let array = call
            .split_once("(&[")
            .and_then(|(name, rest)| Some((name, rest.strip_suffix("])")?)));
        match array {
            Some((name, items)) if items.len() > NARROW => {
                let items: Vec<String> = split_items(items);
                self.array(&format!("{name}(&["), &items, &format!("]){tail}"));
            }
            _ => self.line(format!("{call}{tail}")),
        }
    }

    fn vertical(&mut self, head: &str, items: &[String], tail: &str) {
        self.open(head);
        for item in items {
            self.line(format!("{item},"));
        }
        self.close(tail.trim_start());
    }

    fn packed(&mut self, head: &str, items: &[String], tail: &str) {
        self.open(head);
        let mut line = String::new();
        for item in items {
            let room = self.depth * 4 + width(&line) + width(item) + 1;
            if !line.is_empty() && room > WIDTH {
                self.line(line.trim_end());
                line.clear();
            }
            line.push_str(item);
            line.push_str(", ");
        }
        self.line(line.trim_end());
        self.close(tail.trim_start());
    }

    fn fits(&self, parts: &[&str]) -> bool {
        let parts: usize = parts.iter().map(|part| width(part)).sum();
        self.depth * 4 + parts <= WIDTH
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// Splits a list of literals at its commas, not at those inside strings.
fn split_items(list: &str) -> Vec<String> {
    let mut items = Vec::new();
    let mut item = String::new();
    let (mut quoted, mut escaped) = (false, false);
    for character in list.chars() {
        match character {
            ',' if !quoted => items.push(std::mem::take(&mut item)),
            ' ' if item.is_empty() => {}
            other => {
                quoted ^= other == '"' && !escaped;
                escaped = other == '\\' && !escaped;
                item.push(other);
            }
        }
    }
    items.push(item);
    items
}

/// `text` as a Rust string literal.
pub(crate) fn literal(text: &str) -> String {
    let mut literal = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                literal.push('\\');
                literal.push(character);
            }
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            control if control.is_control() => literal.extend(control.escape_unicode()),
            other => literal.push(other),
        }
    }
    literal.push('"');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_break_where_they_are_wide() {
        let mut code = Code::new();
        let calls = [".path(\"id\")".to_owned(), ".required()".to_owned()];
        code.chain("let id = ", "input", &calls, ";");
        let options = "\"recruiting\", \"closed, for now\", \"withdrawn\", \"never opened at all\"";
        let calls = [format!(".one_of(&[{options}])"), ".required()".to_owned()];
        code.chain("let status = ", "input", &calls, ";");
        let expected = concat!(
            "let id = input.path(\"id\").required();\n",
            "let status = input\n",
            "    .one_of(&[\n",
            "        \"recruiting\",\n",
            "        \"closed, for now\",\n",
            "        \"withdrawn\",\n",
            "        \"never opened at all\",\n",
            "    ])\n",
            "    .required();\n",
        );
        assert_eq!(code.finish(), expected);
    }

    #[test]
    fn literals_are_escaped() {
        assert_eq!(literal("a\"b\\\n\u{7}阿"), "\"a\\\"b\\\\\\n\\u{7}阿\"");
    }
}
