//! The service `epro`: questionnaires, the responses to them, their scores and the alerts that
//! they raise. It knows subjects by their ids and never a person's name.

mod assignments;
pub mod config;
mod device;
#[path = "gen/doors.rs"]
pub mod doors;
mod draft;
pub mod errors;
mod library;
pub mod logic;
pub mod middleware;
mod places;
mod receipt;
pub mod service_context;
mod store;
mod trail;
mod view;

use std::sync::Arc;

use epro_contract::rpc::EproClient;
use tenon::{
    Clock, Service, StartError,
    auth::{AccessRules, Verifier},
    store::Db,
};

pub use config::Config;
pub use service_context::{Clients, ServiceContext};
pub use store::MIGRATIONS;

/// The service as it is built.
pub struct Built {
    /// Its doors and what runs beside them.
    pub service: Service,
    /// Calls it in the same process.
    pub client: EproClient,
    /// Its data.
    pub db: Db,
}

/// Opens the data and builds the service.
///
/// # Errors
/// The data cannot be opened, or the configuration is not sound.
pub async fn build(
    config: Config,
    clients: Clients,
    clock: Arc<dyn Clock>,
) -> Result<Built, StartError> {
    let db = Db::open(&config.store, MIGRATIONS).await?;
    build_on(db, config, clients, clock)
}

/// Builds the service over data that was opened with [`MIGRATIONS`].
///
/// # Errors
/// The configuration is not sound.
pub fn build_on(
    db: Db,
    config: Config,
    clients: Clients,
    clock: Arc<dyn Clock>,
) -> Result<Built, StartError> {
    let context = ServiceContext::new(&config, db.clone(), clients, clock.clone());
    let rules: Arc<dyn AccessRules> = Arc::new(cohort_access::Rules);
    let door = doors::rpc::RpcDoor::new(context.clone(), rules.clone());
    let service = Service::new(config.name)
        .admin(config.admin)
        .registration(config.registration)
        .auth(Verifier::new(&config.auth, clock)?);
    let service = doors::open(service, config.rest, config.rpc, context, rules);
    let service = service.store(&db);
    Ok(Built {
        service,
        client: EproClient::local(door),
        db,
    })
}
