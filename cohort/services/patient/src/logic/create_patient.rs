//! `POST /api/v1/patient`

use std::sync::Arc;

use clinical::subject::Status;
use cohort_access::{Act, Caller, Permission, Scope};
use patient_contract::rest;
use tenon::{Context, Error, Personal, Result};
use uuid::Uuid;

use crate::{
    ServiceContext,
    errors::{SITE_NOT_FOUND, SUBJECT_KEPT, SUBJECT_NO_TAKEN},
    new_subject::NewSubject,
    site,
    store::{Draft, Kept},
};

/// Adds a person to a study, in screening.
///
/// A request that is sent again is refused like any other whose subject number is used, and told
/// the subject that it made: an importer goes on after a break with that.
pub async fn create_patient(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::CreatePatientReq,
) -> Result<rest::PatientResp> {
    let caller = Caller::of(cx)?;
    let place = Scope {
        study: Some(&req.trial_id),
        site: Some(&req.site_id),
        subject: None,
    };
    caller.require(Permission::SubjectWrite, place, &SITE_NOT_FOUND)?;
    let site = site::of(cx, svc, &req.trial_id, &req.site_id).await?;
    let now = svc.clock.now();
    let new = NewSubject::check(req, site::day(&site.time_zone, now)?)?;
    site::takes_subjects(&site)?;
    let id = Uuid::now_v7().to_string();
    let record = caller.record(Act {
        stream: &new.study_id,
        action: "subject.create",
        entity_id: &id,
        permission: Permission::SubjectWrite,
        scope: scope(&new, &id),
        time: now,
    });
    let ring = svc.ring.clone();
    let draft = Arc::new(Draft::new(id, new, site.time_zone, &ring, record));
    let kept = draft.clone();
    let keep = async move |tx: &mut tenon::store::Tx| kept.keep(tx, &ring).await;
    match svc.db.write(cx, keep).await? {
        Kept::New { person_id } => Ok(rest::PatientResp {
            patient: shown(&caller, &draft, person_id),
        }),
        Kept::Before {
            id,
            site_id,
            is_same,
        } => {
            let place = Scope {
                study: Some(&draft.new.study_id),
                site: Some(&site_id),
                subject: Some(&id),
            };
            let may_see = caller.allows(Permission::SubjectRead, place);
            Err(taken(&id, is_same && may_see))
        }
    }
}

fn taken(id: &str, is_told: bool) -> Error {
    if is_told {
        SUBJECT_KEPT.error().param("subjectId", id)
    } else {
        SUBJECT_NO_TAKEN.error()
    }
}

fn scope<'a>(new: &'a NewSubject, id: &'a str) -> Scope<'a> {
    Scope {
        study: Some(&new.study_id),
        site: Some(&new.site_id),
        subject: Some(id),
    }
}

/// The new subject; who wrote its name may still not be allowed to read it.
fn shown(caller: &Caller, draft: &Draft, person_id: String) -> rest::Patient {
    let new = &draft.new;
    let known = caller.allows(Permission::SubjectIdentify, scope(new, &draft.id));
    let text = |value: &Option<zeroize::Zeroizing<String>>| {
        let value = value.as_deref().filter(|_| known);
        value.cloned().map(Personal::from)
    };
    rest::Patient {
        id: draft.id.clone(),
        name: text(&new.name),
        trial_id: new.study_id.clone(),
        site_id: new.site_id.clone(),
        subject_no: new.subject_no.clone(),
        status: i64::from(Status::Screening.code()),
        person_id,
        sex: new.sex.clone(),
        birth_date: new.birth_date.clone(),
        identity_number: text(&new.identity_number),
        phone: text(&new.phone),
        created_at: draft.now,
        updated_at: draft.now,
    }
}
