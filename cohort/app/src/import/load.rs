//! Sending the rows: several at once, each one's requests in order.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::{Value, json};

use super::{
    findings::{Finding, Findings},
    rows::{Move, Row},
    standing::{Standing, Todo},
};
use crate::{
    api::{Api, Failure, Problem, escaped},
    arguments::Import,
};

/// What was done.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    /// Subjects that were created.
    pub(super) created: u64,
    /// Moves that were made.
    pub(super) moved: u64,
    /// Rows for which nothing was left to do.
    pub(super) skipped: u64,
    /// Rows that could not be brought to their end.
    pub(super) failed: u64,
}

/// How an import ended.
#[derive(Default)]
pub(super) struct Loaded {
    /// What was done.
    pub(super) counts: Counts,
    /// Why rows failed.
    pub(super) findings: Findings,
    /// Why the import was ended before its last row.
    pub(super) stopped: Option<String>,
}

/// How rows are sent.
pub(super) struct Options {
    threads: usize,
    dry_run: bool,
}

impl From<&Import> for Options {
    fn from(arguments: &Import) -> Self {
        Self {
            threads: arguments.concurrency.into(),
            dry_run: arguments.dry_run,
        }
    }
}

/// Sends the rows and counts what was done.
pub(super) fn run(api: &Api, trial: &str, rows: &[Row], options: &Options) -> Loaded {
    let mut loaded = Loaded::default();
    let mut waiting: Vec<&Row> = rows.iter().collect();
    // A request that was sent again after a pause may meet its own first attempt, and a subject
    // may be created by somebody else meanwhile: such rows are looked at once more.
    for last in [false, true] {
        let standing = match Standing::read(api, trial) {
            Ok(standing) => standing,
            Err(failure) => {
                loaded.stopped = Some(format!(
                    "the subjects of the study cannot be read: {failure}"
                ));
                break;
            }
        };
        let pass = Pass {
            api,
            trial,
            standing,
            dry_run: options.dry_run,
            last,
            next: AtomicUsize::new(0),
            shared: Mutex::new((loaded, Vec::new())),
        };
        thread::scope(|scope| {
            for _ in 0..options.threads.min(waiting.len()) {
                scope.spawn(|| pass.work(&waiting));
            }
        });
        (loaded, waiting) = pass
            .shared
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        if waiting.is_empty() || loaded.stopped.is_some() {
            break;
        }
    }
    loaded.findings.sort();
    loaded
}

/// One way through the rows.
struct Pass<'a> {
    api: &'a Api,
    trial: &'a str,
    standing: Standing,
    dry_run: bool,
    last: bool,
    next: AtomicUsize,
    /// What was done so far, and the rows to be looked at again.
    shared: Mutex<(Loaded, Vec<&'a Row>)>,
}

/// Why a row was not brought to its end.
enum Stop {
    /// By this row.
    Row(Finding),
    /// Its state was not what was expected; a second look decides.
    Again,
    /// By something that holds for all rows.
    All(String),
}

impl<'a> Pass<'a> {
    fn work(&self, rows: &[&'a Row]) {
        loop {
            let Some(row) = rows.get(self.next.fetch_add(1, Ordering::Relaxed)).copied() else {
                return;
            };
            let mut counts = Counts::default();
            let outcome = self.row(row, &mut counts);
            let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            let (loaded, again) = &mut *shared;
            match outcome {
                Ok(()) => {}
                Err(Stop::Again) => again.push(row),
                Err(Stop::Row(finding)) => {
                    counts.failed += 1;
                    loaded.findings.add(finding);
                }
                Err(Stop::All(reason)) => {
                    counts.failed += 1;
                    loaded.stopped.get_or_insert(reason);
                }
            }
            loaded.counts.add(counts);
            if loaded.stopped.is_some() {
                return;
            }
        }
    }

    fn row(&self, row: &Row, counts: &mut Counts) -> Result<(), Stop> {
        match self.standing.todo(row) {
            Todo::Create => {
                let id = self.create(row)?;
                counts.created += 1;
                self.move_on(row, &id, &row.moves, counts)
            }
            Todo::Move { id, moves } => self.move_on(row, &id, &moves, counts),
            Todo::Nothing => {
                counts.skipped += 1;
                Ok(())
            }
            Todo::Conflict(members) => {
                let expected = format!("the {} that the subject has already", members.join(", "));
                Err(Stop::Row(finding(row, "conflict", &expected)))
            }
        }
    }

    fn create(&self, row: &Row) -> Result<String, Stop> {
        if self.dry_run {
            return Ok(String::new());
        }
        let mut body = json!({
            "trialId": self.trial,
            "siteId": row.site_id,
            "subjectNo": row.subject_no,
            "sex": row.sex,
            "birthDate": row.birth_date,
        });
        let personal = [
            ("name", &row.name),
            ("identityNumber", &row.identity_number),
            ("phone", &row.phone),
        ];
        for (name, value) in personal {
            if let Some(value) = value {
                body[name] = Value::from(value.as_str());
            }
        }
        let (_, made) = self
            .api
            .post("/patient", &body)
            .map_err(|failure| self.stop(row, failure))?;
        let id = made.pointer("/patient/id").and_then(Value::as_str);
        id.map(str::to_owned)
            .ok_or_else(|| Stop::All("the service created a subject without an id".to_owned()))
    }

    fn move_on(
        &self,
        row: &Row,
        id: &str,
        moves: &[Move],
        counts: &mut Counts,
    ) -> Result<(), Stop> {
        for step in moves {
            if !self.dry_run {
                let path = format!("/patient/{}/status", escaped(id));
                let body = json!({
                    "status": step.to.code(),
                    "reason": step.reason,
                    "date": step.date.to_string(),
                });
                self.api
                    .post(&path, &body)
                    .map_err(|failure| self.stop(row, failure))?;
            }
            counts.moved += 1;
        }
        Ok(())
    }

    fn stop(&self, row: &Row, failure: Failure) -> Stop {
        match failure {
            Failure::Refused(problem) if problem.status == 409 && !self.last => Stop::Again,
            Failure::Refused(problem) if matches!(problem.status, 401 | 403) => {
                Stop::All(format!("the account may not go on: {problem}"))
            }
            Failure::Refused(problem) if matches!(problem.status, 429 | 503) => {
                Stop::All(format!("the platform stays overloaded: {problem}"))
            }
            Failure::Refused(problem) => Stop::Row(refused(row, &problem)),
            Failure::Unreachable(_) | Failure::Untrusted(_) => Stop::All(failure.to_string()),
            Failure::Broken(_) => {
                let expected = "an answer: whether it was done is not known; run the import again";
                Stop::Row(finding(row, "answer-lost", expected))
            }
        }
    }
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.created += other.created;
        self.moved += other.moved;
        self.skipped += other.skipped;
        self.failed += other.failed;
    }
}

/// A refusal as a finding: by its code, and by path and rule where it names them. The text of the
/// service is written for people and holds nothing personal.
fn refused(row: &Row, problem: &Problem) -> Finding {
    let places = problem.errors.iter();
    let places: Vec<String> = places
        .map(|(path, rule, expected)| format!("{path} ({rule}): {expected}"))
        .collect();
    let expected = if places.is_empty() {
        problem.detail.clone()
    } else {
        places.join("; ")
    };
    let rule = if problem.code.is_empty() {
        problem.status.to_string()
    } else {
        problem.code.clone()
    };
    finding(row, &rule, &expected)
}

fn finding(row: &Row, rule: &str, expected: &str) -> Finding {
    Finding {
        row: row.number,
        line: row.line,
        column: String::new(),
        rule: rule.to_owned(),
        expected: expected.to_owned(),
    }
}
