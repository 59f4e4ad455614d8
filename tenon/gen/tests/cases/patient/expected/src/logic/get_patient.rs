// Scaffolded by tenon once; yours to edit.
//! `GET /api/v1/patient/:patientId`

use patient_contract::rest;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `GET /api/v1/patient/:patientId`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn get_patient(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rest::GetPatientReq,
) -> Result<rest::GetPatientResp> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
