//! What is wrong with the rows: for the terminal and for a file.

use std::{fmt, path::Path};

use anyhow::Result;

use crate::{data, screen};

/// How many findings are shown; a file that was exported wrongly has one in each row.
const SHOWN_MAX: usize = 50;

/// All findings, in the order of the rows.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

/// Something that is wrong, by place and rule. It never holds what stands in a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// The row, counted from 1 after the header.
    pub(super) row: u64,
    /// The line of the file on which the row begins.
    pub(super) line: u64,
    /// The column; empty when the row as a whole is meant.
    pub(super) column: String,
    /// The rule that does not hold, or the code of the service's answer.
    pub(super) rule: String,
    /// What was expected.
    pub(super) expected: String,
}

impl Findings {
    /// Adds one.
    pub(super) fn add(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    /// Puts them into the order of the rows.
    pub(super) fn sort(&mut self) {
        self.0.sort_by_key(|finding| finding.row);
    }

    /// Whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Shows the first of them on standard error.
    pub(super) fn tell(&self) {
        for finding in self.0.iter().take(SHOWN_MAX) {
            screen::tell(finding);
        }
        if let Some(more @ 1..) = self.0.len().checked_sub(SHOWN_MAX) {
            screen::tell(format_args!(
                "and {more} more; --errors FILE writes all of them"
            ));
        }
    }

    /// Writes all of them as CSV. Without findings the file has its header only, so that an old
    /// one is not taken for the new one.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(["row", "line", "column", "rule", "expected"])?;
        for finding in &self.0 {
            let Finding {
                row,
                line,
                column,
                rule,
                expected,
            } = finding;
            csv.write_record([&row.to_string(), &line.to_string(), column, rule, expected])?;
        }
        data::write_private(path, &csv.into_inner()?)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} (line {})", self.row, self.line)?;
        if !self.column.is_empty() {
            write!(f, ", column {}", self.column)?;
        }
        write!(f, ": {}", self.rule)?;
        if !self.expected.is_empty() {
            write!(f, ", expected {}", self.expected)?;
        }
        Ok(())
    }
}
