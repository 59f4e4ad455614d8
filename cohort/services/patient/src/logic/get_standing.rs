//! `rpc GetStanding`

use clinical::subject::{Assignment, Status, may_answer};
use cohort_access::{Caller, Permission};
use patient_contract::rpc;
use tenon::{Context, Result};

use crate::{ServiceContext, shown};

/// Whether a subject may answer questionnaires, and which: asked in the name of the one who
/// submits, the subject itself or somebody of its site.
pub async fn get_standing(
    cx: &Context,
    svc: &ServiceContext,
    req: rpc::GetStandingReq,
) -> Result<rpc::GetStandingResp> {
    let caller = Caller::of(cx)?;
    let subject = shown::found(cx, svc, &caller, Permission::ResponseWrite, &req.id).await?;
    Ok(rpc::GetStandingResp {
        id: subject.id,
        trial_id: subject.study_id,
        site_id: subject.site_id,
        status: i32::from(subject.status.code()),
        answers: answers(subject.status).into(),
    })
}

fn answers(status: Status) -> rpc::Answers {
    if may_answer(status, Assignment::Study) {
        rpc::Answers::Assigned
    } else if may_answer(status, Assignment::Screening) {
        rpc::Answers::Screening
    } else {
        rpc::Answers::None
    }
}
