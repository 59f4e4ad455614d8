//! Debug prints that show which fields there are, and of the personal ones no more than that.

use crate::layout::{Code, literal};

/// Of a struct: its Rust name, the name that is shown, and of each field the Rust name and whether
/// it is hidden.
pub(crate) fn write_struct(code: &mut Code, rust: &str, shown: &str, fields: &[(&str, bool)]) {
    open(code, rust);
    code.line(format!(
        "let mut shown = f.debug_struct({});",
        literal(shown)
    ));
    for (name, is_hidden) in fields {
        let shown = literal(name.trim_start_matches("r#"));
        match is_hidden {
            true => code.line(format!("shown.field({shown}, &::tenon::Hidden);")),
            false => code.line(format!("shown.field({shown}, &self.{name});")),
        }
    }
    code.line("shown.finish()");
    close(code);
}

/// Of an enum whose variants hold one value each: its name, and of each variant the name and
/// whether its value is hidden.
pub(crate) fn write_enum(code: &mut Code, rust: &str, variants: &[(&str, bool)]) {
    open(code, rust);
    code.open("match self {");
    for (name, is_hidden) in variants {
        let (bound, value) = match is_hidden {
            true => ("_", "&::tenon::Hidden"),
            false => ("value", "value"),
        };
        let shown = literal(name);
        let print = format!("f.debug_tuple({shown}).field({value}).finish()");
        code.line(format!("Self::{name}({bound}) => {print},"));
    }
    code.close("}");
    close(code);
}

fn open(code: &mut Code, rust: &str) {
    code.blank();
    code.open(format!("impl ::core::fmt::Debug for {rust} {{"));
    code.open("fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {");
}

fn close(code: &mut Code) {
    code.close("}");
    code.close("}");
}
