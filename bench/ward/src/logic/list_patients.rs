// Scaffolded by tenon once; yours to edit.
//! `GET /api/v1/trial/:trialId/patient`

use tenon::{Context, Result};
use ward_contract::rest;

use crate::ServiceContext;

/// The patients of a trial.
///
/// `GET /api/v1/trial/:trialId/patient`
///
/// # Errors
/// None.
pub async fn list_patients(
    _cx: &Context,
    svc: &ServiceContext,
    _req: rest::ListPatientsReq,
) -> Result<rest::ListPatientsResp> {
    let row = |patient: &ward_contract::rpc::PatientInfo| rest::PatientRow {
        id: patient.id.clone(),
        name: patient.name.clone(),
        status: patient.status,
    };
    Ok(rest::ListPatientsResp {
        patients: svc.patients.iter().map(row).collect(),
    })
}
