//! `rpc getPatientsByTrial`

use std::collections::BTreeMap;

use cohort_access::{Caller, Permission, Scope};
use patient_contract::rpc;
use tenon::{Context, Result, store::Rx};

use crate::{
    ServiceContext,
    names::Named,
    store::{Line, lines, places},
};

/// The subjects of a study that the caller may see, oldest first; without their names where the
/// caller may not know them. A hidden study and one that does not exist have no subjects.
pub async fn get_patients_by_trial(
    cx: &Context,
    svc: &ServiceContext,
    req: rpc::GetPatientsByTrialReq,
) -> Result<rpc::GetPatientsByTrialResp> {
    let caller = Caller::of(cx)?;
    let study = req.trial_id;
    let places = places(&caller.listing(Permission::SubjectRead), Some(&study));
    let (ring, names) = (svc.ring.clone(), svc.names.clone());
    let read = async move |rx: &mut Rx| {
        let mut found: BTreeMap<String, Line> = BTreeMap::new();
        for place in &places {
            for line in lines(rx, place).await? {
                found.insert(line.id.clone(), line);
            }
        }
        let mut patients = Vec::with_capacity(found.len());
        for (id, line) in found {
            let scope = Scope {
                study: Some(&line.study_id),
                site: Some(&line.site_id),
                subject: Some(&id),
            };
            if line.study_id != study || !caller.allows(Permission::SubjectRead, scope) {
                continue;
            }
            let named = Named {
                id: &id,
                person_id: &line.person_id,
                version: line.version,
                sealed: line
                    .name
                    .as_ref()
                    .filter(|_| caller.allows(Permission::SubjectIdentify, scope)),
            };
            let name = names.open(rx, &ring, &named).await?;
            patients.push(rpc::PatientInfo {
                id,
                name,
                status: line.status,
            });
        }
        Ok(rpc::GetPatientsByTrialResp { patients })
    };
    svc.db.read(cx, read).await
}
