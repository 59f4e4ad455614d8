//! The map: which column of the file is what.
//!
//! ```yaml
//! subjectNo: USUBJID          # columns by their names in the header
//! site: SITEID                # the code of a site of the study
//! sex: SEX                    # M, F or U
//! sexValues: {Male: M}        # optional: what the file writes instead
//! birthDate: BRTHDTC          # YYYY, YYYY-MM or YYYY-MM-DD
//! name: NAME                  # optional, as identityNumber and phone
//! missing: ["", NA]           # what stands for a missing value; default: the empty cell
//! status:                     # optional: without it everybody stays in screening
//!   column: ARMCD
//!   values: {Scrnfail: 3}     # by the content of the column
//!   otherwise: 1              # any other content; without it such a row is refused
//!   date: [RFSTDTC, DMDTC]    # the day of the last move: the first column that is not missing
//!   enrolled: [RFSTDTC]       # the day of enrolment, needed for the statuses 2, 4, 5 and 6
//!   reason: imported          # written into the audit trail
//! ```

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result, bail, ensure};
use clinical::subject::Status;
use serde::Deserialize;
use tenon::config;

/// Which column is what.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Map {
    /// The subject's number in the study.
    pub(super) subject_no: String,
    /// The code of the site.
    pub(super) site: String,
    /// The sex.
    pub(super) sex: String,
    /// What the file writes for M, F and U.
    #[serde(default)]
    pub(super) sex_values: BTreeMap<String, String>,
    /// The date of birth.
    pub(super) birth_date: String,
    /// The name.
    pub(super) name: Option<String>,
    /// The resident identity number.
    pub(super) identity_number: Option<String>,
    /// The phone.
    pub(super) phone: Option<String>,
    /// What stands for a missing value.
    #[serde(default = "empty_cell")]
    pub(super) missing: Vec<String>,
    /// Where the subject stands.
    pub(super) status: Option<StatusMap>,
}

/// Where a subject stands, beyond screening.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct StatusMap {
    /// The column that tells.
    pub(super) column: String,
    /// The status for a content of the column.
    #[serde(default)]
    pub(super) values: BTreeMap<String, Status>,
    /// The status for any other content.
    pub(super) otherwise: Option<Status>,
    /// Where the day of the last move stands.
    pub(super) date: Vec<String>,
    /// Where the day of enrolment stands, for who has left since.
    #[serde(default)]
    pub(super) enrolled: Vec<String>,
    /// Why, for the audit trail.
    pub(super) reason: String,
}

fn empty_cell() -> Vec<String> {
    vec![String::new()]
}

impl Map {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, or what it says cannot be done.
    pub(super) fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the map {} cannot be read", path.display()))?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self> {
        let map: Self = config::parse(text, path)?;
        let refuse = |problem: String| anyhow::anyhow!("the map {}: {problem}", path.display());
        for sex in map.sex_values.values() {
            ensure!(
                super::rows::SEXES.contains(&sex.as_str()),
                refuse(format!("sexValues gives {sex:?}; expected M, F or U"))
            );
        }
        let Some(status) = &map.status else {
            return Ok(map);
        };
        if status.date.is_empty() || status.reason.trim().is_empty() {
            bail!(refuse(
                "status needs at least one date column and a reason".to_owned()
            ));
        }
        let left = |status: &&Status| needs_enrolment(**status);
        let leaver = status.values.values().chain(&status.otherwise).find(left);
        if let (Some(leaver), true) = (leaver, status.enrolled.is_empty()) {
            bail!(refuse(format!(
                "status {} comes after enrolment; name the columns with its day in status.enrolled",
                leaver.code()
            )));
        }
        Ok(map)
    }

    /// The columns that the file has to have.
    pub(super) fn columns(&self) -> impl Iterator<Item = &str> {
        let always = [&self.subject_no, &self.site, &self.sex, &self.birth_date];
        let personal = [&self.name, &self.identity_number, &self.phone];
        let status = self.status.iter().flat_map(|status| {
            std::iter::once(&status.column)
                .chain(&status.date)
                .chain(&status.enrolled)
        });
        let named = always
            .into_iter()
            .chain(personal.into_iter().flatten())
            .chain(status);
        named.map(String::as_str)
    }
}

/// Whether a subject of this status was enrolled before.
pub(super) fn needs_enrolment(status: Status) -> bool {
    Status::Enrolled.may_become(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &str = "subjectNo: A\nsite: B\nsex: C\nbirthDate: D\n";

    fn problem(more: &str) -> String {
        let text = format!("{COLUMNS}{more}");
        format!(
            "{:#}",
            Map::parse(&text, Path::new("map.yaml")).unwrap_err()
        )
    }

    #[test]
    fn a_map_that_cannot_work_is_refused() {
        assert!(problem("brithDate: X\n").contains("nearest valid key is `birthDate`"));
        assert!(problem("sexValues: {Male: X}\n").contains("expected M, F or U"));
        let leaver = "status: {column: E, values: {Out: 2}, date: [F], reason: r}\n";
        assert!(problem(leaver).contains("status.enrolled"));
        assert!(
            problem("status: {column: E, otherwise: 7, date: [F], reason: r}\n").contains("0 to 6")
        );
        assert!(
            problem("status: {column: E, otherwise: 1, date: [], reason: r}\n")
                .contains("date column")
        );
    }

    #[test]
    fn all_named_columns_are_demanded() {
        let text = format!(
            "{COLUMNS}name: N\nstatus: {{column: E, otherwise: 2, date: [F, G], enrolled: [H], reason: r}}\n"
        );
        let map = Map::parse(&text, Path::new("map.yaml")).unwrap();
        let columns: Vec<_> = map.columns().collect();
        assert_eq!(columns, ["A", "B", "C", "D", "N", "E", "F", "G", "H"]);
        assert_eq!(map.missing, [""]);
    }
}
