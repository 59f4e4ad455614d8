//! The service `identity`: accounts, roles and grants, sessions, tokens and their public keys.
//!
//! It alone signs access tokens; every service verifies them with the public keys in
//! [`config::JWKS_FILE`]. How sessions and tokens live is in [`session`], how failed logins are
//! slowed down in [`attempts`], what a password must be in [`password`].

pub mod account;
pub mod attempts;
mod audit;
pub mod config;
mod creation;
#[path = "gen/doors.rs"]
pub mod doors;
pub mod errors;
pub mod logic;
pub mod middleware;
pub mod password;
mod proof;
pub mod secrets;
pub mod service_context;
pub mod session;
pub mod setup;
mod store;
mod view;

use std::sync::Arc;

use cohort_access::Rules;
use identity_contract::rpc::IdentityClient;
use tenon::{
    Clock, Service, StartError,
    auth::{AccessRules, Signer, Verifier, password::Passwords},
    config::ConfigError,
    store::Db,
};

pub use config::Config;
pub use creation::Draft;
pub use service_context::ServiceContext;
pub use store::MIGRATIONS;

/// The service, ready to be run, and what its neighbours and the app need of it.
pub struct Built {
    /// The service with its doors.
    pub service: Service,
    /// Calls it in this process.
    pub client: IdentityClient,
    /// Its data.
    pub db: Db,
    /// What its operations reach, for [`setup`].
    pub context: ServiceContext,
}

/// Builds the service from its configuration. A first start makes the folder of the keys, the
/// first signing key and the secret of the service; each start writes the public keys, so the
/// services that verify tokens are to be built after this one.
///
/// # Errors
/// The configuration is not sound, or keys or data cannot be had.
pub async fn build(config: Config, clock: Arc<dyn Clock>) -> Result<Built, StartError> {
    let folder = &config.keys.dir;
    let unusable = |cause: tenon::auth::KeyError| ConfigError::new("keys.dir", cause.to_string());
    let signer = Signer::open(folder).map_err(unusable)?;
    signer
        .write_jwks(&folder.join(config::JWKS_FILE))
        .map_err(unusable)?;
    let secrets = secrets::Secrets::open(folder)?;
    let db = Db::open(&config.store, MIGRATIONS).await?;
    let context = ServiceContext {
        db: db.clone(),
        clock: clock.clone(),
        passwords: Passwords::new(),
        signer: Arc::new(signer),
        secrets: Arc::new(secrets),
        turns: attempts::Turns::default(),
    };
    let rules: Arc<dyn AccessRules> = Arc::new(Rules);
    let door = doors::rpc::RpcDoor::new(context.clone(), rules.clone());
    let verifier = Verifier::new(&config.auth_with_defaults(), clock)?;
    let service = Service::new(config.name)
        .admin(config.admin)
        .registration(config.registration)
        .rate_limit(config::logins())
        .auth(verifier);
    let service = doors::open(service, config.rest, config.rpc, context.clone(), rules);
    Ok(Built {
        service: service.store(&db).passwords(&context.passwords),
        client: IdentityClient::local(door),
        db,
        context,
    })
}
