//! The trial service: studies with their sites, arms, cycles and targets, and how far enrolment
//! has come. It knows nothing of persons; subjects are counted by the patient service.

mod check;
pub mod config;
#[path = "gen/doors.rs"]
pub mod doors;
pub mod errors;
mod late;
pub mod logic;
mod progress;
mod seen;
pub mod service_context;
mod store;
mod study;

use std::sync::Arc;

use cohort_access::Rules;
use patient_contract::rpc::PatientClient;
use tenon::{
    Clock, OrInternal, Result, Service,
    auth::{AccessRules, Verifier},
    store::Db,
};
use trial_contract::rpc::TrialClient;

pub use config::Config;
pub use late::LatePatient;
pub use service_context::ServiceContext;

/// The neighbours that this service calls.
pub struct Clients {
    /// Who counts the subjects. Where it is built after this service, give [`LatePatient`].
    pub patient: PatientClient,
}

/// The service, and what a process needs of it beside its doors.
pub struct Built {
    /// Its doors.
    pub service: Service,
    /// For neighbours in the same process.
    pub client: TrialClient,
    /// Its data, for backups and the audit trail.
    pub db: Db,
}

/// Opens the data and builds the service.
///
/// # Errors
/// `OPEN_FAILED` when the data cannot be opened; `INTERNAL` when the section `auth` is not sound.
pub async fn build(config: Config, clients: Clients, clock: Arc<dyn Clock>) -> Result<Built> {
    let verifier = Verifier::new(&config.auth, clock.clone()).or_internal("read section auth")?;
    let db = Db::open(&config.store, store::MIGRATIONS).await?;
    let context = ServiceContext {
        db: db.clone(),
        patient: clients.patient,
        clock,
    };
    let rules: Arc<dyn AccessRules> = Arc::new(Rules);
    let client = TrialClient::local(doors::rpc::RpcDoor::new(context.clone(), rules.clone()));
    let service = Service::new(config.name)
        .admin(config.admin)
        .registration(config.registration)
        .auth(verifier);
    let service = doors::open(service, config.rest, config.rpc, context, rules);
    Ok(Built {
        service: service.store(&db),
        client,
        db,
    })
}
