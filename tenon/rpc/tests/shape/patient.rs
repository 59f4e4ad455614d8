//! What the generator writes from `patient.proto`, by hand: messages, the trait of the service,
//! its server side, and its client that is local or remote. Generated code says `::tenon::rpc`
//! and `::tenon::{Context, Result}` where this file names the crates below the facade.

use std::{future::Future, sync::Arc};

use tenon_core::{Context, Result, config::ConfigError};
use tenon_rpc::{self as rpc, BoxFuture};

/// `message PatientInfo`
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct PatientInfo {
    /// `id`
    #[prost(string, tag = "1")]
    pub id: String,
    /// `name`
    #[prost(string, tag = "2")]
    pub name: String,
    /// `status`
    #[prost(int32, tag = "3")]
    pub status: i32,
}

/// `message GetPatientsByTrialReq`
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct GetPatientsByTrialReq {
    /// `trialId`
    #[prost(string, tag = "1")]
    pub trial_id: String,
}

/// `message GetPatientsByTrialResp`
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct GetPatientsByTrialResp {
    /// `patients`
    #[prost(message, repeated, tag = "1")]
    pub patients: Vec<PatientInfo>,
}

/// Every method of the contract: what the settings of a client may name.
pub static METHODS: &[&rpc::Method] = &[&methods::GET_PATIENTS_BY_TRIAL];

/// The methods of `patient.PatientService`, as they stand on the wire.
pub mod methods {
    use tenon_rpc::Method;

    /// `rpc getPatientsByTrial`
    pub static GET_PATIENTS_BY_TRIAL: Method =
        Method::new("/patient.PatientService/getPatientsByTrial");
}

/// `service PatientService`
pub trait PatientService: Send + Sync + 'static {
    /// 根据项目ID获取患者列表
    fn get_patients_by_trial(
        &self,
        cx: &Context,
        req: GetPatientsByTrialReq,
    ) -> impl Future<Output = Result<GetPatientsByTrialResp>> + Send;
}

/// Serves an implementation over the network.
pub fn serve<S: PatientService>(service: S) -> rpc::Service {
    rpc::Service::builder("patient.PatientService", service)
        .unary(
            &methods::GET_PATIENTS_BY_TRIAL,
            |service, cx, req| async move { service.get_patients_by_trial(&cx, req).await },
        )
        .build()
}

/// `PatientService` as other services hold it: in this process, or across the network.
#[derive(Clone)]
pub struct PatientClient {
    inner: rpc::Client<dyn DynPatientService>,
}

impl PatientClient {
    /// Calls an implementation in this process; nothing is encoded.
    pub fn local(service: impl PatientService) -> Self {
        Self {
            inner: rpc::Client::local(Arc::new(service)),
        }
    }

    /// Calls the service across the network.
    ///
    /// # Errors
    /// The settings of the channel name a method that the contract does not have.
    pub fn remote(channel: rpc::Channel) -> Result<Self, ConfigError> {
        let inner = rpc::Client::remote(channel, METHODS)?;
        Ok(Self { inner })
    }

    /// Counts local calls in `metrics`; a channel counts its own.
    #[must_use]
    pub fn metrics(self, metrics: &rpc::Metrics) -> Self {
        Self {
            inner: self.inner.metrics(metrics),
        }
    }
}

impl PatientService for PatientClient {
    async fn get_patients_by_trial(
        &self,
        cx: &Context,
        req: GetPatientsByTrialReq,
    ) -> Result<GetPatientsByTrialResp> {
        self.inner
            .unary(
                cx,
                &methods::GET_PATIENTS_BY_TRIAL,
                req,
                |service, cx, req| service.get_patients_by_trial(cx, req),
            )
            .await
    }
}

/// [`PatientService`] behind a pointer.
trait DynPatientService: Send + Sync {
    fn get_patients_by_trial<'a>(
        &'a self,
        cx: &'a Context,
        req: GetPatientsByTrialReq,
    ) -> BoxFuture<'a, Result<GetPatientsByTrialResp>>;
}

impl<S: PatientService> DynPatientService for S {
    fn get_patients_by_trial<'a>(
        &'a self,
        cx: &'a Context,
        req: GetPatientsByTrialReq,
    ) -> BoxFuture<'a, Result<GetPatientsByTrialResp>> {
        Box::pin(PatientService::get_patients_by_trial(self, cx, req))
    }
}
