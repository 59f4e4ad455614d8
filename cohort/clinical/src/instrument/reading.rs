//! Reading members of FHIR JSON objects with located problems.

use serde_json::{Map, Value};

use super::{Path, Problems, Rule};

/// The one member of a choice type, as `valueCoding` for prefix `value`: its type and its value.
///
/// `Err` when there are several; a member of that name with a wrong JSON type is for the caller to refuse.
pub(crate) fn typed_member<'j>(
    members: &'j Map<String, Value>,
    prefix: &str,
) -> Result<Option<(&'j str, &'j Value)>, ()> {
    let mut found = members.iter().filter_map(|(name, value)| {
        let suffix = name.strip_prefix(prefix)?;
        suffix
            .starts_with(|first: char| first.is_ascii_uppercase())
            .then_some((suffix, value))
    });
    match (found.next(), found.next()) {
        (first, None) => Ok(first),
        _ => Err(()),
    }
}

/// The extensions of an element that have this url, with their positions.
pub(crate) fn extensions<'j>(
    members: &'j Map<String, Value>,
    url: &str,
) -> impl Iterator<Item = (usize, &'j Map<String, Value>)> {
    members
        .get("extension")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
        .filter_map(|(position, extension)| {
            extension.as_object().map(|members| (position, members))
        })
        .filter(move |(_, members)| members.get("url").and_then(Value::as_str) == Some(url))
}

/// An optional text; an empty one is a problem.
pub(super) fn text<'j>(
    members: &'j Map<String, Value>,
    name: &str,
    path: &Path<'_>,
    problems: &mut Problems,
) -> Option<&'j str> {
    let value = members.get(name)?;
    let text = value.as_str().filter(|text| !text.trim().is_empty());
    if text.is_none() {
        problems.add(path.member(name), Rule::Type, "a text that is not empty");
    }
    text
}

/// A text that must be there.
pub(super) fn required_text<'j>(
    members: &'j Map<String, Value>,
    name: &str,
    path: &Path<'_>,
    problems: &mut Problems,
) -> Option<&'j str> {
    if !members.contains_key(name) {
        problems.add(
            path.member(name),
            Rule::Required,
            "a text that is not empty",
        );
    }
    text(members, name, path, problems)
}

/// An optional truth value, false when absent.
pub(super) fn flag(
    members: &Map<String, Value>,
    name: &str,
    path: &Path<'_>,
    problems: &mut Problems,
) -> bool {
    match members.get(name) {
        None => false,
        Some(Value::Bool(flag)) => *flag,
        Some(_) => {
            problems.add(path.member(name), Rule::Type, "true or false");
            false
        }
    }
}

/// An optional array, empty when absent.
pub(super) fn array<'j>(
    members: &'j Map<String, Value>,
    name: &str,
    path: &Path<'_>,
    problems: &mut Problems,
) -> &'j [Value] {
    match members.get(name) {
        None => &[],
        Some(Value::Array(elements)) => elements,
        Some(_) => {
            problems.add(path.member(name), Rule::Type, "an array");
            &[]
        }
    }
}

/// An element that must be an object.
pub(super) fn object<'j>(
    value: &'j Value,
    path: &Path<'_>,
    problems: &mut Problems,
) -> Option<&'j Map<String, Value>> {
    let members = value.as_object();
    if members.is_none() {
        problems.add(path, Rule::Type, "an object");
    }
    members
}
