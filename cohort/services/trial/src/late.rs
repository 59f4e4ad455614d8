//! The patient service where it is built after this one: in one process each of the two holds the
//! other, and one of them has to come first.

use std::sync::{Arc, OnceLock};

use patient_contract::rpc::{self, PatientClient, PatientService};
use tenon::{Context, Result, catalogue};

/// A patient service that is named later. Until then every call is `UNAVAILABLE`.
#[derive(Clone, Default)]
pub struct LatePatient(Arc<OnceLock<PatientClient>>);

impl LatePatient {
    /// The client to build this service with.
    pub fn client(&self) -> PatientClient {
        PatientClient::local(self.clone())
    }

    /// Names the patient service. Only the first call counts.
    pub fn set(&self, patient: PatientClient) {
        let _ = self.0.set(patient);
    }

    fn get(&self) -> Result<&PatientClient> {
        self.0.get().ok_or_else(|| catalogue::UNAVAILABLE.error())
    }
}

impl PatientService for LatePatient {
    async fn get_patients_by_trial(
        &self,
        cx: &Context,
        req: rpc::GetPatientsByTrialReq,
    ) -> Result<rpc::GetPatientsByTrialResp> {
        self.get()?.get_patients_by_trial(cx, req).await
    }

    async fn get_patient_info(
        &self,
        cx: &Context,
        req: rpc::GetPatientReq,
    ) -> Result<rpc::GetPatientInfoResp> {
        self.get()?.get_patient_info(cx, req).await
    }

    async fn get_standing(
        &self,
        cx: &Context,
        req: rpc::GetStandingReq,
    ) -> Result<rpc::GetStandingResp> {
        self.get()?.get_standing(cx, req).await
    }

    async fn count_enrolled(
        &self,
        cx: &Context,
        req: rpc::CountEnrolledReq,
    ) -> Result<rpc::CountEnrolledResp> {
        self.get()?.count_enrolled(cx, req).await
    }
}
