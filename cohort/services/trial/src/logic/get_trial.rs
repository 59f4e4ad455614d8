//! `GET /api/v1/trial/:trialId`

use cohort_access::Permission;
use tenon::{Context, Result};
use trial_contract::rest;

use crate::{ServiceContext, seen};

/// One study.
pub async fn get_trial(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::TrialReq,
) -> Result<rest::Trial> {
    let study = seen::study(cx, svc, Permission::StudyRead, &req.trial_id).await?;
    Ok(study.into())
}
