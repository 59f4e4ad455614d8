// Scaffolded by tenon once; yours to edit.
//! `rpc getPatientsByTrial`

use patient_full_contract::rpc;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// 根据项目ID获取患者列表
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn get_patients_by_trial(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rpc::GetPatientsByTrialReq,
) -> Result<rpc::GetPatientsByTrialResp> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
