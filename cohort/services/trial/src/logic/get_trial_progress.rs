//! `GET /api/v1/trial/:trialId/progress`

use cohort_access::Permission;
use tenon::{Context, Json, Result};
use trial_contract::rest;

use crate::{ServiceContext, progress, seen};

/// How far enrolment has come.
pub async fn get_trial_progress(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::TrialReq,
) -> Result<rest::TrialProgressResp> {
    let study = seen::study(cx, svc, Permission::StudyRead, &req.trial_id).await?;
    let progress = progress::of(cx, svc, &study).await?;
    Ok(rest::TrialProgressResp {
        progress: progress.percent.map_or(Json::Null, Json::from),
        target: study.target.map_or(Json::Null, Json::from),
        trial_id: study.id,
        status: study.status,
        enrolled: progress.enrolled,
    })
}
