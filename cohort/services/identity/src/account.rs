//! Accounts: their names, their states, and which grants may stand together.

use std::collections::BTreeSet;

use cohort_access::{Grant, Permission, Reach, Role, may};
use tenon::{Timestamp, Violation};

/// The shortest and longest user name, in characters.
const NAME: std::ops::RangeInclusive<usize> = 3..=64;

/// The longest id of a trial, site or subject, in characters.
const ID_MAX: usize = 64;

/// How many grants an account may have: a token carries them all and has at most 8 KiB.
pub const GRANTS_MAX: usize = 32;

/// An account as it is stored, with its grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id, a UUIDv7.
    pub id: String,
    /// Its folded user name.
    pub username: String,
    /// Its state.
    pub status: Status,
    /// Until when logins are refused because others failed.
    pub blocked_until: Option<Timestamp>,
    /// The subject of a patient account.
    pub subject_id: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// What it may do, sorted.
    pub grants: Vec<Grant>,
}

impl Account {
    /// The state with the lock that heals by itself: what is shown to others.
    pub fn shown_status(&self, now: Timestamp) -> &'static str {
        let locked = self.blocked_until.is_some_and(|until| now < until);
        if locked && self.status.may_log_in() {
            "locked"
        } else {
            self.status.as_str()
        }
    }
}

/// The states of an account that are stored. `locked` follows from failed logins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Created by somebody else and never used; its first password expires.
    Invited,
    /// In use.
    Active,
    /// Kept from logging in, until it is made active again.
    Suspended,
    /// Ended for ever. Neither its id nor its name is given again.
    Closed,
}

impl Status {
    /// The name on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Closed => "closed",
        }
    }

    /// The state of a name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Invited, Self::Active, Self::Suspended, Self::Closed]
            .into_iter()
            .find(|status| status.as_str() == name)
    }

    /// Whether the right password opens a session.
    pub const fn may_log_in(self) -> bool {
        matches!(self, Self::Invited | Self::Active)
    }

    /// Whether an administrator may move an account from here to `to`.
    pub const fn may_become(self, to: Self) -> bool {
        match (self, to) {
            (Self::Closed, _) | (_, Self::Invited) => false,
            (Self::Invited | Self::Active | Self::Suspended, _) => true,
        }
    }
}

/// Trims a user name and lowers its letters, so that one person does not get two by a typo.
pub fn fold(username: &str) -> String {
    username.trim().to_ascii_lowercase()
}

/// What is wrong with a folded user name.
pub fn check_username(path: &str, folded: &str) -> Option<Violation> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-@+".contains(c);
    let begins_well = folded.starts_with(|c: char| c.is_ascii_alphanumeric());
    let fits = NAME.contains(&folded.len()) && folded.chars().all(allowed) && begins_well;
    let expected = "3 to 64 letters a-z, digits or . _ - @ +, a letter or digit first";
    (!fits).then(|| Violation::body(path, "username", expected))
}

/// What is wrong with the id of a subject.
pub fn check_subject(path: &str, id: &str) -> Option<Violation> {
    let expected = "the id of a subject";
    (!is_id(id)).then(|| Violation::body(path, "format", expected))
}

/// A grant as a request names it, read and checked. `prefix` is where it stands, `grants[2].`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_grant(
    prefix: &str,
    role: &str,
    trial: Option<&str>,
    site: Option<&str>,
) -> Result<Grant, Vec<Violation>> {
    let mut found = Vec::new();
    let at = |field: &str| format!("{prefix}{field}");
    let role: Option<Role> = role.parse().ok();
    if role.is_none() {
        let names: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
        let expected = format!("one of {}", names.join(", "));
        found.push(Violation::body(at("role"), "options", expected));
    }
    for (field, id) in [("trialId", trial), ("siteId", site)] {
        if id.is_some_and(|id| !is_id(id)) {
            let expected = "an id of 1 to 64 letters, digits, - or _";
            found.push(Violation::body(at(field), "format", expected));
        }
    }
    if trial.is_none() && (site.is_some() || role == Some(Role::Patient)) {
        let expected = if site.is_some() {
            "the trial of the site"
        } else {
            "the trial of the patient"
        };
        found.push(Violation::body(at("trialId"), "required", expected));
    }
    match role {
        Some(role) if found.is_empty() => Ok(Grant {
            role,
            study: trial.map(str::to_owned),
            site: site.map(str::to_owned),
        }),
        _ => Err(found),
    }
}

/// Whether grants fit the account: staff roles without a subject, the role patient with one.
pub fn fits_subject(grants: &[Grant], subject: Option<&str>) -> bool {
    let patient = subject.is_some();
    grants
        .iter()
        .all(|grant| (grant.role == Role::Patient) == patient)
}

/// Whether two grants may stand in one account: who administers or sponsors a study is never also
/// one who writes the data of its subjects, at whatever site.
pub fn keeps_duties_apart(one: &Grant, other: &Grant) -> bool {
    let shared = one.study.is_none() || other.study.is_none() || one.study == other.study;
    let runs = |grant: &Grant| matches!(grant.role, Role::Admin | Role::Sponsor);
    let writes = |grant: &Grant| may(grant.role, Permission::SubjectWrite) == Reach::Granted;
    !(shared && (runs(one) && writes(other) || writes(one) && runs(other)))
}

/// The grants without doubles, sorted as the store gives them.
pub fn distinct(grants: Vec<Grant>) -> Vec<Grant> {
    let mut seen = BTreeSet::new();
    let key = |grant: &Grant| (grant.role.as_str(), grant.study.clone(), grant.site.clone());
    let mut grants: Vec<Grant> = grants
        .into_iter()
        .filter(|grant| seen.insert(key(grant)))
        .collect();
    grants.sort_by_key(key);
    grants
}

fn is_id(id: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=ID_MAX).contains(&id.len()) && id.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_and_checked() {
        assert_eq!(fold("  Alice.LI@site-1 \n"), "alice.li@site-1");
        for good in ["abc", "p001", "alice.li@site-1", "a+b", &"x".repeat(64)] {
            assert!(check_username("username", good).is_none(), "{good}");
        }
        for bad in [
            "",
            "ab",
            ".ab",
            "a b",
            "älice",
            "a\u{0}b",
            "ABC",
            &"x".repeat(65),
        ] {
            assert!(check_username("username", bad).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn a_closed_account_stays_closed() {
        for to in [
            Status::Invited,
            Status::Active,
            Status::Suspended,
            Status::Closed,
        ] {
            assert!(!Status::Closed.may_become(to));
            assert_eq!(Status::parse(to.as_str()), Some(to));
        }
        assert!(Status::Suspended.may_become(Status::Active));
        assert!(!Status::Active.may_become(Status::Invited));
    }

    #[test]
    fn every_fault_of_a_grant_is_told() {
        let found = read_grant("grants[0].", "root", None, Some("no spaces")).unwrap_err();
        let places: Vec<(&str, &str)> = found
            .iter()
            .map(|violation| (violation.path.as_str(), violation.rule.as_ref()))
            .collect();
        assert_eq!(
            places,
            [
                ("grants[0].role", "options"),
                ("grants[0].siteId", "format"),
                ("grants[0].trialId", "required"),
            ]
        );
        assert!(read_grant("", "patient", None, None).is_err());
        assert!(read_grant("", "admin", Some(""), None).is_err());
        assert!(read_grant("", "admin", None, None).is_ok());
    }

    #[test]
    fn r_20_who_runs_a_study_does_not_write_its_data() {
        let grant = |role, study, site| read_grant("", role, study, site).unwrap();
        let writer = grant("coordinator", Some("T1"), Some("S1"));
        for runs in [
            grant("admin", None, None),
            grant("sponsor", None, None),
            grant("admin", Some("T1"), Some("S2")),
            grant("sponsor", Some("T1"), None),
        ] {
            assert!(!keeps_duties_apart(&runs, &writer), "{runs:?}");
            assert!(!keeps_duties_apart(&writer, &runs), "{runs:?}");
        }
        for other in [
            grant("sponsor", Some("T2"), None),
            grant("admin", Some("T2"), None),
            grant("investigator", None, None),
            grant("monitor", Some("T1"), None),
        ] {
            assert!(keeps_duties_apart(&other, &writer), "{other:?}");
        }
    }

    #[test]
    fn a_patient_is_nothing_else() {
        let staff = read_grant("", "monitor", Some("T1"), None).unwrap();
        let patient = read_grant("", "patient", Some("T1"), None).unwrap();
        assert!(fits_subject(std::slice::from_ref(&patient), Some("P1")));
        assert!(!fits_subject(std::slice::from_ref(&patient), None));
        assert!(!fits_subject(&[patient, staff.clone()], Some("P1")));
        assert_eq!(distinct(vec![staff.clone(), staff.clone()]), [staff]);
    }
}
