//! Names: from the contract's spelling to Rust's, without clashes.

use std::collections::{BTreeMap, BTreeSet};

use heck::{ToShoutySnakeCase, ToSnakeCase, ToUpperCamelCase};
use tenon_idl::model::Api;

/// `name` as a function, field or module: `getPatient` is `get_patient`, `type` is `r#type`.
pub(crate) fn snake(name: &str) -> String {
    escaped(bare_snake(name))
}

/// Like [`snake`], but as a file is called: `type` stays `type`. What cannot be a raw identifier
/// gets a final underscore.
pub(crate) fn bare_snake(name: &str) -> String {
    let snake = name.to_snake_case();
    if snake.is_empty() {
        "value".to_owned()
    } else if ["self", "super", "crate"].contains(&snake.as_str()) {
        format!("{snake}_")
    } else if snake.starts_with(|c: char| c.is_ascii_digit()) {
        format!("n{snake}")
    } else {
        snake
    }
}

/// `name` as a static: `getPatient` is `GET_PATIENT`.
pub(crate) fn shouty(name: &str) -> String {
    let shouty = name.to_shouty_snake_case();
    if shouty.starts_with(|c: char| c.is_ascii_digit()) {
        format!("N{shouty}")
    } else {
        shouty
    }
}

/// `name` as a type. A name that already is one stays as written (`HTTPReq`).
pub(crate) fn camel(name: &str) -> String {
    let fits = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let camel = if fits {
        name.to_owned()
    } else {
        name.to_upper_camel_case()
    };
    match camel.as_str() {
        "Self" => "Self_".to_owned(),
        "" => "Value".to_owned(),
        digit if digit.starts_with(|c: char| c.is_ascii_digit()) => format!("N{camel}"),
        _ => camel,
    }
}

/// A word that can stand as an identifier.
pub(crate) fn escaped(word: String) -> String {
    // Words that cannot be raw identifiers never come here: `bare_snake` changes them.
    if KEYWORDS.contains(&word.as_str()) {
        format!("r#{word}")
    } else {
        word
    }
}

/// Keywords of edition 2024, reserved ones included.
const KEYWORDS: [&str; 48] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let",
    "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
    "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use",
    "virtual", "where", "while", "yield",
];

/// Whether two operations are the same: equal names but for case and underscores.
pub(crate) fn same(left: &str, right: &str) -> bool {
    let plain = |name: &str| name.replace('_', "").to_lowercase();
    plain(left) == plain(right)
}

/// `base`, or `base` with the first suffix that makes it new; it is then taken.
pub(crate) fn claim(taken: &mut BTreeSet<String>, base: &str, separator: &str) -> String {
    let mut name = base.to_owned();
    let mut number = 2;
    while !taken.insert(name.clone()) {
        name = format!("{base}{separator}{number}");
        number += 1;
    }
    name
}

/// The Rust names of a REST contract's types, and which prelude names they hide.
#[derive(Debug, Default)]
pub(crate) struct TypeNames {
    rust: BTreeMap<String, String>,
    taken: BTreeSet<String>,
}

impl TypeNames {
    pub(crate) fn new(api: &Api) -> Self {
        let mut names = Self::default();
        // Types that keep their name go first, so that no other one takes it away.
        let (kept, changed): (Vec<_>, Vec<_>) = api
            .types
            .iter()
            .partition(|item| camel(&item.name) == item.name);
        for item in kept.into_iter().chain(changed) {
            let name = claim(&mut names.taken, &camel(&item.name), "");
            names.rust.insert(item.name.clone(), name);
        }
        names
    }

    /// The Rust name of a type of the contract.
    pub(crate) fn rust<'a>(&'a self, name: &'a str) -> &'a str {
        self.rust.get(name).map_or(name, String::as_str)
    }

    /// A further type beside the contract's own.
    pub(crate) fn claim(&mut self, base: &str) -> String {
        claim(&mut self.taken, base, "")
    }

    /// A name of the prelude, in full where the contract hides it.
    pub(crate) fn prelude(&self, name: &'static str) -> String {
        if !self.taken.contains(name) {
            return name.to_owned();
        }
        let home = match name {
            "String" => "::std::string::",
            "Vec" => "::std::vec::",
            "Box" => "::std::boxed::",
            "Option" => "::std::option::",
            "Result" => "::std::result::",
            "Future" => "::std::future::",
            "Send" | "Sync" => "::std::marker::",
            "From" => "::std::convert::",
            _ => "",
        };
        format!("{home}{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_rust() {
        assert_eq!(snake("getPatientsByTrial"), "get_patients_by_trial");
        assert_eq!(snake("Type"), "r#type");
        assert_eq!(snake("self"), "self_");
        assert_eq!(snake("2fa"), "n2fa");
        assert_eq!(snake("gen"), "r#gen");
        assert_eq!(camel("HTTPReq"), "HTTPReq");
        assert_eq!(camel("patient_info"), "PatientInfo");
        assert_eq!(camel("self"), "Self_");
        assert_eq!(shouty("getPatient"), "GET_PATIENT");
        assert!(same("getPatient", "Get_Patient"));
    }

    #[test]
    fn keywords_are_sorted_for_readers() {
        assert!(KEYWORDS.is_sorted());
    }
}
