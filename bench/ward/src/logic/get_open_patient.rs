// Scaffolded by tenon once; yours to edit.
//! `GET /api/v1/open/patient/:patientId`

use tenon::{Context, Result};
use ward_contract::rest;

use crate::{ServiceContext, logic::get_patient::get_patient};

/// One patient, open to all.
///
/// `GET /api/v1/open/patient/:patientId`
///
/// # Errors
/// `PATIENT_NOT_FOUND` for every patient but one.
pub async fn get_open_patient(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::GetPatientReq,
) -> Result<rest::GetPatientResp> {
    get_patient(cx, svc, req).await
}
