//! `rpc GetPatientInfo`

use cohort_access::{Caller, Permission};
use patient_contract::rpc;
use tenon::{Context, Personal, Result, store::Rx};

use crate::{ServiceContext, names::Named, shown};

/// One subject, with the name where the caller may know it.
pub async fn get_patient_info(
    cx: &Context,
    svc: &ServiceContext,
    req: rpc::GetPatientReq,
) -> Result<rpc::GetPatientInfoResp> {
    let caller = Caller::of(cx)?;
    let subject = shown::found(cx, svc, &caller, Permission::SubjectRead, &req.id).await?;
    let name = if caller.allows(Permission::SubjectIdentify, subject.scope()) {
        let (ring, names, subject) = (svc.ring.clone(), svc.names.clone(), subject.clone());
        let read = async move |rx: &mut Rx| {
            let named = Named {
                id: &subject.id,
                person_id: &subject.person_id,
                version: subject.version,
                sealed: subject.name.as_ref(),
            };
            names.open(rx, &ring, &named).await
        };
        svc.db.read(cx, read).await?
    } else {
        Personal::default()
    };
    Ok(rpc::GetPatientInfoResp {
        patient: Some(rpc::PatientInfo {
            id: subject.id,
            name,
            status: i32::from(subject.status.code()),
        }),
        trial_id: subject.study_id,
        site_id: subject.site_id,
        subject_no: subject.subject_no,
    })
}
