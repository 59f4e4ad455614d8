//! A subject: one person in one study, as the store keeps it and the doors show it.

use clinical::subject::Status;
use cohort_access::Scope;
use patient_contract::rest;
use tenon::{
    Error, Personal, Result, Timestamp,
    store::{
        FromRow, Row,
        seal::{Place, Sealed},
    },
};

/// A subject with its personal values still sealed.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) id: String,
    pub(crate) person_id: String,
    pub(crate) study_id: String,
    pub(crate) site_id: String,
    pub(crate) subject_no: String,
    pub(crate) sex: String,
    pub(crate) birth_date: Personal<String>,
    pub(crate) name: Option<Sealed>,
    pub(crate) identity_number: Option<Sealed>,
    pub(crate) phone: Option<Sealed>,
    pub(crate) time_zone: String,
    pub(crate) status: Status,
    /// The day on which the status began, ISO 8601; not known for screening.
    pub(crate) status_since: Option<String>,
    pub(crate) ever_enrolled: bool,
    pub(crate) version: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// What tells who a subject is, opened.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    pub(crate) name: Option<Personal<String>>,
    pub(crate) identity_number: Option<Personal<String>>,
    pub(crate) phone: Option<Personal<String>>,
}

impl Subject {
    /// Where it belongs.
    pub(crate) fn scope(&self) -> Scope<'_> {
        Scope {
            study: Some(&self.study_id),
            site: Some(&self.site_id),
            subject: Some(&self.id),
        }
    }

    /// What is shown of it; `identity` is empty for callers who may not know who it is.
    pub(crate) fn shown(self, identity: Identity) -> rest::Patient {
        rest::Patient {
            id: self.id,
            name: identity.name,
            trial_id: self.study_id,
            site_id: self.site_id,
            subject_no: self.subject_no,
            status: i64::from(self.status.code()),
            person_id: self.person_id,
            sex: self.sex,
            birth_date: self.birth_date,
            identity_number: identity.identity_number,
            phone: identity.phone,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

/// Where a sealed value of a subject stands. The data key is the person's: when it is destroyed,
/// nothing that any study kept of the person can be opened.
pub(crate) fn place<'a>(column: &'a str, subject: &'a str, person: &'a str) -> Place<'a> {
    Place {
        table: "subject",
        column,
        row: subject,
        owner: person,
    }
}

/// The status of a code that the database kept.
pub(crate) fn status(code: i64) -> Result<Status> {
    Status::from_code(code)
        .ok_or_else(|| Error::internal("read a subject", "its status is not known"))
}

impl FromRow for Subject {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            person_id: row.get(1)?,
            study_id: row.get(2)?,
            site_id: row.get(3)?,
            subject_no: row.get(4)?,
            sex: row.get(5)?,
            birth_date: row.get(6)?,
            name: row.get(7)?,
            identity_number: row.get(8)?,
            phone: row.get(9)?,
            time_zone: row.get(10)?,
            status: status(row.get(11)?)?,
            status_since: row.get(12)?,
            ever_enrolled: row.get(13)?,
            version: row.get(14)?,
            created_at: row.get(15)?,
            updated_at: row.get(16)?,
        })
    }
}
