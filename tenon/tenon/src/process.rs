//! A process: its doors, its admin server, its background work, and its end.

use std::{
    collections::BTreeMap, fmt, future::Future, net::SocketAddr, path::Path, pin::Pin, sync::Arc,
};

use tenon_core::{
    Context, Error, Lifecycle, Reload, Result,
    config::{
        self, AdminConfig, ConfigError, Plaintext, RegistrationConfig, RestConfig, RpcConfig,
        TracesConfig,
    },
    lifecycle::Stage,
    panics,
};
use tenon_net::{BindError, Options, ServerTls};
use tenon_telemetry::{Admin, Exporter, Metrics};
use tokio::task::{JoinHandle, JoinSet};

use crate::{
    admin_thread, followed,
    neighbours::Neighbours,
    presence::{Presence, until},
};

pub(crate) type Work = Pin<Box<dyn Future<Output = Result<()>> + Send>>;
pub(crate) type ChangingRows = Box<dyn Fn() -> Vec<serde_json::Value> + Send + Sync>;
pub(crate) type Probe = Arc<dyn Fn() -> Work + Send + Sync>;

/// What all doors of a process share.
#[derive(Clone, Default)]
pub struct Runtime {
    /// The metrics that the admin server shows.
    pub metrics: Metrics,
    /// The life of the process.
    pub life: Lifecycle,
    pub(crate) neighbours: Neighbours,
    /// What may change while the process runs.
    pub reload: Reload,
}

/// A process in the making: doors and work are added, then it is started.
pub struct Process {
    runtime: Runtime,
    rest: Vec<(String, RestConfig, tenon_rest::axum::Router)>,
    rpc: Vec<(String, RpcConfig, tenon_rpc::Door)>,
    admin: Option<AdminConfig>,
    routes: Vec<serde_json::Value>,
    changing_routes: Vec<ChangingRows>,
    clients: Vec<ChangingRows>,
    probes: Vec<(String, Probe)>,
    background: Vec<(String, Work)>,
    fatal: Vec<(String, Work)>,
    on_stop: Vec<(String, Work)>,
    registrations: Vec<(String, RegistrationConfig)>,
    traces: Option<(String, TracesConfig)>,
}

/// What every configuration file may hold, read beside the service's own type.
#[derive(serde::Deserialize)]
struct Shared {
    name: Option<String>,
    #[serde(default)]
    traces: TracesConfig,
}

impl Process {
    /// A process without doors.
    pub fn new(runtime: Runtime) -> Self {
        tenon_telemetry::logs::register(&runtime.reload);
        tenon_telemetry::traces::register(&runtime.reload);
        Self {
            runtime,
            rest: Vec::new(),
            rpc: Vec::new(),
            admin: None,
            routes: Vec::new(),
            changing_routes: Vec::new(),
            clients: Vec::new(),
            probes: Vec::new(),
            background: Vec::new(),
            fatal: Vec::new(),
            on_stop: Vec::new(),
            registrations: Vec::new(),
            traces: None,
        }
    }

    /// What its doors share.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Follows the configuration file that the process was built from, whose whole content is a
    /// `C`: what may change at run time does so when the file does, or on SIGHUP. Its section
    /// `traces` is acted upon here, so that no service has to.
    ///
    /// # Errors
    /// The file cannot be read any more.
    pub fn configured<C: serde::de::DeserializeOwned>(
        self,
        path: &Path,
    ) -> std::result::Result<Self, ConfigError> {
        let text = config::read(path)?;
        let shown = path.to_owned();
        let strict = move |text: &str| config::parse::<C>(text, &shown).map(drop);
        self.runtime.reload.begin(&text, path, strict)?;
        let Shared { name, traces } = config::parse(&text, path)?;
        let file = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = name.unwrap_or_else(|| file.into_owned());
        Ok(self.traces(name, traces))
    }

    /// Sends the spans of the process in the name of `service`, where they do not name their own.
    #[must_use]
    pub fn traces(mut self, service: impl Into<String>, config: TracesConfig) -> Self {
        self.traces = Some((service.into(), config));
        self
    }

    /// Opens a REST door.
    #[must_use]
    pub fn rest(
        mut self,
        name: impl Into<String>,
        config: RestConfig,
        router: tenon_rest::axum::Router,
    ) -> Self {
        self.rest.push((name.into(), config, router));
        self
    }

    /// Opens a gRPC door.
    #[must_use]
    pub fn rpc(
        mut self,
        name: impl Into<String>,
        config: RpcConfig,
        door: tenon_rpc::Door,
    ) -> Self {
        self.rpc.push((name.into(), config, door));
        self
    }

    /// Opens the admin server.
    #[must_use]
    pub fn admin(mut self, config: AdminConfig) -> Self {
        self.admin = Some(config);
        self
    }

    /// Adds to the table of routes that the admin server shows.
    #[must_use]
    pub fn routes(mut self, routes: impl IntoIterator<Item = serde_json::Value>) -> Self {
        self.routes.extend(routes);
        self
    }

    /// Adds routes that change while the process runs, as those of a gateway do.
    #[must_use]
    pub fn changing_routes(
        mut self,
        routes: impl Fn() -> Vec<serde_json::Value> + Send + Sync + 'static,
    ) -> Self {
        self.changing_routes.push(Box::new(routes));
        self
    }

    /// Adds clients that change while the process runs, as those of a gateway do; those of
    /// [`Runtime::channel`] are shown already.
    #[must_use]
    pub fn clients(
        mut self,
        clients: impl Fn() -> Vec<serde_json::Value> + Send + Sync + 'static,
    ) -> Self {
        self.clients.push(Box::new(clients));
        self
    }

    /// Readiness also asks this.
    #[must_use]
    pub fn probe<F, P>(mut self, name: impl Into<String>, check: F) -> Self
    where
        F: Fn() -> P + Send + Sync + 'static,
        P: Future<Output = Result<()>> + Send + 'static,
    {
        self.probes
            .push((name.into(), Arc::new(move || Box::pin(check()))));
        self
    }

    /// Runs work beside the doors until the process drains. Work that fails ends the process.
    #[must_use]
    pub fn background(
        mut self,
        name: impl Into<String>,
        work: impl Future<Output = Result<()>> + Send + 'static,
    ) -> Self {
        self.background.push((name.into(), Box::pin(work)));
        self
    }

    /// Ends the process when `failure` resolves, as a store does whose disk failed: what was in
    /// flight is not waited for, and the exit code says that it failed.
    #[must_use]
    pub fn fatal(
        mut self,
        name: impl Into<String>,
        failure: impl Future<Output = Error> + Send + 'static,
    ) -> Self {
        self.fatal
            .push((name.into(), Box::pin(async move { Err(failure.await) })));
        self
    }

    /// Announces the doors of the service `service` to others once the process is ready, and
    /// takes them back before the doors close.
    #[must_use]
    pub fn registration(mut self, service: impl Into<String>, config: RegistrationConfig) -> Self {
        self.registrations.push((service.into(), config));
        self
    }

    /// Runs work after the doors have closed, in the order in which it was added.
    #[must_use]
    pub fn on_stop(
        mut self,
        name: impl Into<String>,
        work: impl Future<Output = Result<()>> + Send + 'static,
    ) -> Self {
        self.on_stop.push((name.into(), Box::pin(work)));
        self
    }

    /// Takes the addresses and serves them. Returns as soon as every door is open.
    ///
    /// # Errors
    /// An address cannot be had, or the admin section or a registration is not sound.
    pub async fn start(mut self) -> std::result::Result<Running, StartError> {
        self.observe()?;
        let Runtime {
            metrics,
            life,
            reload,
            neighbours,
        } = self.runtime;
        let mut probes = self.probes;
        probes.extend(neighbours.probes());
        let mut addresses = BTreeMap::new();
        let mut doors = JoinSet::new();
        for (name, config, router) in self.rest {
            let key = format!("{name}: rest");
            let options = followed::rest_listener(&reload, &config);
            let (listen, tls, plaintext) = (config.listen, config.tls.as_ref(), config.plaintext);
            let tls = ServerTls::of_door(&key, listen, tls, plaintext, options.protocol)?;
            let listener = tenon_net::bind(listen, &format!("{key}.listen")).await?;
            addresses.insert(format!("{name}.rest"), listener.local_addr()?);
            let serve = tenon_net::serve(listener, router, options.tls(tls), life.clone());
            doors.spawn(serve);
        }
        for (name, config, door) in self.rpc {
            let key = format!("{name}: rpc");
            let options = followed::rpc_listener(&reload, &config);
            let (listen, tls, plaintext) = (config.listen, config.tls.as_ref(), config.plaintext);
            let tls = ServerTls::of_door(&key, listen, tls, plaintext, options.protocol)?;
            let listener = tenon_net::bind(listen, &format!("{key}.listen")).await?;
            addresses.insert(format!("{name}.rpc"), listener.local_addr()?);
            let serve = tenon_net::serve(listener, door, options.tls(tls), life.clone());
            doors.spawn(serve);
        }
        if let Some(config) = self.admin {
            let options = Options::admin();
            // Probes and scrapers ask here from other machines, and mostly in plaintext.
            let (listen, tls, plaintext) = (config.listen, config.tls.as_ref(), Plaintext::Allowed);
            let tls = ServerTls::of_door("admin", listen, tls, plaintext, options.protocol)?;
            let listener = tenon_net::bind(listen, "admin.listen").await?;
            addresses.insert("admin".to_owned(), listener.local_addr()?);
            let admin = Admin::new(config, metrics.clone(), life.clone())
                .routes(serde_json::Value::Array(self.routes))
                .reload(&reload)
                .clients(move || neighbours.rows());
            let mut admin = changing(admin, self.changing_routes, self.clients);
            for (name, probe) in probes.clone() {
                admin = admin.probe(name, admin_thread::on_workers(probe));
            }
            let router = admin.router()?;
            tenon_profile::warn_if_stripped();
            let serve = admin_thread::serve(listener, router, options.tls(tls), life.clone());
            doors.spawn(serve?);
        }
        let mut presences = Vec::new();
        for (name, config) in &self.registrations {
            let door = |kind| Some((kind, *addresses.get(&format!("{name}.{kind}"))?));
            let open = ["rest", "rpc"].into_iter().filter_map(door).collect();
            let ready = Box::pin(all_ready(probes.clone()));
            presences.push(Presence::begin(name, config, open, ready, &life, &metrics)?);
        }
        life.ready();
        Ok(Running {
            addresses,
            life,
            presences: presences.into_iter().map(Presence::spawn).collect(),
            doors,
            background: spawn(self.background),
            fatal: spawn(self.fatal),
            on_stop: self.on_stop,
        })
    }

    /// Shows the runtime and the configuration in the metrics, follows the file, and sends spans.
    fn observe(&mut self) -> std::result::Result<(), ConfigError> {
        let Runtime {
            metrics, reload, ..
        } = &self.runtime;
        metrics.observe_runtime(&tokio::runtime::Handle::current());
        metrics.observe_reload(reload);
        let reload = reload.clone();
        let watch = async move {
            reload.watch().await;
            Ok(())
        };
        self.background.push(("reload".to_owned(), Box::pin(watch)));
        let Some((service, config)) = &self.traces else {
            return Ok(());
        };
        if let Some(exporter) = Exporter::start(service, config, metrics)? {
            let flush = async move {
                exporter.flush().await;
                Ok(())
            };
            self.on_stop.push(("traces".to_owned(), Box::pin(flush)));
        }
        Ok(())
    }
}

/// Shows what changes while the process runs.
fn changing(mut admin: Admin, routes: Vec<ChangingRows>, clients: Vec<ChangingRows>) -> Admin {
    for routes in routes {
        admin = admin.changing_routes(routes);
    }
    for clients in clients {
        admin = admin.clients(clients);
    }
    admin
}

/// Resolves when every probe has said once that all is well.
async fn all_ready(probes: Vec<(String, Probe)>) {
    for (_, probe) in probes {
        until(|| {
            let asked = probe();
            async move { asked.await.is_ok() }
        })
        .await;
    }
}

/// Background work belongs to the process, not to a request: this is the one place that may
/// spawn it without a context.
fn spawn(work: Vec<(String, Work)>) -> JoinSet<(String, Result<()>)> {
    let mut set = JoinSet::new();
    for (name, future) in work {
        set.spawn(async move {
            // Contained, because a panic that the runtime catches shows its payload in the log.
            let outcome = panics::contain(future).await;
            let outcome = outcome
                .unwrap_or_else(|panicked| Err(Error::internal("run background work", panicked)));
            (name, outcome)
        });
    }
    set
}

/// A process that serves.
pub struct Running {
    addresses: BTreeMap<String, SocketAddr>,
    life: Lifecycle,
    presences: Vec<JoinHandle<()>>,
    doors: JoinSet<std::io::Result<()>>,
    background: JoinSet<(String, Result<()>)>,
    fatal: JoinSet<(String, Result<()>)>,
    on_stop: Vec<(String, Work)>,
}

impl Running {
    /// The addresses of the doors as they really are: `patient.rest`, `patient.rpc`, `admin`.
    pub fn addresses(&self) -> &BTreeMap<String, SocketAddr> {
        &self.addresses
    }

    /// The address of one door.
    pub fn address(&self, door: &str) -> Option<SocketAddr> {
        self.addresses.get(door).copied()
    }

    /// The life of the process, to end it.
    pub fn life(&self) -> &Lifecycle {
        &self.life
    }

    /// Waits until the process was told to stop and has ended what was in flight.
    ///
    /// # Errors
    /// Background work failed, or something that the process cannot live without.
    pub async fn wait(mut self) -> Result<()> {
        let outcome = loop {
            tokio::select! {
                () = self.life.draining() => break Ok(()),
                Some(joined) = self.background.join_next() => {
                    if let Some(error) = failure(joined) {
                        self.life.drain();
                        break Err(error);
                    }
                }
                Some(joined) = self.fatal.join_next() => {
                    self.life.kill();
                    break failure(joined).map_or(Ok(()), Err);
                }
                // A process without one of its doors looks alive and serves nobody.
                Some(joined) = self.doors.join_next() => {
                    if self.life.stage() == Stage::Draining {
                        break Ok(());
                    }
                    self.life.drain();
                    break Err(closed(joined));
                }
            }
        };
        crate::supervisor::stopping();
        // Each holds the doors open until it has left.
        for presence in self.presences {
            // One that panicked has let go of the doors.
            let _ = presence.await;
        }
        while self.doors.join_next().await.is_some() {}
        self.background.shutdown().await;
        let mut first = outcome;
        for (name, work) in self.on_stop {
            if let Err(error) = work.await {
                tracing::error!(
                    name,
                    cause = error.cause_chain(),
                    "could not stop cleanly: {error}"
                );
                first = first.and(Err(error));
            }
        }
        tenon_telemetry::logs::flush();
        first
    }
}

/// The error of a door that closed before it was told to.
fn closed(joined: std::result::Result<std::io::Result<()>, tokio::task::JoinError>) -> Error {
    const WHAT: &str = "keep a door open";
    let error = match joined {
        Ok(Ok(())) => Error::internal(WHAT, "it closed by itself"),
        Ok(Err(cause)) => Error::internal(WHAT, cause),
        Err(_panic) => Error::internal(WHAT, "its accept loop panicked"),
    };
    tracing::error!(cause = error.cause_chain(), "the process cannot go on");
    error
}

/// The error of work that ended by itself; a panic counts as one.
fn failure(
    joined: std::result::Result<(String, Result<()>), tokio::task::JoinError>,
) -> Option<Error> {
    let (name, outcome) = joined.unwrap_or_else(|_stopped| {
        let error = Error::internal("run background work", "its task was stopped");
        ("background".to_owned(), Err(error))
    });
    let error = outcome.err()?;
    tracing::error!(
        name,
        cause = error.cause_chain(),
        "the process cannot go on: {error}"
    );
    Some(error)
}

/// A process that could not start.
#[derive(Debug)]
pub struct StartError(Box<dyn std::error::Error + Send + Sync>);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for StartError {}

impl From<BindError> for StartError {
    fn from(cause: BindError) -> Self {
        Self(cause.into())
    }
}

impl From<ConfigError> for StartError {
    fn from(cause: ConfigError) -> Self {
        Self(cause.into())
    }
}

impl From<std::io::Error> for StartError {
    fn from(cause: std::io::Error) -> Self {
        Self(cause.into())
    }
}

impl From<Error> for StartError {
    fn from(cause: Error) -> Self {
        let text = cause
            .cause_chain()
            .map_or_else(|| cause.to_string(), |chain| format!("{cause}: {chain}"));
        Self(text.into())
    }
}

/// The main function of a program that serves one thing: reads `--config FILE` (or the first of
/// `etc/<name>.yaml` that is there), builds the process, serves until a signal, and ends.
///
/// Exit codes: 0 stopped as told, 1 failed, 2 called wrongly.
pub fn main<C, F, B>(default_config: &str, build: B) -> std::process::ExitCode
where
    C: serde::de::DeserializeOwned,
    B: FnOnce(C) -> F,
    F: Future<Output = std::result::Result<Process, StartError>>,
{
    use std::process::ExitCode;
    let mut arguments = std::env::args().skip(1);
    let path = match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => default_config.to_owned(),
        (Some("--config" | "-f"), Some(path)) => path,
        _ => {
            report(&format!("usage: --config FILE (default {default_config})"));
            return ExitCode::from(2);
        }
    };
    let path = Path::new(&path);
    let config: C = match config::load(path) {
        Ok(config) => config,
        Err(problem) => {
            report(&problem.to_string());
            return ExitCode::FAILURE;
        }
    };
    match block_on(async { Ok(build(config).await?.configured::<C>(path)?) }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            report(&problem.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Builds and runs a process on a runtime of its own until a signal ends it.
pub(crate) fn block_on<F>(build: F) -> Result<(), StartError>
where
    F: Future<Output = Result<Process, StartError>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let process = build.await?;
        process.runtime().life.on_signals()?;
        let running = process.start().await?;
        for (door, address) in running.addresses() {
            tracing::info!(door, %address, "listening");
        }
        crate::supervisor::ready();
        running.wait().await?;
        Ok(())
    })
}

#[expect(
    clippy::print_stderr,
    reason = "a program that cannot start tells its user so"
)]
pub(crate) fn report(problem: &str) {
    tenon_telemetry::logs::flush();
    eprintln!("{problem}");
}

/// The context of work that no request stands behind and that ends when the process drains.
pub fn background_context(life: &Lifecycle) -> Context {
    let (cx, guard) = Context::background().with_cancel();
    let life = life.clone();
    tokio::spawn(async move {
        life.draining().await;
        drop(guard);
    });
    cx
}
