// Scaffolded by tenon once; yours to edit.
//! `rpc getPatientsByTrial`

use tenon::{Context, Result};
use ward_contract::rpc;

use crate::ServiceContext;

/// 根据项目ID获取患者列表
///
/// # Errors
/// None.
pub async fn get_patients_by_trial(
    _cx: &Context,
    svc: &ServiceContext,
    _req: rpc::GetPatientsByTrialReq,
) -> Result<rpc::GetPatientsByTrialResp> {
    Ok(rpc::GetPatientsByTrialResp {
        patients: svc.patients.to_vec(),
    })
}
