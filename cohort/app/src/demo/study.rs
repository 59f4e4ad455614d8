//! The study of the demonstration: two sites, two arms, a schedule, and subjects at every stage.

use anyhow::{Result, bail};
use cohort_access::Grant;
use jiff::{ToSpan, civil::Date};
use serde_json::{Value, json};

use super::{accounts::everywhere, find_or_make, text};
use crate::api::{Api, escaped};

/// A study with its sites.
pub(super) struct Study {
    /// Its id.
    pub(super) id: String,
    sites: Vec<String>,
}

impl Study {
    /// A role in the study, or at one of its sites only.
    pub(super) fn grant(&self, role: &str, site: Option<usize>) -> Result<Grant> {
        Ok(Grant {
            study: Some(self.id.clone()),
            site: site.and_then(|position| self.sites.get(position).cloned()),
            ..everywhere(role)?
        })
    }
}

/// Makes the study and its sites.
pub(super) fn make(administrator: &Api, questionnaires: &[String]) -> Result<Study> {
    let named = |name: &str| {
        let end = format!(":{name}|");
        questionnaires
            .iter()
            .find(|canonical| canonical.contains(&end))
    };
    let (Some(phq9), Some(gad7)) = (named("phq9"), named("gad7")) else {
        bail!("the questionnaires phq9 and gad7 are not published");
    };
    let visit = |code: &str, title: &str, offset: i64, window: i64| {
        json!({
            "code": code, "title": title, "screening": offset < 0, "offsetDays": offset,
            "windowBeforeDays": window, "windowAfterDays": window, "questionnaires": [phq9, gad7],
        })
    };
    let study = find_or_make(administrator, "/trial", ("code", "DEMO"), || {
        json!({
            "title": "Demonstration study of mood and anxiety",
            "target": 20,
            "status": "recruiting",
            "arms": [
                {"code": "A", "title": "Usual care"},
                {"code": "B", "title": "Usual care and a diary"},
            ],
            "cycles": [
                visit("SCREENING", "Screening", -14, 14),
                visit("WEEK-2", "Week 2", 14, 3),
                visit("WEEK-4", "Week 4", 28, 3),
                visit("WEEK-8", "Week 8", 56, 7),
            ],
        })
    })?;
    let id = text(&study, "id")?;
    let path = format!("/trial/{}/site", escaped(&id));
    let mut sites = Vec::new();
    for (code, name, zone) in [
        ("001", "Demonstration hospital, Shanghai", "Asia/Shanghai"),
        ("002", "Demonstration hospital, Berlin", "Europe/Berlin"),
    ] {
        let site = find_or_make(
            administrator,
            &path,
            ("code", code),
            || json!({"name": name, "timeZone": zone, "target": 10}),
        )?;
        sites.push(text(&site, "id")?);
    }
    Ok(Study { id, sites })
}

/// Who is to be in the study: number, site, sex, date of birth, specimen of an identity number,
/// and the moves with how many days ago they were.
type Person = (
    &'static str,
    usize,
    &'static str,
    &'static str,
    Option<&'static str>,
    &'static [(u8, i64)],
);

/// The numbers are the standard's own examples and those of public test suites.
const PERSONS: [Person; 8] = [
    (
        "001-001",
        0,
        "F",
        "1949-12-31",
        Some("11010519491231002X"),
        &[(1, 40)],
    ),
    (
        "001-002",
        0,
        "M",
        "1980-01-01",
        Some("34052419800101001X"),
        &[(1, 33)],
    ),
    (
        "001-003",
        0,
        "M",
        "1990-10-05",
        Some("412723199010050012"),
        &[(1, 21)],
    ),
    ("002-001", 1, "F", "1962", None, &[(1, 30)]),
    ("002-002", 1, "U", "1971-06", None, &[(1, 16)]),
    (
        "001-004",
        0,
        "M",
        "1991-01-01",
        Some("110102199101010078"),
        &[],
    ),
    ("002-003", 1, "F", "1985-03-09", None, &[]),
    (
        "001-005",
        0,
        "M",
        "1990-02-03",
        Some("350303199002033073"),
        &[(1, 50), (2, 5)],
    ),
];

/// Makes the subjects and moves them to where they stand; their ids in the order of
/// [`PERSONS`].
pub(super) fn enrol(coordinator: &Api, study: &Study) -> Result<Vec<String>> {
    let path = format!("/patient?trialId={}", escaped(&study.id));
    let present = coordinator.items(&path)?;
    let today = jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date();
    let mut ids = Vec::new();
    for person in PERSONS {
        let is_this = |subject: &&Value| subject.get("subjectNo") == Some(&json!(person.0));
        let subject = match present.iter().find(is_this) {
            Some(subject) => subject.clone(),
            None => create(coordinator, study, person)?,
        };
        let id = text(&subject, "id")?;
        // What an interrupted start began is finished; what somebody did since stays.
        let status = subject
            .get("status")
            .and_then(Value::as_u64)
            .unwrap_or_default();
        let reached = person.5.iter().position(|(to, _)| u64::from(*to) == status);
        let done = match (status, reached) {
            (0, _) => 0,
            (_, Some(position)) => position + 1,
            (_, None) => person.5.len(),
        };
        for (to, days) in person.5.iter().skip(done) {
            advance(coordinator, &id, *to, today.checked_sub(days.days())?)?;
        }
        ids.push(id);
    }
    Ok(ids)
}

fn create(coordinator: &Api, study: &Study, person: Person) -> Result<Value> {
    let (number, site, sex, birth_date, identity_number, _) = person;
    let mut body = json!({
        "trialId": study.id,
        "siteId": study.sites.get(site),
        "subjectNo": number,
        "sex": sex,
        "birthDate": birth_date,
        "name": format!("Specimen {number}"),
    });
    if let Some(identity_number) = identity_number {
        body["identityNumber"] = json!(identity_number);
    }
    let (_, made) = coordinator.post("/patient", &body)?;
    Ok(made.get("patient").cloned().unwrap_or_default())
}

fn advance(coordinator: &Api, id: &str, to: u8, day: Date) -> Result<()> {
    let reason = match to {
        1 => "eligible and consenting (demonstration)",
        _ => "no longer wishes to take part (demonstration)",
    };
    let body = json!({"status": to, "reason": reason, "date": day.to_string()});
    coordinator.post(&format!("/patient/{}/status", escaped(id)), &body)?;
    Ok(())
}
