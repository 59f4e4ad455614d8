//! Path templates of `google.api.http` as OpenAPI writes paths: each `*` is a parameter of its own,
//! because a parameter there holds no slash.
//!
//! Source: `google/api/http.proto`, "Path template syntax".

use std::{collections::BTreeSet, ops::Range};

/// A template, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    segments: Vec<Segment>,
    variables: Vec<Variable>,
    verb: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    One,
    Rest,
}

/// A field that takes its value from some of the segments.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Variable {
    /// As the contract writes it, `book.name`.
    field: String,
    segments: Range<usize>,
    /// What it takes, `shelves/*`.
    pattern: String,
}

/// A parameter of an OpenAPI path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parameter {
    /// What the template calls the field that it belongs to; none for a bare `*`.
    pub(crate) field: Option<String>,
    /// The pattern of that field, where the parameter is only a part of its value.
    pub(crate) part_of: Option<String>,
    /// Whether it holds whatever is left of the path.
    pub(crate) is_rest: bool,
    /// What it is called where no path of this shape was written before.
    pub(crate) name: String,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// It is none; the text says what was expected.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut template = Self {
            segments: Vec::new(),
            variables: Vec::new(),
            verb: String::new(),
        };
        let rest = text.strip_prefix('/').ok_or("a path starts with a slash")?;
        // A verb follows the last segment; within braces a colon is none.
        let end = rest.rfind(['/', '}']).map_or(0, |at| at);
        let (path, verb) = match rest[end..].find(':') {
            Some(at) => (&rest[..end + at], &rest[end + at + 1..]),
            None => (rest, ""),
        };
        template.verb = verb.to_owned();
        let mut path = path;
        loop {
            path = template.segment(path)?;
            path = match path.strip_prefix('/') {
                Some(path) => path,
                None if path.is_empty() => return template.checked(),
                None => return Err("a slash divides segments".to_owned()),
            };
        }
    }

    /// Takes one segment, or one variable, from the beginning of a path.
    fn segment<'a>(&mut self, path: &'a str) -> Result<&'a str, String> {
        let Some(variable) = path.strip_prefix('{') else {
            let (segment, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
            self.plain(segment)?;
            return Ok(rest);
        };
        let (variable, rest) = variable.split_once('}').ok_or("a `{` has its `}`")?;
        let (field, pattern) = variable.split_once('=').unwrap_or((variable, "*"));
        let is_name = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
        };
        if !field.split('.').all(is_name) {
            return Err("a variable names a field: `{name}` or `{book.name}`".to_owned());
        }
        let from = self.segments.len();
        for segment in pattern.split('/') {
            self.plain(segment)?;
        }
        self.variables.push(Variable {
            field: field.to_owned(),
            segments: from..self.segments.len(),
            pattern: pattern.to_owned(),
        });
        Ok(rest)
    }

    fn plain(&mut self, segment: &str) -> Result<(), String> {
        self.segments.push(match segment {
            "*" => Segment::One,
            "**" => Segment::Rest,
            "" => return Err("a segment is not empty".to_owned()),
            text if text.contains(['{', '}', '*', '=']) => {
                return Err("a segment is text, `*`, `**` or `{field}`".to_owned());
            }
            text => Segment::Literal(text.to_owned()),
        });
        Ok(())
    }

    fn checked(self) -> Result<Self, String> {
        let inner = self
            .segments
            .split_last()
            .map_or(&[][..], |(_, inner)| inner);
        match inner.contains(&Segment::Rest) {
            true => Err("`**` is the last segment".to_owned()),
            false => Ok(self),
        }
    }

    /// The fields that stand in the path, as the contract writes them.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.variables
            .iter()
            .map(|variable| variable.field.as_str())
    }

    /// The path with `names` for its parameters, in order.
    pub(crate) fn path<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> String {
        let mut names = names.into_iter();
        let mut path = String::new();
        for segment in &self.segments {
            path.push('/');
            match segment {
                Segment::Literal(text) => path.push_str(text),
                Segment::One | Segment::Rest => {
                    path.push_str(&format!("{{{}}}", names.next().unwrap_or_default()));
                }
            }
        }
        if !self.verb.is_empty() {
            path.push(':');
            path.push_str(&self.verb);
        }
        path
    }

    /// The parameters in the order of the path.
    pub(crate) fn parameters(&self) -> Vec<Parameter> {
        let mut taken = BTreeSet::new();
        let mut parameters = Vec::new();
        for (at, segment) in self.segments.iter().enumerate() {
            if let Segment::Literal(_) = segment {
                continue;
            }
            let variable = self.variables.iter();
            let variable = variable.into_iter().find(|it| it.segments.contains(&at));
            let alone = variable.is_some_and(|it| self.stars(&it.segments) == 1);
            let before = at.checked_sub(1).and_then(|at| self.segments.get(at));
            let wanted = match (variable, before) {
                (Some(variable), _) if alone => variable.field.clone(),
                (_, Some(Segment::Literal(text))) => text.clone(),
                _ => "segment".to_owned(),
            };
            let mut name = wanted.clone();
            let mut number = 2;
            while !taken.insert(name.clone()) {
                name = format!("{wanted}_{number}");
                number += 1;
            }
            let whole = variable.filter(|it| it.segments.len() > 1);
            parameters.push(Parameter {
                field: variable.map(|it| it.field.clone()),
                part_of: whole.map(|it| it.pattern.clone()),
                is_rest: *segment == Segment::Rest,
                name,
            });
        }
        parameters
    }

    fn stars(&self, range: &Range<usize>) -> usize {
        let segments = self.segments.get(range.clone()).unwrap_or_default();
        let stars = segments.iter();
        stars
            .filter(|segment| !matches!(segment, Segment::Literal(_)))
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> String {
        let template = Template::parse(text).unwrap_or_else(|problem| panic!("{text}: {problem}"));
        let parameters = template.parameters();
        template.path(parameters.iter().map(|parameter| parameter.name.as_str()))
    }

    #[test]
    fn each_star_is_a_parameter_of_its_own() {
        for (template, expected) in [
            ("/v1/books", "/v1/books"),
            ("/v1/{name}", "/v1/{name}"),
            ("/v1/{book.name=*}:open", "/v1/{book.name}:open"),
            ("/v1/{name=shelves/*}:close", "/v1/shelves/{name}:close"),
            (
                "/v1/{name=shelves/*/books/*}",
                "/v1/shelves/{shelves}/books/{books}",
            ),
            ("/v1/{a=x/*/x/*}", "/v1/x/{x}/x/{x_2}"),
            ("/v1/*/{path=files/**}", "/v1/{v1}/files/{path}"),
            ("/{a}/*:do", "/{a}/{segment}:do"),
        ] {
            assert_eq!(path(template), expected);
        }
    }

    #[test]
    fn what_is_no_template_says_what_was_expected() {
        for (text, expected) in [
            ("v1", "slash"),
            ("/v1//x", "not empty"),
            ("/v1/{name", "its `}`"),
            ("/v1/{}", "names a field"),
            ("/v1/{a=*}b", "divides"),
            ("/v1/a*", "text, `*`"),
            ("/**/x", "last segment"),
        ] {
            let problem = Template::parse(text).unwrap_err();
            assert!(problem.contains(expected), "{text}: {problem}");
        }
    }
}
