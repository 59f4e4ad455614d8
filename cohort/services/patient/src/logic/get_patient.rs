//! `GET /api/v1/patient/:patientId`

use cohort_access::{Caller, Permission};
use patient_contract::rest;
use tenon::{Context, Result};

use crate::{ServiceContext, shown};

/// One subject.
pub async fn get_patient(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::GetPatientReq,
) -> Result<rest::PatientResp> {
    let caller = Caller::of(cx)?;
    let read = Permission::SubjectRead;
    let subject = shown::found(cx, svc, &caller, read, &req.patient_id).await?;
    let patient = shown::one(cx, svc, &caller, subject).await?;
    Ok(rest::PatientResp { patient })
}
