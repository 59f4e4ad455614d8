//! All SQL of the service, by table. Functions that read take an [`tenon::store::Rx`] and work
//! inside writes as well.

pub(crate) mod alert;
pub(crate) mod questionnaire;
pub(crate) mod response;
pub(crate) mod submission;

use tenon::store::Migration;

/// The schema, step by step. A step that was released is never changed.
pub const MIGRATIONS: &[Migration] =
    tenon::store::migrations! { 1 "responses" => "../migrations/sqlite/0001_responses.sql" };
