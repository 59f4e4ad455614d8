//! `rpc GetAssignment`

use tenon::{Context, Result};
use trial_contract::rpc;

use crate::ServiceContext;

/// Which questionnaires a study assigns: those of its cycles, or all where no cycle names one.
pub async fn get_assignment(
    cx: &Context,
    svc: &ServiceContext,
    req: rpc::GetAssignmentReq,
) -> Result<rpc::GetAssignmentResp> {
    let study = svc.study(cx, &req.trial_id).await?;
    let assigned = study.definition.questionnaires(false);
    Ok(rpc::GetAssignmentResp {
        trial_id: study.id,
        all: assigned.is_empty(),
        screening: study.definition.questionnaires(true),
        assigned,
    })
}
