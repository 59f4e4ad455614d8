// Scaffolded by tenon once; yours to edit.
//! `GET /api/v1/patient/:patientId`

use tenon::{Code, Context, Entry, Result};
use ward_contract::rest;

use crate::ServiceContext;

/// The patient does not exist.
pub static PATIENT_NOT_FOUND: Entry = Entry::new(
    "PATIENT_NOT_FOUND",
    Code::NotFound,
    "patient does not exist",
    "患者不存在",
);

/// One patient.
///
/// `GET /api/v1/patient/:patientId`
///
/// # Errors
/// `PATIENT_NOT_FOUND` for every patient but one.
pub async fn get_patient(
    _cx: &Context,
    svc: &ServiceContext,
    req: rest::GetPatientReq,
) -> Result<rest::GetPatientResp> {
    if req.patient_id != svc.patient.id {
        return Err(PATIENT_NOT_FOUND.error());
    }
    Ok(rest::GetPatientResp {
        patient: svc.patient.as_ref().clone(),
    })
}
