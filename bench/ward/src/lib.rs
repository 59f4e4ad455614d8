// Scaffolded by tenon once; yours to edit.
//! The service that the figures are taken from: generated from its contracts as any service is,
//! with next to nothing behind its doors.

pub mod config;
#[path = "gen/doors.rs"]
pub mod doors;
pub mod logic;
pub mod middleware;
pub mod service_context;

use std::sync::Arc;

use tenon::{
    Context, Result, Service, StartError, SystemClock,
    auth::{AccessRules, Verifier, access::denied},
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
    let service = Service::new(config.name)
        .admin(config.admin)
        .registration(config.registration)
        .auth(verifier);
    Ok(doors::open(
        service,
        config.rest,
        config.rpc,
        context,
        rules(),
    ))
}

/// Callers may do what the claim `permission` of their token names.
pub fn rules() -> Arc<dyn AccessRules> {
    Arc::new(|cx: &Context, permission: &str| -> Result<()> {
        match cx.caller()?.claim::<String>("permission") {
            Some(granted) if granted == permission => Ok(()),
            _ => Err(denied(permission)),
        }
    })
}
