//! `POST /api/v1/epro/response`: the hot path.
//!
//! A submission is decided in this order, each step cheaper than the next: was it stored before
//! (one read by key, so that a repetition needs no neighbour), does it fit its questionnaire (in
//! memory), may the subject answer (the neighbours), and then one write that is also what decides
//! between two that come at once.

use std::sync::Arc;

use clinical::{
    canonical,
    instrument::{self, CheckedResponse, Questionnaire, questionnaire_of},
};
use cohort_access::{Caller, Permission, Scope};
use epro_contract::rest;
use patient_contract::rpc::{Answers, GetStandingReq, GetStandingResp, PatientService};
use tenon::{
    Code, Context, Error, Json, Result, Violation,
    store::{Rx, Tx, args, audit},
};

use crate::{
    ServiceContext,
    device::Device,
    draft::{self, Draft, originator},
    errors::{
        QUESTIONNAIRE_NOT_ASSIGNED, RESPONSE_ID_CONFLICT, SUBJECT_MAY_NOT_ANSWER,
        SUBJECT_NOT_FOUND, violations,
    },
    places::is_id,
    store::{
        response::{self, First},
        submission::{self, Outcome},
    },
    trail, view,
};

/// Stores a response once, with its scores, its alerts and its audit record, and answers with its
/// receipt. The same content under the same id again gets the first receipt with status 200.
///
/// # Errors
/// `REQUEST_INVALID` with every problem of the response; `RESPONSE_ID_CONFLICT`;
/// `SUBJECT_NOT_FOUND`; `SUBJECT_MAY_NOT_ANSWER`; `QUESTIONNAIRE_NOT_ASSIGNED`; what the
/// neighbours and the store answer. Only after the store's own errors that say so, and after a
/// passed deadline, may the response be stored all the same: sending it again settles it.
pub async fn submit_response(
    cx: &Context,
    svc: &ServiceContext,
    req: Json,
) -> Result<rest::SubmitResponseResp> {
    let caller = Caller::of(cx)?;
    let digest = canonical::digest(&req);
    if let Some(first) = stored_before(cx, svc, &req).await? {
        return answer_again(cx, svc, &caller, first, digest).await;
    }
    let (questionnaire, checked, device) = check(cx, svc, &req).await?;
    let standing = standing(cx, svc, &checked.header().subject_id).await?;
    let scope = Scope {
        study: Some(&standing.trial_id),
        site: Some(&standing.site_id),
        subject: Some(&checked.header().subject_id),
    };
    caller.require(Permission::ResponseWrite, scope, &SUBJECT_NOT_FOUND)?;
    may_answer(cx, svc, &standing, &questionnaire.canonical()).await?;
    let draft = Draft {
        originator: originator(&caller, scope),
        questionnaire: &questionnaire,
        checked,
        device,
        standing,
        digest,
        resource: received_text(cx, &req),
    };
    // The tree is ten times the size of its text, and hundreds of writes wait for one commit.
    drop(req);
    let new = draft.finish(caller, svc.clock.now());
    let receipt = draft::receipt(&new);
    let keep = async move |tx: &mut Tx| submission::keep(tx, &new).await;
    match svc.db.write(cx, keep).await? {
        Outcome::Kept => Ok(receipt),
        Outcome::Replayed(first, computed) => {
            tenon::rest::reply(cx).status(200);
            Ok(view::receipt(*first, computed))
        }
        Outcome::Conflict => Err(RESPONSE_ID_CONFLICT.error()),
    }
}

/// The text of a body as it was received, so that numbers keep the digits that were sent.
pub(crate) fn received_text(cx: &Context, value: &Json) -> String {
    tenon::rest::received(cx)
        .and_then(|bytes| String::from_utf8(bytes.into()).ok())
        .unwrap_or_else(|| value.to_string())
}

/// The response that is stored under the id of this one, if it has an id at all.
async fn stored_before(cx: &Context, svc: &ServiceContext, req: &Json) -> Result<Option<First>> {
    let id = req.get("id").and_then(Json::as_str).unwrap_or_default();
    if !is_id(id) {
        return Ok(None);
    }
    let id = id.to_ascii_lowercase();
    svc.db.optional(cx, response::FIRST, args![id]).await
}

/// Answers a submission whose id is stored. What happened to subject and questionnaire since then
/// does not matter: the first submission was accepted.
async fn answer_again(
    cx: &Context,
    svc: &ServiceContext,
    caller: &Caller,
    first: First,
    digest: [u8; 32],
) -> Result<rest::SubmitResponseResp> {
    if first.digest != digest {
        let record = trail::conflict(caller, &first, &digest, svc.clock.now());
        let append = async move |tx: &mut Tx| audit::append(tx, &record).await;
        svc.db.write(cx, append).await?;
        return Err(RESPONSE_ID_CONFLICT.error());
    }
    // The content names the subject, so a stranger to it learns what it would of a new one.
    caller.require(Permission::ResponseWrite, first.scope(), &SUBJECT_NOT_FOUND)?;
    let id = first.id.clone();
    let read = async move |rx: &mut Rx| response::computed(rx, &id).await;
    let computed = svc.db.read(cx, read).await?;
    tenon::rest::reply(cx).status(200);
    Ok(view::receipt(first, computed))
}

/// Checks everything that the response says, all problems at once.
async fn check(
    cx: &Context,
    svc: &ServiceContext,
    req: &Json,
) -> Result<(Arc<Questionnaire>, CheckedResponse, Device)> {
    let device = Device::read(req);
    let named = questionnaire_of(req).map_err(violations);
    let checked = match named {
        Err(found) => Err(found),
        Ok((url, version)) => match svc.library.find(cx, &format!("{url}|{version}")).await? {
            None => Err(vec![Violation::body(
                "questionnaire",
                "questionnaire",
                "a published questionnaire as url|version",
            )]),
            Some(questionnaire) => instrument::check(&questionnaire, req)
                .map(|checked| (questionnaire, checked))
                .map_err(violations),
        },
    };
    match (checked, device) {
        (Ok((questionnaire, checked)), Ok(device)) => Ok((questionnaire, checked, device)),
        (checked, device) => {
            let mut found = checked.err().unwrap_or_default();
            found.extend(device.err().unwrap_or_default());
            Err(Error::invalid(found))
        }
    }
}

/// Where the subject stands. A subject that the neighbour does not show does not exist here.
async fn standing(cx: &Context, svc: &ServiceContext, subject: &str) -> Result<GetStandingResp> {
    let id = subject.to_owned();
    let standing = svc.patient.get_standing(cx, GetStandingReq { id }).await;
    standing.map_err(|error| match error.status() {
        Code::NotFound => SUBJECT_NOT_FOUND.error(),
        _ => error,
    })
}

async fn may_answer(
    cx: &Context,
    svc: &ServiceContext,
    standing: &GetStandingResp,
    canonical: &str,
) -> Result<()> {
    let answers = standing.answers();
    if answers == Answers::None {
        return Err(SUBJECT_MAY_NOT_ANSWER.error());
    }
    let assignment = svc.assignments.of(cx, &standing.trial_id).await?;
    let assigned = match answers {
        Answers::None => false,
        Answers::Screening => assignment.screens_with(canonical),
        Answers::Assigned => assignment.assigns(canonical),
    };
    if assigned {
        Ok(())
    } else {
        Err(QUESTIONNAIRE_NOT_ASSIGNED.error())
    }
}
