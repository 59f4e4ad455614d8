//! The queries of this service.

mod create;
mod list;
mod shift;

use tenon::{
    Context, Result,
    store::{self, Db, Migration, args},
};

pub(crate) use create::{Draft, Kept};
pub(crate) use list::{Line, lines, page, places};
pub(crate) use shift::Shift;

/// The schema, step by step.
pub(crate) const MIGRATIONS: &[Migration] =
    store::migrations! { 1 "subject" => "../migrations/0001_subject.sql" };

/// A query of subjects, with the columns that [`crate::subject::Subject`] is read from.
macro_rules! subject {
    ($rest:literal) => {
        concat!(
            "SELECT id, person_id, study_id, site_id, subject_no, sex, birth_date, name,
             identity_number, phone, time_zone, status, status_since, ever_enrolled, version,
             created_at, updated_at FROM subject ",
            $rest
        )
    };
}
pub(crate) use subject;

/// The query of a subject by its id.
pub(crate) const SUBJECT: &str = subject!("WHERE id = $1");

/// How many subjects of a study were ever enrolled.
pub(crate) async fn enrolled(db: &Db, cx: &Context, study: &str) -> Result<i64> {
    const SQL: &str = "SELECT enrolled FROM study_enrolment WHERE study_id = $1";
    let found: Option<i64> = db.optional(cx, SQL, args![study]).await?;
    Ok(found.unwrap_or(0))
}
