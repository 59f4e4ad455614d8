//! Paths and prefixes to segments.

use crate::model::Segment;

/// The segments of a path or prefix. The error is a message and advice.
///
/// Slashes at the start and the end do not count.
pub(super) fn segments(text: &str) -> Result<Vec<Segment>, (String, &'static str)> {
    let inner = text.strip_prefix('/').unwrap_or(text);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if inner.is_empty() {
        return Ok(Vec::new());
    }
    inner.split('/').map(segment).collect()
}

fn segment(text: &str) -> Result<Segment, (String, &'static str)> {
    const CHARACTERS: &str =
        "a path segment is letters, digits, `-`, `_` and `.`, or `:name` for a parameter";
    let (name, is_parameter) = match text.strip_prefix(':') {
        Some(name) => (name, true),
        None => (text, false),
    };
    if name.is_empty() {
        let what = if is_parameter {
            "a path parameter has no name"
        } else {
            "a path segment is empty"
        };
        return Err((what.to_owned(), CHARACTERS));
    }
    if name.contains(':') {
        return Err((
            format!("path segment `{text}` has a colon inside"),
            "a parameter takes a whole segment",
        ));
    }
    if name == "." || name == ".." {
        return Err((
            format!("path segment `{text}` is not a name"),
            "write the path that it leads to",
        ));
    }
    if let Some(wrong) = name
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
    {
        return Err((
            format!(
                "path segment `{text}` has the character `{}`",
                wrong.escape_debug()
            ),
            CHARACTERS,
        ));
    }
    let name = name.to_owned();
    Ok(if is_parameter {
        Segment::Parameter(name)
    } else {
        Segment::Literal(name)
    })
}

/// The path of the segments: `/a/:b`, or `/` when there are none.
pub(super) fn joined(segments: &[Segment]) -> String {
    if segments.is_empty() {
        return "/".to_owned();
    }
    segments
        .iter()
        .map(|segment| match segment {
            Segment::Literal(text) => format!("/{text}"),
            Segment::Parameter(name) => format!("/:{name}"),
        })
        .collect()
}

/// The same with all parameters alike: two paths of one shape match the same requests.
pub(super) fn shape(segments: &[Segment]) -> String {
    let unnamed: Vec<Segment> = segments
        .iter()
        .map(|segment| match segment {
            Segment::Parameter(_) => Segment::Parameter(String::new()),
            literal @ Segment::Literal(_) => literal.clone(),
        })
        .collect();
    joined(&unnamed)
}
