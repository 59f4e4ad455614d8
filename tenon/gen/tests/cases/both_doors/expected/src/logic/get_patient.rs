// Scaffolded by tenon once; yours to edit.
//! `GET /patient/:patientId`

use both_doors_contract::rest;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `GET /patient/:patientId`
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
