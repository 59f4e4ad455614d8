//! `cohort serve SERVICE`: one service as a process of its own, with its neighbours across the
//! network. The services are built by the same functions as in one process; only their clients
//! differ.

mod gateway;

use std::{path::Path, sync::Arc};

use anyhow::Result;
use identity::setup;
use patient_contract::rpc::PatientClient;
use serde::Deserialize;
use tenon::{
    Clock, Context, Process, Runtime, Service, StartError, SystemClock,
    config::{self, AdminConfig, ClientsConfig, ConfigError, LogConfig, RestConfig},
    rpc::Channel,
    telemetry::{self, Metrics},
};
use trial_contract::rpc::TrialClient;

use crate::{Outcome, account, arguments::Served, screen, up::described};

/// Runs until a signal. Each door that is open is a line on standard output, then `ready`.
pub(crate) fn run(service: Served, file: &Path) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (process, accounts) = build(service, file).await?;
        process.runtime().life.on_signals()?;
        let running = process.start().await?;
        for (door, address) in running.addresses() {
            screen::say(format_args!("{door} {address}"));
        }
        if let Some(accounts) = accounts {
            let cx = Context::background();
            let first = setup::ensure_administrator(&cx, &accounts).await;
            if let Some(first) = first.map_err(|error| described(&error))? {
                screen::say(account::shown("administrator", &first));
            }
        }
        screen::say("ready");
        running.wait().await.map_err(|error| described(&error))
    })?;
    Ok(Outcome::Good)
}

/// The process of a service, and where it keeps accounts.
async fn build(
    service: Served,
    file: &Path,
) -> Result<(Process, Option<identity::ServiceContext>)> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let parts = Parts::new(file);
    let process = match service {
        Served::Identity => {
            let config: identity::Config = config::load(file)?;
            let (log, admin) = (config.log.clone(), config.admin.clone());
            let parts = parts.log(&log)?;
            let built = identity::build(config, clock).await?;
            return Ok((parts.process(built.service, admin)?, Some(built.context)));
        }
        Served::Trial => {
            let config: trial::Config = config::load(file)?;
            let (parts, admin) = (parts.log(&config.log)?, config.admin.clone());
            let patient = parts.channel("patient", &config.clients)?;
            let clients = trial::Clients {
                patient: PatientClient::remote(patient),
            };
            let built = trial::build(config, clients, clock).await;
            parts.process(built.map_err(StartError::from)?.service, admin)?
        }
        Served::Patient => {
            let config: patient::Config = config::load(file)?;
            let (parts, admin) = (parts.log(&config.log)?, config.admin.clone());
            let trial = parts.channel("trial", &config.clients)?;
            let clients = patient::Clients {
                trial: TrialClient::remote(trial),
            };
            let built = patient::build(config, clients, clock).await;
            parts.process(built.map_err(StartError::from)?.service, admin)?
        }
        Served::Epro => {
            let config: epro::Config = config::load(file)?;
            let (parts, admin) = (parts.log(&config.log)?, config.admin.clone());
            let clients = epro::Clients {
                patient: PatientClient::remote(parts.channel("patient", &config.clients)?),
                trial: TrialClient::remote(parts.channel("trial", &config.clients)?),
            };
            let built = epro::build(config, clients, clock).await?;
            parts.process(built.service, admin)?
        }
        Served::Gateway => {
            let config: gateway::Config = config::load(file)?;
            let parts = parts.log(&config.log)?;
            gateway::process(config, parts.runtime, clock)?
        }
        Served::Progress => {
            let config: ProgressConfig = config::load(file)?;
            let parts = parts.log(&config.log)?;
            let trial = TrialClient::remote(parts.channel("trial", &config.clients)?);
            let service = progress::build(trial).service(config.rest);
            parts.process(service, config.admin)?
        }
    };
    Ok((process, None))
}

/// `etc/progress.yaml`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProgressConfig {
    /// The REST door.
    #[serde(default)]
    rest: RestConfig,
    /// Health, metrics and the route table.
    #[serde(default)]
    admin: AdminConfig,
    /// Where `trial` is.
    clients: ClientsConfig,
    /// The log.
    #[serde(default)]
    log: LogConfig,
}

/// What every process is put together from.
struct Parts<'a> {
    file: &'a Path,
    runtime: Runtime,
}

impl<'a> Parts<'a> {
    fn new(file: &'a Path) -> Self {
        Self {
            file,
            runtime: Runtime::default(),
        }
    }

    /// Logs begin before anything is built.
    fn log(self, config: &LogConfig) -> Result<Self> {
        telemetry::init_logs(config)?;
        Ok(self)
    }

    /// The way to a neighbour, as the section `clients` tells it.
    fn channel(&self, name: &str, clients: &ClientsConfig) -> Result<Channel, ConfigError> {
        let metrics: &Metrics = &self.runtime.metrics;
        match clients.get(name) {
            Some(config) => Channel::new(name, config, metrics),
            None => {
                let problem = format!("clients.{name} is missing; say where the service is");
                Err(ConfigError::new(self.file, problem))
            }
        }
    }

    fn process(self, service: Service, admin: AdminConfig) -> Result<Process, ConfigError> {
        let open = service.open(&self.runtime)?;
        Ok(open.serve(Process::new(self.runtime))?.admin(admin))
    }
}
