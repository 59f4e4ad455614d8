//! Creating accounts: what is checked, and what is stored together.

use cohort_access::Grant;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tenon::{
    Json, Result, Timestamp, Violation,
    store::{
        Tx,
        audit::{self, Record},
    },
};

use crate::{
    account::{self, GRANTS_MAX},
    audit::grant_value,
    errors::{SUBJECT_TAKEN, USERNAME_TAKEN},
    password,
    store::account::{NewAccount, has_subject, insert},
};

/// An account that somebody wants.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Its user name, folded by [`Draft::new`].
    pub username: String,
    /// Its first password.
    pub password: SecretString,
    /// What it may do.
    pub grants: Vec<Grant>,
    /// The subject of a patient account.
    pub subject_id: Option<String>,
}

impl Draft {
    /// An account without grants.
    pub fn new(username: &str, password: SecretString) -> Self {
        Self {
            username: account::fold(username),
            password,
            grants: Vec::new(),
            subject_id: None,
        }
    }

    /// Everything that is wrong with it.
    pub fn check(&self) -> Vec<Violation> {
        let patient = self.subject_id.is_some();
        let mut found = Vec::new();
        found.extend(account::check_username("username", &self.username));
        let password = self.password.expose_secret();
        found.extend(password::check(
            "password",
            password,
            &self.username,
            patient,
        ));
        if self.grants.len() > GRANTS_MAX {
            let expected = format!("at most {GRANTS_MAX} grants");
            found.push(Violation::body("grants", "length", expected));
        }
        if let Some(subject) = &self.subject_id {
            found.extend(account::check_subject("subjectId", subject));
        }
        if !account::fits_subject(&self.grants, self.subject_id.as_deref()) {
            let expected = "the role patient for an account with subjectId, and for no other";
            found.push(Violation::body("grants", "role", expected));
        }
        let apart = |one| {
            let mut others = self.grants.iter();
            others.all(|other| account::keeps_duties_apart(one, other))
        };
        if !self.grants.iter().all(apart) {
            let expected =
                "no role that writes subjects' data beside admin or sponsor of the trial";
            found.push(Violation::body("grants", "role", expected));
        }
        if patient && self.grants.is_empty() {
            let expected = "a grant of the role patient in the trial of the subject";
            found.push(Violation::body("grants", "required", expected));
        }
        found
    }
}

/// Stores an account with its grants and the record of it, whose new value is filled in.
///
/// # Errors
/// `USERNAME_TAKEN`, `SUBJECT_TAKEN`.
pub(crate) async fn store(
    tx: &mut Tx,
    new: &NewAccount<'_>,
    record: &Record,
    now: Timestamp,
) -> Result<()> {
    if let Some(subject) = new.subject
        && has_subject(tx, subject).await?
    {
        return Err(SUBJECT_TAKEN.error());
    }
    if !insert(tx, new, now).await? {
        return Err(USERNAME_TAKEN.error());
    }
    let record = Record {
        new: Some(described(new)),
        ..record.clone()
    };
    audit::append(tx, &record).await?;
    Ok(())
}

/// What the trail says of a new account: all but its password.
fn described(new: &NewAccount<'_>) -> Json {
    let grants: Vec<Json> = new.grants.iter().map(grant_value).collect();
    let mut value = json!({
        "username": new.username,
        "status": new.status.as_str(),
        "grants": grants,
    });
    if let Some(subject) = new.subject {
        value["subjectId"] = json!(subject);
    }
    value
}
