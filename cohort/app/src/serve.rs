//! `cohort serve SERVICE`: one service as a process of its own, with its neighbours across the
//! network. The services are built by the same functions as in one process; only their clients
//! differ.

mod gateway;

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result};
use patient_contract::rpc::PatientClient;
use serde::{Deserialize, de::DeserializeOwned};
use tenon::{
    Clock, Process, Runtime, Service, StartError, SystemClock,
    config::{
        self, AdminConfig, ClientsConfig, ConfigError, LogConfig, RegistrationConfig, RestConfig,
        RpcConfig, StoreConfig, TracesConfig,
    },
    net::ServerTls,
    rpc::Channel,
    supervisor, telemetry,
};
use trial_contract::rpc::TrialClient;

use crate::{
    Outcome, account,
    arguments::Served,
    data::{self, Folder, Lock},
    screen,
    up::described,
};

/// Runs until a signal. Each door that is open is a line on standard output, then `ready`.
pub(crate) fn run(service: Served, file: &Path) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let Built {
            process,
            accounts,
            _lock,
        } = build(service, file).await?;
        process.runtime().life.on_signals()?;
        let running = process.start().await?;
        for (door, address) in running.addresses() {
            screen::say(format_args!("{door} {address}"));
        }
        if let Some((accounts, password)) = accounts {
            account::first(&accounts, password.as_deref()).await?;
        }
        screen::say("ready");
        supervisor::ready();
        running.wait().await.map_err(|error| described(&error))
    })?;
    Ok(Outcome::Good)
}

/// Reads the configuration as [`run`] does, and says whether it is sound. No file that it names is
/// opened, and nothing listens.
pub(crate) fn check(service: Served, file: &Path) -> Result<Outcome> {
    // Channels belong to a runtime; this one never runs them.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let _entered = runtime.enter();
    let (rest, rpc, clients) = match service {
        Served::Identity => {
            let config: identity::Config = config::load(file)?;
            (config.rest, config.rpc, ClientsConfig::new())
        }
        Served::Trial => {
            let config: trial::Config = config::load(file)?;
            (config.rest, config.rpc, config.clients)
        }
        Served::Patient => {
            let config: patient::Config = config::load(file)?;
            (config.rest, config.rpc, config.clients)
        }
        Served::Epro => {
            let config: epro::Config = config::load(file)?;
            (config.rest, config.rpc, config.clients)
        }
        Served::Progress => {
            let config: ProgressConfig = config::load(file)?;
            (config.rest, RpcConfig::default(), config.clients)
        }
        Served::Gateway => {
            let rest = gateway::check(config::load(file)?)?;
            (rest, RpcConfig::default(), ClientsConfig::new())
        }
    };
    let within = |error: ConfigError| error.within(file);
    ServerTls::check_door("rest", rest.listen, rest.tls.as_ref(), rest.plaintext)
        .map_err(within)?;
    ServerTls::check_door("rpc", rpc.listen, rpc.tls.as_ref(), rpc.plaintext).map_err(within)?;
    let parts = Parts {
        file,
        runtime: Runtime::default(),
    };
    for neighbour in neighbours(service) {
        match neighbour {
            Neighbour::Patient => parts.patient(&clients).map(|_| ())?,
            Neighbour::Trial => parts.trial(&clients).map(|_| ())?,
        }
    }
    screen::say("sound");
    Ok(Outcome::Good)
}

/// Which services one calls.
fn neighbours(service: Served) -> &'static [Neighbour] {
    match service {
        Served::Identity | Served::Gateway => &[],
        Served::Trial => &[Neighbour::Patient],
        Served::Patient | Served::Progress => &[Neighbour::Trial],
        Served::Epro => &[Neighbour::Patient, Neighbour::Trial],
    }
}

/// A service that others call.
enum Neighbour {
    Patient,
    Trial,
}

/// A process in the making.
struct Built {
    process: Process,
    /// Where accounts are kept, if it keeps them, and the file of the first password.
    accounts: Option<(identity::ServiceContext, Option<PathBuf>)>,
    /// Keeps `cohort up` out of the data while it runs.
    _lock: Option<Lock>,
}

impl From<Process> for Built {
    fn from(process: Process) -> Self {
        Self {
            process,
            accounts: None,
            _lock: None,
        }
    }
}

async fn build(service: Served, file: &Path) -> Result<Built> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    match service {
        Served::Identity => identity(file, clock).await,
        Served::Trial => trial(file, clock).await,
        Served::Patient => patient(file, clock).await,
        Served::Epro => epro(file, clock).await,
        Served::Gateway => {
            let config: gateway::Config = config::load(file)?;
            let parts = Parts::new(file, &config.log)?;
            let process = gateway::process(config, parts.runtime, clock)?;
            Ok(process.configured::<gateway::Config>(file)?.into())
        }
        Served::Progress => {
            let config: ProgressConfig = config::load(file)?;
            let parts = Parts::new(file, &config.log)?;
            let trial = parts.trial(&config.clients)?;
            let service = progress::build(trial).service(config.rest);
            let service = service.registration(config.registration);
            Ok(parts
                .process::<ProgressConfig>(service, config.admin)?
                .into())
        }
    }
}

async fn identity(file: &Path, clock: Arc<dyn Clock>) -> Result<Built> {
    let config: identity::Config = config::load(file)?;
    let parts = Parts::new(file, &config.log)?;
    let (lock, admin) = (parts.lock(&config.store)?, config.admin.clone());
    let password = config.administrator_password.clone();
    let built = identity::build(config, clock).await?;
    Ok(Built {
        process: parts.process::<identity::Config>(built.service, admin)?,
        accounts: Some((built.context, password)),
        _lock: Some(lock),
    })
}

async fn trial(file: &Path, clock: Arc<dyn Clock>) -> Result<Built> {
    let config: trial::Config = config::load(file)?;
    let parts = Parts::new(file, &config.log)?;
    let (lock, admin) = (parts.lock(&config.store)?, config.admin.clone());
    let clients = trial::Clients {
        patient: parts.patient(&config.clients)?,
    };
    let built = trial::build(config, clients, clock).await;
    let service = built.map_err(StartError::from)?.service;
    Ok(Built {
        _lock: Some(lock),
        ..parts.process::<trial::Config>(service, admin)?.into()
    })
}

async fn patient(file: &Path, clock: Arc<dyn Clock>) -> Result<Built> {
    let config: patient::Config = config::load(file)?;
    let parts = Parts::new(file, &config.log)?;
    let (lock, admin) = (parts.lock(&config.store)?, config.admin.clone());
    let clients = patient::Clients {
        trial: parts.trial(&config.clients)?,
    };
    let built = patient::build(config, clients, clock).await;
    let service = built.map_err(StartError::from)?.service;
    Ok(Built {
        _lock: Some(lock),
        ..parts.process::<patient::Config>(service, admin)?.into()
    })
}

async fn epro(file: &Path, clock: Arc<dyn Clock>) -> Result<Built> {
    let config: epro::Config = config::load(file)?;
    let parts = Parts::new(file, &config.log)?;
    let (lock, admin) = (parts.lock(&config.store)?, config.admin.clone());
    let clients = epro::Clients {
        patient: parts.patient(&config.clients)?,
        trial: parts.trial(&config.clients)?,
    };
    let built = epro::build(config, clients, clock).await?;
    Ok(Built {
        _lock: Some(lock),
        ..parts.process::<epro::Config>(built.service, admin)?.into()
    })
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
    /// How others learn of this instance, and of its end.
    registration: Option<RegistrationConfig>,
    /// Where `trial` is.
    clients: ClientsConfig,
    /// The log.
    #[serde(default)]
    log: LogConfig,
    /// The traces.
    #[serde(default)]
    #[expect(
        dead_code,
        reason = "read here for its strictness, and acted upon by the process"
    )]
    traces: TracesConfig,
}

/// What every process is put together from.
struct Parts<'a> {
    file: &'a Path,
    runtime: Runtime,
}

impl<'a> Parts<'a> {
    /// Logs begin before anything is built.
    fn new(file: &'a Path, log: &LogConfig) -> Result<Self> {
        telemetry::init_logs(log)?;
        Ok(Self {
            file,
            runtime: Runtime::default(),
        })
    }

    /// Shares the folder of the data, which is made for its owner alone where it is missing.
    fn lock(&self, store: &StoreConfig) -> Result<Lock> {
        let folder = data::parent(&store.path);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.with_context(|| format!("the data folder {} cannot be made", folder.display()))?;
        Folder::new(folder).share()
    }

    fn patient(&self, clients: &ClientsConfig) -> Result<PatientClient, ConfigError> {
        let client = PatientClient::remote(self.channel("patient", clients)?);
        client.map_err(|error| error.within(self.file))
    }

    fn trial(&self, clients: &ClientsConfig) -> Result<TrialClient, ConfigError> {
        let client = TrialClient::remote(self.channel("trial", clients)?);
        client.map_err(|error| error.within(self.file))
    }

    /// The way to a neighbour, as the section `clients` tells it.
    fn channel(&self, name: &str, clients: &ClientsConfig) -> Result<Channel, ConfigError> {
        match clients.get(name) {
            Some(config) => {
                let channel = self.runtime.channel(name, config);
                channel.map_err(|error| error.within(self.file))
            }
            None => {
                let problem = format!("clients.{name} is missing; say where the service is");
                Err(ConfigError::new(self.file, problem))
            }
        }
    }

    /// The process of a service, whose file holds a `C`.
    fn process<C: DeserializeOwned>(
        self,
        service: Service,
        admin: AdminConfig,
    ) -> Result<Process, ConfigError> {
        let open = service.open(&self.runtime)?;
        let process = open.serve(Process::new(self.runtime))?.admin(admin);
        process.configured::<C>(self.file)
    }
}
