//! `rpc GetProgress`

use tenon::{Context, Result};
use trial_contract::rpc;

use crate::{ServiceContext, progress};

/// How far enrolment has come. Numbers of a study name nobody, so nobody is asked who they are.
pub async fn get_progress(
    cx: &Context,
    svc: &ServiceContext,
    req: rpc::GetProgressReq,
) -> Result<rpc::GetProgressResp> {
    let study = svc.study(cx, &req.trial_id).await?;
    let progress = progress::of(cx, svc, &study).await?;
    Ok(rpc::GetProgressResp {
        trial_id: study.id,
        status: study.status,
        enrolled: progress.enrolled,
        target: study.target,
        progress: progress.percent,
    })
}
