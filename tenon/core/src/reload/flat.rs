//! A configuration as whole keys and their values, and what of it may be shown.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Values by whole keys, `rest.timeout`. A list is one value.
pub(super) type Flat = BTreeMap<String, Value>;

/// Stands for a value that is not shown.
const HIDDEN: &str = "[hidden]";

/// Words in a key whose value is not shown: a key that merely sounds like a secret loses little
/// by being hidden, one that is a secret loses everything by being shown.
const SECRET_WORDS: [&str; 9] = [
    "secret",
    "password",
    "passphrase",
    "token",
    "bearer",
    "credential",
    "apikey",
    "auth.basic",
    "private",
];

/// A value longer than this is cut in a log line, in characters.
const SHOWN_MAX: usize = 200;

/// The leaves of a tree by their whole keys. An empty map is a leaf, so that it can be told from
/// nothing.
pub(super) fn flatten(tree: &Value) -> Flat {
    let mut flat = Flat::new();
    walk(String::new(), tree, &mut flat);
    flat
}

fn walk(key: String, value: &Value, flat: &mut Flat) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (name, value) in entries {
                let below = match key.is_empty() {
                    true => name.clone(),
                    false => format!("{key}.{name}"),
                };
                walk(below, value, flat);
            }
        }
        // A section without content says nothing.
        Value::Object(_) | Value::Null if !key.contains('.') => {}
        leaf => {
            flat.insert(key, leaf.clone());
        }
    }
}

/// The keys that differ, with what they were and what they are.
pub(super) fn differences(old: &Flat, new: &Flat) -> Vec<(String, Option<Value>, Option<Value>)> {
    let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .map(|key| (key.clone(), old.get(key).cloned(), new.get(key).cloned()))
        .collect()
}

/// The section at a dotted path; an empty one where the file has none.
pub(super) fn section(tree: &Value, path: &str) -> Value {
    let mut at = tree;
    for name in path.split('.').filter(|name| !name.is_empty()) {
        match at.get(name) {
            Some(below) => at = below,
            None => return Value::Object(Map::new()),
        }
    }
    match at {
        Value::Null => Value::Object(Map::new()),
        found => found.clone(),
    }
}

/// A value as a log line shows it.
pub(super) fn shown(key: &str, value: Option<&Value>) -> String {
    let Some(value) = value else {
        return "default".to_owned();
    };
    let text = match hidden(key, value) {
        Value::String(text) => text,
        other => other.to_string(),
    };
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// The value, or what stands for it: by the words in its key, also below a list, and passwords
/// inside URLs.
pub(super) fn hidden(key: &str, value: &Value) -> Value {
    let lower = key.to_lowercase();
    if SECRET_WORDS.iter().any(|word| lower.contains(word)) {
        return Value::String(HIDDEN.to_owned());
    }
    match value {
        Value::String(text) => Value::String(without_user(text)),
        Value::Array(items) => items.iter().map(|item| hidden(key, item)).collect(),
        Value::Object(entries) => entries
            .iter()
            .map(|(name, value)| (name.clone(), hidden(&format!("{key}.{name}"), value)))
            .collect(),
        other => other.clone(),
    }
}

/// `redis://user:password@host` without who it is.
fn without_user(text: &str) -> String {
    if let Some((scheme, rest)) = text.split_once("://") {
        let authority = rest.split('/').next().unwrap_or(rest);
        if let Some(at) = authority.rfind('@') {
            let host = rest.get(at + 1..).unwrap_or_default();
            return format!("{scheme}://{HIDDEN}@{host}");
        }
    }
    text.to_owned()
}
