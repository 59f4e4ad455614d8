// Scaffolded by tenon once; yours to edit.
//! `GET /api/v1/open/trial/:trialId/patient`

use tenon::{Context, Result};
use ward_contract::rest;

use crate::{ServiceContext, logic::list_patients::list_patients};

/// The patients of a trial, open to all.
///
/// `GET /api/v1/open/trial/:trialId/patient`
///
/// # Errors
/// None.
pub async fn list_open_patients(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::ListPatientsReq,
) -> Result<rest::ListPatientsResp> {
    list_patients(cx, svc, req).await
}
