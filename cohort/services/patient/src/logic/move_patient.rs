//! `POST /api/v1/patient/:patientId/status`

use clinical::subject::Status;
use cohort_access::{Act, Caller, Permission};
use jiff::civil::Date;
use patient_contract::rest;
use tenon::{Context, Error, Result, Violation};

use crate::{
    ServiceContext, birth_date, shown, site,
    store::Shift,
    subject::{Subject, status},
};

/// Reasons are a few sentences.
const REASON_MAX: usize = 2_000;

/// Moves a subject: 0 to 1 or 3, 1 to 2, 4, 5 or 6.
pub async fn move_patient(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::MovePatientReq,
) -> Result<rest::PatientResp> {
    let caller = Caller::of(cx)?;
    let write = Permission::SubjectWrite;
    let subject = shown::found(cx, svc, &caller, write, &req.patient_id).await?;
    let now = svc.clock.now();
    let today = site::day(&subject.time_zone, now)?;
    let day = check(&req, &subject, today)?;
    let to = status(req.status)?;
    if to == Status::Enrolled && subject.status.may_become(to) {
        let place = site::of(cx, svc, &subject.study_id, &subject.site_id).await?;
        site::takes_subjects(&place)?;
    }
    let shift = Shift {
        to,
        reason: req.reason,
        day,
        today,
        record: caller.record(Act {
            stream: &subject.study_id,
            action: "subject.move",
            entity_id: &subject.id,
            permission: write,
            scope: subject.scope(),
            time: now,
        }),
    };
    let make = async move |tx: &mut tenon::store::Tx| shift.make(tx).await;
    let moved = svc.db.write(cx, make).await?;
    let patient = shown::one(cx, svc, &caller, moved).await?;
    Ok(rest::PatientResp { patient })
}

/// The day of the move, when everything that the request says for itself is sound. Whether the
/// subject may move is asked where it is moved.
fn check(req: &rest::MovePatientReq, subject: &Subject, today: Date) -> Result<Date> {
    let mut found = Vec::new();
    let reason = req.reason.trim();
    let is_text = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    if reason.is_empty() {
        let expected = "why the subject is moved";
        found.push(Violation::body("reason", "required", expected));
    } else if reason.chars().count() > REASON_MAX || !reason.chars().all(is_text) {
        let expected = format!("a text of at most {REASON_MAX} characters");
        found.push(Violation::body("reason", "text", expected));
    }
    let day = whole_day(&req.date);
    let born = birth_date::earliest(subject.birth_date.expose());
    match day {
        None => {
            let expected = "the day on which it happened, as 2024-05-17";
            found.push(Violation::body("date", "date", expected));
        }
        Some(day) if day > today || born.is_some_and(|born| day < born) => {
            let expected = "a day from the date of birth to today at the site";
            found.push(Violation::body("date", "range", expected));
        }
        Some(_) => {}
    }
    day.filter(|_| found.is_empty())
        .ok_or_else(|| Error::invalid(found))
}

/// `2024-05-17` and nothing else: a time of day would leave open whose day it is.
fn whole_day(text: &str) -> Option<Date> {
    (text.len() == 10)
        .then(|| birth_date::earliest(text))
        .flatten()
}
