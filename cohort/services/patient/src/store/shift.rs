//! Moving a subject to another status: the row, its episodes, the count of the study and the audit
//! record, in one write.

use clinical::subject::{self, Move, MoveError, Status};
use jiff::civil::Date;
use serde_json::json;
use tenon::{
    Error, OrInternal, Result, Violation,
    store::{
        Tx, args,
        audit::{self, Record},
    },
};

use super::SUBJECT;
use crate::{
    errors::{PATIENT_NOT_FOUND, SUBJECT_MOVE_REFUSED},
    subject::Subject,
};

/// A move that is to be made.
pub(crate) struct Shift {
    pub(crate) to: Status,
    pub(crate) reason: String,
    /// When it happened, in the site's calendar.
    pub(crate) day: Date,
    /// The day of the site now.
    pub(crate) today: Date,
    /// The audit record, without reason, old and new value.
    pub(crate) record: Record,
}

impl Shift {
    /// Makes the move, if the subject's present status allows it.
    ///
    /// # Errors
    /// `SUBJECT_MOVE_REFUSED`; `REQUEST_INVALID` for a day before the present status began.
    pub(crate) async fn make(&self, tx: &mut Tx) -> Result<Subject> {
        let found: Option<Subject> = tx.optional(SUBJECT, args![self.record.entity_id]).await?;
        let mut subject = found.ok_or_else(|| PATIENT_NOT_FOUND.error())?;
        self.check(&subject)?;
        let first = self.to == Status::Enrolled && !subject.ever_enrolled;
        self.episode(tx, &subject).await?;
        let record = self.told(&subject);
        subject.status = self.to;
        subject.status_since = Some(self.day.to_string());
        subject.ever_enrolled |= first;
        subject.version += 1;
        subject.updated_at = self.record.time;
        update(tx, &subject).await?;
        if first {
            count(tx, &subject.study_id).await?;
        }
        audit::append(tx, &record).await?;
        Ok(subject)
    }

    fn check(&self, subject: &Subject) -> Result<()> {
        let since: Option<Date> = match &subject.status_since {
            Some(day) => Some(day.parse().or_internal("read the day of a status")?),
            None => None,
        };
        let asked = Move {
            to: self.to,
            reason: Some(&self.reason),
            date: Some(self.day),
        };
        let moved = subject::check_move(subject.status, since, asked, self.today);
        moved.map_err(|errors| self.refuse(subject.status, &errors))
    }

    fn refuse(&self, from: Status, errors: &[MoveError]) -> Error {
        if errors.iter().any(|error| error.is_conflict()) {
            let refused = SUBJECT_MOVE_REFUSED.error();
            return refused
                .param("from", from.code())
                .param("to", self.to.code());
        }
        let violation = |error: &MoveError| {
            let (path, rule) = match error {
                MoveError::ReasonMissing => ("reason", "required"),
                MoveError::DateMissing => ("date", "required"),
                MoveError::DateInFuture | MoveError::DateBeforePresent => ("date", "range"),
                MoveError::Illegal { .. } => ("status", "options"),
            };
            let text = error.to_string();
            // The text is `what is wrong: what to do`.
            let expected = text.rsplit(": ").next().unwrap_or_default().to_owned();
            Violation::body(path, rule, expected)
        };
        Error::invalid(errors.iter().map(violation).collect())
    }

    /// Ends the present episode on the day on which the next one begins.
    async fn episode(&self, tx: &mut Tx, subject: &Subject) -> Result<()> {
        const LAST: &str = "SELECT max(number) FROM episode WHERE subject_id = $1";
        const END: &str = "UPDATE episode SET to_day = $3, ended_at = $4
            WHERE subject_id = $1 AND number = $2";
        const BEGIN: &str = "INSERT INTO episode
            (subject_id, number, status, from_day, began_at, reason, moved_by, moved_by_role)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let last: i64 = tx.one(LAST, args![subject.id]).await?;
        let (day, now, next) = (self.day.to_string(), self.record.time, last + 1);
        let status = self.to.code();
        tx.execute(END, args![subject.id, last, day, now]).await?;
        let row = args![
            subject.id,
            next,
            status,
            day,
            now,
            self.reason,
            self.record.actor,
            self.record.actor_role
        ];
        tx.execute(BEGIN, row).await?;
        Ok(())
    }

    fn told(&self, subject: &Subject) -> Record {
        let mut record = self.record.clone();
        record.reason = Some(self.reason.clone());
        record.old = Some(json!({
            "status": subject.status.code(),
            "date": subject.status_since,
        }));
        record.new = Some(json!({
            "status": self.to.code(),
            "date": self.day.to_string(),
        }));
        record
    }
}

async fn update(tx: &mut Tx, subject: &Subject) -> Result<()> {
    const SQL: &str = "UPDATE subject SET status = $2, status_since = $3, ever_enrolled = $4,
        version = $5, updated_at = $6 WHERE id = $1";
    let status = subject.status.code();
    let row = args![
        subject.id,
        status,
        subject.status_since,
        subject.ever_enrolled,
        subject.version,
        subject.updated_at
    ];
    tx.execute(SQL, row).await?;
    Ok(())
}

/// Counts a first enrolment of the study.
async fn count(tx: &mut Tx, study: &str) -> Result<()> {
    const SQL: &str = "INSERT INTO study_enrolment (study_id, enrolled) VALUES ($1, 1)
        ON CONFLICT (study_id) DO UPDATE SET enrolled = study_enrolment.enrolled + 1";
    tx.execute(SQL, args![study]).await?;
    Ok(())
}
