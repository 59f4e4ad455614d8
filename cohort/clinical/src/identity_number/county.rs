//! County codes of GB/T 2260 with the years in which they were in use.

use std::collections::HashMap;

/// Six-digit codes and their years, as far as the installation has them. Codes are abolished and reused over time,
/// so that a code the table does not have is worth a warning and never a refusal.
#[derive(Clone, Debug, Default)]
pub struct CountyTable {
    years: HashMap<String, Vec<(i16, i16)>>,
}

/// A line of a county table that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "county table line {line} cannot be read: expected `code,from,until` with a 6-digit code and years, until may be empty"
)]
pub struct CountyTableError {
    /// The line, counted from 1.
    pub line: usize,
}

impl CountyTable {
    /// Reads lines of `code,from,until`: the first and the last year of use, the last one empty while in use.
    ///
    /// # Errors
    /// The first line that is neither empty nor of this form.
    pub fn parse(text: &str) -> Result<Self, CountyTableError> {
        let mut table = Self::default();
        for (number, line) in text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
        {
            let (code, from, until) =
                entry(line.trim()).ok_or(CountyTableError { line: number + 1 })?;
            table
                .years
                .entry(code.to_owned())
                .or_default()
                .push((from, until));
        }
        Ok(table)
    }

    /// Whether the code was in use in a year.
    pub fn knows(&self, code: &str, year: i16) -> bool {
        self.years.get(code).is_some_and(|years| {
            years
                .iter()
                .any(|(from, until)| (*from..=*until).contains(&year))
        })
    }
}

fn entry(line: &str) -> Option<(&str, i16, i16)> {
    let mut fields = line.split(',').map(str::trim);
    let code = fields
        .next()
        .filter(|code| code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()))?;
    let from = fields.next()?.parse().ok()?;
    let until = match fields.next()? {
        "" => i16::MAX,
        year => year.parse().ok()?,
    };
    fields.next().is_none().then_some((code, from, until))
}
