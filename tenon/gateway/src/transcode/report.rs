//! What in a request does not fit its contract, all of it, each with its place.

use tenon_core::{Error, Violation};

/// How many violations are told at most; as many as the REST door tells.
const VIOLATIONS_MAX: usize = 100;

/// The violations found so far, and the place where is being looked.
#[derive(Debug, Default)]
pub(crate) struct Report {
    violations: Vec<Violation>,
    location: &'static str,
    path: String,
}

impl Report {
    /// From here on `path`, `query` or `body` is read.
    pub(crate) fn look_at(&mut self, location: &'static str, path: &str) {
        self.location = location;
        path.clone_into(&mut self.path);
    }

    /// Does something one step further in.
    pub(crate) fn within<T>(&mut self, step: &Step<'_>, work: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.path.len();
        match step {
            Step::Field(name) => {
                if before > 0 {
                    self.path.push('.');
                }
                self.path.push_str(name);
            }
            Step::Item(at) => self.path.push_str(&format!("[{at}]")),
            Step::Key => self.path.push_str("[key]"),
        }
        let outcome = work(self);
        self.path.truncate(before);
        outcome
    }

    /// Notes that what stands here breaks `rule`.
    pub(crate) fn refuse(&mut self, rule: &'static str, expected: impl Into<String>) {
        if self.violations.len() < VIOLATIONS_MAX {
            let violation = Violation::at(self.location, self.path.clone(), rule, expected);
            self.violations.push(violation);
        }
    }

    /// Whether all fits.
    ///
    /// # Errors
    /// `REQUEST_INVALID` with everything that does not.
    pub(crate) fn finish(self) -> Result<(), Error> {
        if self.violations.is_empty() {
            return Ok(());
        }
        Err(Error::invalid(self.violations))
    }
}

/// One step into a value.
pub(crate) enum Step<'a> {
    /// A field, by the name that the contract has for it.
    Field(&'a str),
    /// An item of a list.
    Item(usize),
    /// An entry of a map: its key is the caller's, and may be a name.
    Key,
}
