//! Reads the access tables.

use std::collections::BTreeSet;

use crate::cast::Actor;

/// What each caller gets for one object of one route or method.
pub(crate) struct Row {
    /// `GET /api/v1/patient/{patientId}` or `patient.PatientService/GetStanding`.
    pub(crate) route: &'static str,
    /// Whether no token is asked for.
    pub(crate) is_open: bool,
    pub(crate) object: &'static str,
    cells: Vec<&'static str>,
}

impl Row {
    /// What an actor gets.
    pub(crate) fn cell(&self, actor: Actor) -> &'static str {
        let column = Actor::ALL.iter().position(|other| *other == actor).unwrap();
        self.cells[column]
    }
}

/// The rows of a table.
pub(crate) fn read(table: &'static str) -> Vec<Row> {
    let (mut rows, mut route) = (Vec::new(), ("", false));
    let lines = table.lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line.contains('/') {
            let open = line.strip_suffix(" open");
            route = (open.unwrap_or(line), open.is_some());
            continue;
        }
        let mut words = line.split_whitespace();
        let object = words.next().unwrap();
        let cells: Vec<_> = words.collect();
        assert_eq!(cells.len(), Actor::ALL.len(), "{} {line}", route.0);
        rows.push(Row {
            route: route.0,
            is_open: route.1,
            object,
            cells,
        });
    }
    rows
}

/// Fails unless the table has exactly these routes.
pub(crate) fn assert_complete(rows: &[Row], known: impl IntoIterator<Item = String>) {
    let ruled: BTreeSet<String> = rows.iter().map(|row| row.route.to_owned()).collect();
    let known: BTreeSet<String> = known.into_iter().collect();
    let unruled: Vec<_> = known.difference(&ruled).collect();
    let gone: Vec<_> = ruled.difference(&known).collect();
    assert!(
        unruled.is_empty(),
        "no rule in the access table: {unruled:?}"
    );
    assert!(gone.is_empty(), "a rule for what does not exist: {gone:?}");
}

/// A list as the table writes it: the numbers of the known objects that are in it.
pub(crate) fn shown(found: &[String], known: &[&str]) -> String {
    let numbers = (1..)
        .zip(known)
        .filter(|(_, id)| found.iter().any(|found| found == *id));
    std::iter::once("=".to_owned())
        .chain(numbers.map(|(number, _)| number.to_string()))
        .collect()
}
