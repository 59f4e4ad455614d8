//! All services in one process: each built as if it stood alone, their REST doors merged under
//! one address, their calls to each other made in place.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tenon::{
    Clock, Open, Process, Runtime, StartError, SystemClock,
    config::{
        AdminConfig, AuthConfig, KeyConfig, LogConfig, Plaintext, RestConfig, RpcConfig,
        ServerTlsConfig, StoreConfig, TracesConfig,
    },
    gateway::{docs, openapi},
    rest::{self, axum::Router},
};

use crate::{data::Folder, keys};

/// The issuer and the audience of the platform's tokens.
const COHORT: &str = "cohort";

/// Where the platform keeps its data and listens.
pub(crate) struct Settings {
    /// The data folder; it is locked by the caller.
    pub(crate) folder: Folder,
    /// The address of all services' REST doors.
    pub(crate) listen: SocketAddr,
    /// The address of the progress service.
    pub(crate) progress: SocketAddr,
    /// The admin server.
    pub(crate) admin: AdminConfig,
    /// Where they speak plaintext.
    pub(crate) plaintext: Plaintext,
    /// What the REST doors speak TLS with, if they do.
    pub(crate) tls: Option<ServerTlsConfig>,
    /// How many writes one commit takes at most.
    pub(crate) batch_max: usize,
}

/// The platform, put together and not yet started.
pub(crate) struct Platform {
    /// Its doors `gateway` and `progress`, its admin server, and what runs beside them.
    pub(crate) process: Process,
    /// What the first administrator and the demonstration accounts are made with.
    pub(crate) accounts: identity::ServiceContext,
}

/// Builds all services on the data folder. A first start makes keys and databases.
pub(crate) async fn compose(settings: &Settings, runtime: Runtime) -> Result<Platform> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    // It writes the public keys that the others read.
    let identity = identity::build(settings.identity(), clock.clone()).await?;
    // Trial and patient call each other: one of them is named after it was needed.
    let late = trial::LatePatient::default();
    let clients = trial::Clients {
        patient: late.client(),
    };
    let trial = trial::build(settings.trial(), clients, clock.clone())
        .await
        .map_err(StartError::from)?;
    let clients = patient::Clients {
        trial: trial.client.clone(),
    };
    let patient = patient::build(settings.patient(), clients, clock.clone())
        .await
        .map_err(StartError::from)?;
    late.set(patient.client.clone());
    let clients = epro::Clients {
        patient: patient.client,
        trial: trial.client.clone(),
    };
    let epro = epro::build(settings.epro(), clients, clock).await?;
    let progress = progress::build(trial.client).service(settings.door(settings.progress));

    // The first one named is closed first: a service's data outlives those who call it.
    let services = [
        epro.service,
        patient.service,
        trial.service,
        identity.service,
    ];
    let mut open = Vec::new();
    for service in services {
        open.push(service.open(&runtime)?);
    }
    let progress = progress.open(&runtime)?;
    let mut process = Process::new(runtime)
        .rest(
            "gateway",
            settings.door(settings.listen),
            router(&mut open)?,
        )
        .admin(settings.admin.clone());
    for service in open {
        process = service.without_rpc().serve(process)?;
    }
    Ok(Platform {
        process: progress.serve(process)?,
        accounts: identity.context,
    })
}

/// The REST doors of the services as one router, with their contracts beside them.
fn router(services: &mut [Open]) -> Result<Router> {
    let doors: Vec<_> = services.iter_mut().filter_map(Open::take_rest).collect();
    let router = rest::merge(doors.iter().map(AsRef::as_ref))?.merge(docs::router(&document()?));
    Ok(rest::with_fallbacks(router))
}

/// One OpenAPI document of all services.
pub(crate) fn document() -> Result<Value> {
    let contracts = [
        ("identity", identity_contract::OPENAPI),
        ("trial", trial_contract::OPENAPI),
        ("patient", patient_contract::OPENAPI),
        ("epro", epro_contract::OPENAPI),
    ];
    let mut documents = Vec::new();
    for (service, text) in contracts {
        let document = serde_json::from_str(text);
        let document = document.with_context(|| format!("the contract of {service}"))?;
        documents.push((service, document));
    }
    Ok(openapi::merge(
        "Cohort",
        env!("CARGO_PKG_VERSION"),
        &documents,
    )?)
}

impl Settings {
    fn door(&self, listen: SocketAddr) -> RestConfig {
        RestConfig {
            listen,
            tls: self.tls.clone(),
            plaintext: self.plaintext,
            ..RestConfig::default()
        }
    }

    fn identity(&self) -> identity::Config {
        identity::Config {
            name: "identity".to_owned(),
            auth: self.auth(),
            store: self.store("identity"),
            keys: identity::config::KeysConfig {
                dir: self.folder.keys(),
            },
            rest: RestConfig::default(),
            rpc: RpcConfig::default(),
            admin: AdminConfig::default(),
            registration: None,
            log: LogConfig::default(),
            administrator_password: None,
            traces: TracesConfig::default(),
        }
    }

    fn trial(&self) -> trial::Config {
        trial::Config {
            auth: self.auth(),
            store: self.store("trial"),
            ..trial::Config::default()
        }
    }

    fn patient(&self) -> patient::Config {
        patient::Config {
            auth: self.auth(),
            store: self.store("patient"),
            keyring: self.folder.keys().join(keys::PATIENT),
            ..patient::Config::default()
        }
    }

    fn epro(&self) -> epro::Config {
        epro::Config {
            auth: self.auth(),
            store: self.store("epro"),
            ..epro::Config::new("epro")
        }
    }

    fn auth(&self) -> AuthConfig {
        AuthConfig {
            keys: vec![KeyConfig {
                file: self.folder.keys().join(identity::config::JWKS_FILE),
            }],
            issuer: Some(COHORT.to_owned()),
            audience: Some(COHORT.to_owned()),
            ..AuthConfig::default()
        }
    }

    fn store(&self, service: &str) -> StoreConfig {
        StoreConfig {
            path: self.folder.database(service),
            batch_max: self.batch_max,
        }
    }
}
