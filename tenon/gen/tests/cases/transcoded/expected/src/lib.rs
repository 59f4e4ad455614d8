// Scaffolded by tenon once; yours to edit.
//! The service `library`: its logic behind the doors of its contracts.

pub mod config;
#[path = "gen/doors.rs"]
pub mod doors;
pub mod logic;
pub mod middleware;
pub mod service_context;

use std::sync::Arc;

use tenon::{
    Service, StartError, SystemClock,
    auth::{AccessRules, NoRules, Verifier},
};

pub use config::Config;
pub use service_context::ServiceContext;

/// Builds the service from its configuration.
///
/// # Errors
/// The configuration is not sound, or what the service needs cannot be had.
pub async fn build(config: Config) -> Result<Service, StartError> {
    let context = ServiceContext::new(&config).await?;
    let verifier = Verifier::new(&config.auth, Arc::new(SystemClock))?;
    // Who may do what: these rules refuse every permission that a contract names.
    let rules: Arc<dyn AccessRules> = Arc::new(NoRules);
    let service = Service::new(config.name)
        .admin(config.admin)
        .registration(config.registration)
        .auth(verifier);
    Ok(doors::open(
        service,
        config.rest,
        config.rpc,
        context,
        rules,
    ))
}
