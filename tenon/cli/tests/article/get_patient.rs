//! `GET /api/v1/patient/:patientId`, as a developer fills it in.

use patient_contract::rest;
use tenon::{Code, Context, Entry, Result};

use crate::ServiceContext;

static PATIENT_NOT_FOUND: Entry =
    Entry::new("PATIENT_NOT_FOUND", Code::NotFound, "patient does not exist", "患者不存在");

/// One patient, for a caller who showed a token.
///
/// # Errors
/// `TOKEN_MISSING` without a caller, `PATIENT_NOT_FOUND` for an unknown one.
pub async fn get_patient(
    cx: &Context,
    _svc: &ServiceContext,
    req: rest::GetPatientReq,
) -> Result<rest::GetPatientResp> {
    cx.caller()?;
    if req.patient_id != "P001" {
        return Err(PATIENT_NOT_FOUND.error());
    }
    Ok(rest::GetPatientResp {
        patient: rest::Patient {
            id: req.patient_id,
            name: "张三".to_owned(),
            trial_id: "T001".to_owned(),
            status: 1,
        },
    })
}
