//! What was found wrong in a request, and where reading stands.

use std::{cell::RefCell, fmt::Write};

use tenon_core::Violation;

use super::MAX_VIOLATIONS;

/// Where reading stands in a request: `query.limit`, `body.items[3].value`.
///
/// It is a list on the stack; the path is written out only for a violation.
#[derive(Clone, Copy)]
pub struct At<'a> {
    report: &'a Report,
    step: Step<'a>,
}

/// One step of a path.
#[derive(Clone, Copy)]
enum Step<'a> {
    /// The whole body.
    Body,
    /// A field of `path`, `query` or `header`.
    Top(&'static Place, &'static str),
    /// Something inside of something.
    Inside(&'a At<'a>, Inner),
}

/// A place of a request beside its body.
pub(super) enum Place {
    /// The path.
    Path,
    /// The query.
    Query,
    /// The headers.
    Header,
}

/// One step into a value.
#[derive(Clone, Copy)]
enum Inner {
    /// A field of the contract.
    Field(&'static str),
    /// An element of a list.
    Index(usize),
    /// An entry of a map. Its key is data of the caller, so it is not repeated.
    Entry,
}

impl<'a> At<'a> {
    /// The body as a whole.
    pub(super) fn body(report: &'a Report) -> Self {
        Self {
            report,
            step: Step::Body,
        }
    }

    /// A field of `path`, `query` or `header`.
    pub(super) fn top(report: &'a Report, place: &'static Place, name: &'static str) -> Self {
        Self {
            report,
            step: Step::Top(place, name),
        }
    }

    /// A field of the object that stands here.
    #[inline]
    pub(super) fn field<'b>(&'b self, name: &'static str) -> At<'b> {
        self.inside(Inner::Field(name))
    }

    /// An element of the list that stands here.
    #[inline]
    pub(super) fn index<'b>(&'b self, index: usize) -> At<'b> {
        self.inside(Inner::Index(index))
    }

    /// An entry of the map that stands here.
    #[inline]
    pub(super) fn entry<'b>(&'b self) -> At<'b> {
        self.inside(Inner::Entry)
    }

    #[inline]
    fn inside<'b>(&'b self, inner: Inner) -> At<'b> {
        At {
            report: self.report,
            step: Step::Inside(self, inner),
        }
    }

    /// Records that what stands here breaks `rule`. `expected` says what would fit, never what
    /// was found.
    #[cold]
    pub fn refuse(&self, rule: &'static str, expected: impl Into<String>) {
        self.report.add(|| {
            let mut path = String::new();
            let location = self.write(&mut path);
            Violation::at(location, path, rule, expected)
        });
    }

    /// Records a key that the contract does not have, under the object that stands here.
    pub(super) fn refuse_key(&self, key: &str) {
        self.report.add(|| {
            let mut path = String::new();
            let location = self.write(&mut path);
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(if is_name(key) { key } else { "*" });
            Violation::at(location, path, "unknown", "a field of the contract")
        });
    }

    /// Whether unknown keys are violations.
    pub(super) fn strict(&self) -> bool {
        self.report.strict
    }

    /// Writes the path, and gives the place that it starts from.
    fn write(&self, path: &mut String) -> &'static str {
        let (outer, inner) = match self.step {
            Step::Body => return "body",
            Step::Top(place, name) => {
                path.push_str(name);
                return match place {
                    Place::Path => "path",
                    Place::Query => "query",
                    Place::Header => "header",
                };
            }
            Step::Inside(outer, inner) => (outer, inner),
        };
        let location = outer.write(path);
        let dot = if path.is_empty() { "" } else { "." };
        // Writing to a string cannot fail.
        let _ = match inner {
            Inner::Field(name) => write!(path, "{dot}{name}"),
            Inner::Index(index) => write!(path, "[{index}]"),
            Inner::Entry => write!(path, "{dot}*"),
        };
        location
    }
}

/// Whether a key looks like a name of a field. Anything else may be data (an identity number, a
/// phone) and is not repeated in an answer.
fn is_name(key: &str) -> bool {
    key.len() <= 64
        && key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

/// The violations of one request.
pub(super) struct Report {
    strict: bool,
    found: RefCell<Vec<Violation>>,
}

impl Report {
    /// An empty report; `strict` makes unknown JSON keys violations.
    pub(super) fn new(strict: bool) -> Self {
        Self {
            strict,
            found: RefCell::new(Vec::new()),
        }
    }

    /// All that was found, at most [`MAX_VIOLATIONS`].
    pub(super) fn into_violations(self) -> Vec<Violation> {
        self.found.into_inner()
    }

    fn add(&self, violation: impl FnOnce() -> Violation) {
        let mut found = self.found.borrow_mut();
        if found.len() < MAX_VIOLATIONS {
            found.push(violation());
        }
    }
}
