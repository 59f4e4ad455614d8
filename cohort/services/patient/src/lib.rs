//! The patient service: persons, their subjects in studies, and where these stand.
//!
//! What tells who somebody is lies sealed in the database and is opened for callers with
//! `subject.identify` in its place only; it is in no log, error, metric, event or audit record. In the
//! types of the contract it is `tenon::Personal`, which says its value to whoever asks by name:
//!
//! ```
//! fn born(patient: &patient_contract::rest::Patient) -> String {
//!     format!("{}", patient.birth_date.expose())
//! }
//! ```
//!
//! ```compile_fail,E0277
//! fn born(patient: &patient_contract::rest::Patient) -> String {
//!     format!("{}", patient.birth_date)
//! }
//! ```

mod birth_date;
pub mod config;
#[path = "gen/doors.rs"]
pub mod doors;
pub mod errors;
pub mod logic;
mod names;
mod new_subject;
mod phone;
pub mod service_context;
mod shown;
mod site;
mod store;
mod subject;

use std::sync::Arc;

use cohort_access::Rules;
use patient_contract::rpc::PatientClient;
use tenon::{
    Clock, OrInternal, Result, Service,
    auth::{AccessRules, Verifier},
    store::{Db, seal},
};
use trial_contract::rpc::TrialClient;

pub use config::Config;
pub use service_context::ServiceContext;

/// The neighbours that this service calls.
pub struct Clients {
    /// Who knows the studies and sites.
    pub trial: TrialClient,
}

/// The service, and what a process needs of it beside its doors.
pub struct Built {
    /// Its doors.
    pub service: Service,
    /// For neighbours in the same process.
    pub client: PatientClient,
    /// Its data, for backups and the audit trail.
    pub db: Db,
}

/// Opens the data and its keys and builds the service.
///
/// # Errors
/// `OPEN_FAILED` when the data or the keys cannot be opened; `INTERNAL` when the section `auth`
/// is not sound.
pub async fn build(config: Config, clients: Clients, clock: Arc<dyn Clock>) -> Result<Built> {
    let verifier = Verifier::new(&config.auth, clock.clone()).or_internal("read section auth")?;
    let db = Db::open(&config.store, store::MIGRATIONS).await?;
    let ring = seal::keyring(&db, &config.keyring).await?;
    let context = ServiceContext {
        db: db.clone(),
        ring: Arc::new(ring),
        names: names::Names::new(),
        trial: clients.trial,
        clock,
    };
    let rules: Arc<dyn AccessRules> = Arc::new(Rules);
    let client = PatientClient::local(doors::rpc::RpcDoor::new(context.clone(), rules.clone()));
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
