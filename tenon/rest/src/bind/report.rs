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
    location: &'static str,
    parent: Option<&'a At<'a>>,
    step: Step,
}

/// One step of a path.
#[derive(Clone, Copy)]
enum Step {
    /// The whole body.
    Root,
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
            location: "body",
            parent: None,
            step: Step::Root,
        }
    }

    /// A field of `path`, `query` or `header`.
    pub(super) fn top(report: &'a Report, location: &'static str, name: &'static str) -> Self {
        Self {
            report,
            location,
            parent: None,
            step: Step::Field(name),
        }
    }

    /// A field of the object that stands here.
    pub(super) fn field<'b>(&'b self, name: &'static str) -> At<'b> {
        self.child(Step::Field(name))
    }

    /// An element of the list that stands here.
    pub(super) fn index<'b>(&'b self, index: usize) -> At<'b> {
        self.child(Step::Index(index))
    }

    /// An entry of the map that stands here.
    pub(super) fn entry<'b>(&'b self) -> At<'b> {
        self.child(Step::Entry)
    }

    fn child<'b>(&'b self, step: Step) -> At<'b> {
        At {
            report: self.report,
            location: self.location,
            parent: Some(self),
            step,
        }
    }

    /// Records that what stands here breaks `rule`. `expected` says what would fit, never what
    /// was found.
    pub fn refuse(&self, rule: &'static str, expected: impl Into<String>) {
        self.report
            .add(|| Violation::at(self.location, self.path(), rule, expected));
    }

    /// Records a key that the contract does not have, under the object that stands here.
    pub(super) fn refuse_key(&self, key: &str) {
        self.report.add(|| {
            let mut path = self.path();
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(if is_name(key) { key } else { "*" });
            Violation::at(self.location, path, "unknown", "a field of the contract")
        });
    }

    /// Whether unknown keys are violations.
    pub(super) fn strict(&self) -> bool {
        self.report.strict
    }

    fn path(&self) -> String {
        let mut path = String::new();
        self.write(&mut path);
        path
    }

    fn write(&self, path: &mut String) {
        if let Some(parent) = self.parent {
            parent.write(path);
        }
        match self.step {
            Step::Root => {}
            Step::Field(name) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
            }
            // Writing to a string cannot fail.
            Step::Index(index) => drop(write!(path, "[{index}]")),
            Step::Entry => path.push_str(if path.is_empty() { "*" } else { ".*" }),
        }
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
