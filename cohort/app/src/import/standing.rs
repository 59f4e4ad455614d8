//! What is there already, and what is left to do for a row.

use std::collections::HashMap;

use clinical::subject::Status;
use serde_json::Value;

use super::rows::{Move, Row};
use crate::api::{Api, Failure, escaped};

/// The subjects of the study by their numbers, as the account sees them.
pub(super) struct Standing(HashMap<String, Value>);

/// What is left to do for a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Todo {
    /// There is no such subject: create it, then move it.
    Create,
    /// It is there, and these moves are left.
    Move {
        /// Its id.
        id: String,
        /// The moves, in their order.
        moves: Vec<Move>,
    },
    /// It is there with the same content and where it should be, or beyond.
    Nothing,
    /// It is there and differs: in these members.
    Conflict(Vec<&'static str>),
}

impl Standing {
    /// Reads the subjects of a study.
    ///
    /// # Errors
    /// They cannot be read.
    pub(super) fn read(api: &Api, trial: &str) -> Result<Self, Failure> {
        let subjects = api.items(&format!("/patient?trialId={}", escaped(trial)))?;
        let numbered = subjects.into_iter().filter_map(|subject| {
            let number = text(&subject, "subjectNo")?.to_owned();
            Some((number, subject))
        });
        Ok(Self(numbered.collect()))
    }

    /// What is left to do for a row.
    pub(super) fn todo(&self, row: &Row) -> Todo {
        let Some(subject) = self.0.get(&row.subject_no) else {
            return Todo::Create;
        };
        let differing = differing(subject, row);
        if !differing.is_empty() {
            return Todo::Conflict(differing);
        }
        let code = subject.get("status").and_then(Value::as_i64);
        let (Some(status), Some(id)) = (code.and_then(Status::from_code), text(subject, "id"))
        else {
            return Todo::Conflict(vec!["status"]);
        };
        match left(status, &row.moves) {
            Some([]) => Todo::Nothing,
            Some(moves) => Todo::Move {
                id: id.to_owned(),
                moves: moves.to_vec(),
            },
            None => Todo::Conflict(vec!["status"]),
        }
    }
}

/// The moves that are left from a status on; nothing when the way does not lead through it.
fn left(status: Status, moves: &[Move]) -> Option<&[Move]> {
    if let Some(position) = moves.iter().position(|step| step.to == status) {
        return Some(&moves[position + 1..]);
    }
    match moves.last() {
        _ if status == Status::Screening => Some(moves),
        // It went on after an earlier import, from screening or from enrolment.
        None => Some(&[]),
        Some(last) if last.to.may_become(status) => Some(&[]),
        Some(_) => None,
    }
}

/// The members in which a subject and a row differ. What the account may not see counts as equal.
fn differing(subject: &Value, row: &Row) -> Vec<&'static str> {
    let equal = |name: &str, expected: &str| text(subject, name) == Some(expected);
    let unless = |differs: bool, name: &'static str| differs.then_some(name);
    let seen = |name: &str, expected: &Option<String>, same: fn(&str, &str) -> bool| match (
        text(subject, name),
        expected,
    ) {
        (Some(found), Some(expected)) => !same(found, expected),
        _ => false,
    };
    [
        unless(!equal("siteId", &row.site_id), "site"),
        unless(!equal("sex", &row.sex), "sex"),
        unless(!equal("birthDate", &row.birth_date), "birthDate"),
        unless(
            seen("name", &row.name, |found, expected| found == expected),
            "name",
        ),
        unless(
            seen("identityNumber", &row.identity_number, |found, expected| {
                found == expected
            }),
            "identityNumber",
        ),
        unless(seen("phone", &row.phone, is_same_phone), "phone"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Whether two phones are one, however they are written. A country in front is not guessed.
fn is_same_phone(one: &str, other: &str) -> bool {
    let plain = |text: &str| -> String {
        let significant = |c: &char| c.is_ascii_digit() || *c == '+';
        text.chars().filter(significant).collect()
    };
    plain(one) == plain(other)
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use serde_json::json;

    use super::*;

    fn row(targets: &[Status]) -> Row {
        let step = |to: &Status| Move {
            to: *to,
            reason: "imported".to_owned(),
            date: date(2012, 9, 7),
        };
        Row {
            number: 1,
            line: 2,
            site_id: "S1".to_owned(),
            subject_no: "01".to_owned(),
            sex: "F".to_owned(),
            birth_date: "1931".to_owned(),
            name: None,
            identity_number: None,
            phone: Some("+86 (10) 1234".to_owned()),
            moves: targets.iter().map(step).collect(),
        }
    }

    fn standing(status: i64, birth: &str) -> Standing {
        let subject = json!({"id": "P1", "subjectNo": "01", "siteId": "S1", "sex": "F",
            "birthDate": birth, "status": status, "phone": "+86-10-1234"});
        Standing([("01".to_owned(), subject)].into())
    }

    #[test]
    fn what_is_half_done_is_finished_and_what_is_done_is_left_alone() {
        use Status::{Enrolled, ScreenFailed, Withdrawn};
        let moves_left =
            |status: i64, targets: &[Status]| match standing(status, "1931").todo(&row(targets)) {
                Todo::Move { moves, .. } => moves.len(),
                Todo::Nothing => 0,
                other => panic!("{other:?}"),
            };
        assert_eq!(moves_left(0, &[Enrolled, Withdrawn]), 2);
        assert_eq!(moves_left(1, &[Enrolled, Withdrawn]), 1);
        assert_eq!(moves_left(2, &[Enrolled, Withdrawn]), 0);
        assert_eq!(moves_left(0, &[]), 0);
        // Withdrawn since the first import.
        assert_eq!(moves_left(2, &[Enrolled]), 0);
        assert_eq!(
            standing(1, "1931").todo(&row(&[ScreenFailed])),
            Todo::Conflict(vec!["status"])
        );
    }

    #[test]
    fn other_content_is_a_conflict_that_names_its_members() {
        assert_eq!(
            standing(0, "1932").todo(&row(&[])),
            Todo::Conflict(vec!["birthDate"])
        );
        let nobody = Standing(HashMap::new());
        assert_eq!(nobody.todo(&row(&[])), Todo::Create);
    }
}
