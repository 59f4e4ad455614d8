//! A service as it is built: its two doors, what guards them, and what runs beside them.

use std::{future::Future, sync::Arc, time::Duration};

use tenon_auth::{AccessRules, Verifier};
#[cfg(feature = "gateway")]
use tenon_core::config::{Guards, TranscodeConfig};
use tenon_core::{
    Error, Result,
    config::{
        AdminConfig, ConfigError, LogConfig, RateLimitConfig, RegistrationConfig, RestConfig,
        RpcConfig,
    },
};
#[cfg(feature = "gateway")]
use tenon_gateway::Gateway;
use tenon_rest::{Door, Middleware, Routes};
use tenon_telemetry::Metrics;

use crate::process::{Process, Runtime, StartError};

/// What a service adds to the process that will run it.
type Addition = Box<dyn FnOnce(Process) -> Process + Send>;

/// A service, to be run alone ([`Service::process`]) or beside others in one process
/// ([`Service::open`]).
pub struct Service {
    name: String,
    rest: Option<(RestConfig, Routes)>,
    rate_limits: Vec<RateLimitConfig>,
    rpc: Option<RpcConfig>,
    rpc_services: Vec<tenon_rpc::Service>,
    admin: AdminConfig,
    registration: Option<RegistrationConfig>,
    verifier: Option<Arc<Verifier>>,
    rules: Option<Arc<dyn AccessRules>>,
    layers: Vec<Middleware>,
    middleware: Vec<(&'static str, Middleware)>,
    additions: Vec<Addition>,
    #[cfg(feature = "gateway")]
    transcode: Option<(RestConfig, TranscodeConfig)>,
}

impl Service {
    /// A service without doors.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            rest: None,
            rate_limits: Vec::new(),
            rpc: None,
            rpc_services: Vec::new(),
            admin: AdminConfig::default(),
            registration: None,
            verifier: None,
            rules: None,
            layers: Vec::new(),
            middleware: Vec::new(),
            additions: Vec::new(),
            #[cfg(feature = "gateway")]
            transcode: None,
        }
    }

    /// Its REST door.
    #[must_use]
    pub fn rest(mut self, config: RestConfig, routes: Routes) -> Self {
        self.rest = Some((config, routes));
        self
    }

    /// A rate limit of the REST door that holds, now and after each change of the configuration,
    /// unless the configuration has one of the same name.
    #[must_use]
    pub fn rate_limit(mut self, limit: RateLimitConfig) -> Self {
        self.rate_limits.push(limit);
        self
    }

    /// Its gRPC door. Called again, it adds one more service to the door.
    #[must_use]
    pub fn rpc(mut self, config: RpcConfig, service: tenon_rpc::Service) -> Self {
        self.rpc = Some(config);
        self.rpc_services.push(service);
        self
    }

    /// Opens its gRPC services over HTTP as well, by the `google.api.http` rules of their
    /// contracts: JSON requests become calls of the gRPC door within the process, behind the guards
    /// of `config` and those of the door. Beside a REST door of its own, the routes of that one come
    /// first, its address is used, and rate limits that name routes name its routes.
    #[cfg(feature = "gateway")]
    #[must_use]
    pub fn transcode(mut self, config: RestConfig, transcode: TranscodeConfig) -> Self {
        self.transcode = Some((config, transcode));
        self
    }

    /// Where its admin server listens.
    #[must_use]
    pub fn admin(mut self, config: AdminConfig) -> Self {
        self.admin = config;
        self
    }

    /// Announces its doors to others; see [`Process::registration`].
    #[must_use]
    pub fn registration(mut self, config: Option<RegistrationConfig>) -> Self {
        self.registration = config;
        self
    }

    /// Checks the tokens at both doors.
    #[must_use]
    pub fn auth(mut self, verifier: Option<Arc<Verifier>>) -> Self {
        self.verifier = verifier;
        self
    }

    /// Decides about the permissions that the routes name.
    #[must_use]
    pub fn rules(mut self, rules: Arc<dyn AccessRules>) -> Self {
        self.rules = Some(rules);
        self
    }

    /// A layer around all routes, inside the toolkit's own; the first one added is outermost.
    #[must_use]
    pub fn layer(mut self, layer: Middleware) -> Self {
        self.layers.push(layer);
        self
    }

    /// The layer that routes ask for by `@server(middleware: NAME)`.
    #[must_use]
    pub fn middleware(mut self, name: &'static str, layer: Middleware) -> Self {
        self.middleware.push((name, layer));
        self
    }

    /// Readiness also asks this; see [`Process::probe`].
    #[must_use]
    pub fn probe<F, P>(self, name: &str, check: F) -> Self
    where
        F: Fn() -> P + Send + Sync + 'static,
        P: Future<Output = Result<()>> + Send + 'static,
    {
        self.add(name, move |process, name| process.probe(name, check))
    }

    /// Runs work beside the doors until the process drains; see [`Process::background`].
    #[must_use]
    pub fn background(
        self,
        name: &str,
        work: impl Future<Output = Result<()>> + Send + 'static,
    ) -> Self {
        self.add(name, move |process, name| process.background(name, work))
    }

    /// Ends the process when `failure` resolves; see [`Process::fatal`].
    #[must_use]
    pub fn fatal(self, name: &str, failure: impl Future<Output = Error> + Send + 'static) -> Self {
        self.add(name, move |process, name| process.fatal(name, failure))
    }

    /// Runs work after the doors have closed; see [`Process::on_stop`].
    #[must_use]
    pub fn on_stop(
        self,
        name: &str,
        work: impl Future<Output = Result<()>> + Send + 'static,
    ) -> Self {
        self.add(name, move |process, name| process.on_stop(name, work))
    }

    /// Keeps data in `db`: readiness asks it, its queue and its work are shown in the metrics, a
    /// failed disk ends the process, and it is closed after the doors.
    #[cfg(feature = "store")]
    #[must_use]
    pub fn store(self, db: &tenon_store::Db) -> Self {
        let (probed, failing, closing) = (db.clone(), db.clone(), db.clone());
        let (name, shown) = (self.name.clone(), db.clone());
        self.observe(move |metrics| crate::figures::store(metrics, &name, &shown))
            .probe("store", move || {
                let db = probed.clone();
                async move {
                    if db.is_failed() {
                        return Err(tenon_store::STORE_FAILED.error());
                    }
                    let cx = tenon_core::Context::background();
                    db.one::<i64>(&cx, "SELECT 1", &[]).await.map(drop)
                }
            })
            .fatal("store", async move {
                failing.failed().await;
                tenon_store::STORE_FAILED.error()
            })
            .on_stop("store", async move { closing.close().await })
    }

    /// Shows how many passwords are hashed and how many wait.
    #[must_use]
    pub fn passwords(self, passwords: &tenon_auth::password::Passwords) -> Self {
        let (name, shown) = (self.name.clone(), passwords.clone());
        self.observe(move |metrics| crate::figures::passwords(metrics, &name, &shown))
    }

    /// Shows figures of the service's own, see [`Metrics::read`].
    #[must_use]
    pub fn observe(self, show: impl FnOnce(&Metrics) + Send + 'static) -> Self {
        self.add("metrics", move |process, _| {
            show(&process.runtime().metrics);
            process
        })
    }

    /// Keeps an addition until there is a process. Its name tells the service too, because
    /// several services of one process have a store each.
    fn add(
        mut self,
        name: &str,
        addition: impl FnOnce(Process, String) -> Process + Send + 'static,
    ) -> Self {
        let name = format!("{}.{name}", self.name);
        self.additions
            .push(Box::new(move |process| addition(process, name)));
        self
    }

    /// The name of the service.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Puts the doors together, to be served by a process or merged with those of others.
    ///
    /// # Errors
    /// Its routes or its configuration are not sound.
    pub fn open(self, runtime: &Runtime) -> Result<Open, ConfigError> {
        let rest = match self.rest {
            Some((mut config, routes)) => {
                config.add_rate_limits(&self.rate_limits);
                let mut door = Door::new(self.name.as_str(), config.clone(), routes)
                    .verifier(self.verifier.clone())
                    .metrics(runtime.metrics.clone());
                if let Some(rules) = self.rules {
                    door = door.rules(rules);
                }
                for layer in self.layers {
                    door = door.layer(layer);
                }
                for (name, layer) in self.middleware {
                    door = door.middleware(name, layer);
                }
                // Two routes of one path are found here, before anything listens.
                drop(door.router()?);
                crate::followed::rest(&runtime.reload, door.guards()?, self.rate_limits);
                Some((config, Arc::new(door)))
            }
            None => None,
        };
        let table = rest.as_ref().map(|(_, door)| door.clone());
        #[cfg(feature = "gateway")]
        let descriptors: Vec<_> = self
            .rpc_services
            .iter()
            .map(tenon_rpc::Service::descriptor)
            .filter(|descriptor| !descriptor.is_empty())
            .collect();
        let rpc = match self.rpc {
            Some(config) => {
                let server = tenon_rpc::Server::new(&self.name, config.clone())
                    .verifier(self.verifier)
                    .metrics(&runtime.metrics)
                    .lifecycle(&runtime.life);
                let server = self
                    .rpc_services
                    .into_iter()
                    .fold(server, |server, service| server.service(service));
                let door = server.into_service()?;
                crate::followed::rpc(&runtime.reload, door.guards().clone());
                Some((config, door))
            }
            None => None,
        };
        #[cfg(feature = "gateway")]
        let transcoded = match self.transcode {
            Some((config, transcode)) => {
                let door = rpc.as_ref().map(|(_, door)| door.clone());
                let descriptors: Vec<&[u8]> = descriptors.iter().map(AsRef::as_ref).collect();
                let beside_rest = rest.is_some();
                let settings = (&transcode, &beside(config.guards(), beside_rest));
                let gateway = transcoded(&self.name, door, &descriptors, settings, runtime)?;
                let of = move |config: RestConfig| beside(config.guards(), beside_rest);
                crate::followed::transcoded(&runtime.reload, &gateway, of);
                Some((config, gateway))
            }
            None => None,
        };
        Ok(Open {
            name: self.name,
            rest,
            rpc,
            table,
            registration: self.registration,
            additions: self.additions,
            #[cfg(feature = "gateway")]
            transcoded,
        })
    }

    /// A process that runs this service alone, with its own addresses.
    ///
    /// # Errors
    /// Its routes or its configuration are not sound.
    pub fn process(self, log: &LogConfig) -> Result<Process, StartError> {
        // Only the first service of a process sets up the log.
        if let Err(taken) = tenon_telemetry::init_logs(log) {
            tracing::debug!("{taken}");
        }
        let runtime = Runtime::default();
        let admin = self.admin.clone();
        let open = self.open(&runtime)?;
        Ok(open.serve(Process::new(runtime))?.admin(admin))
    }
}

/// The table of a door as it is now. That it can be made was seen when the door was opened.
fn rows(door: &Door) -> Vec<serde_json::Value> {
    let rows = door.table().unwrap_or_default();
    let rows = rows.iter().map(serde_json::to_value);
    rows.filter_map(std::result::Result::ok).collect()
}

/// The methods of the gRPC door in the same table.
fn methods(name: &str, door: &tenon_rpc::Door) -> Vec<serde_json::Value> {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let head_bytes = door.guards().config().sizes.head_bytes;
    let row = |row: tenon_rpc::MethodRow| {
        serde_json::json!({
            "service": name,
            "method": "gRPC",
            "path": row.path,
            "criticality": row.criticality,
            "idempotent": row.idempotent,
            "streams": row.streams,
            "timeoutMs": row.timeout.map(millis),
            "guarded": row.is_guarded,
            "maxBytes": row.max_bytes,
            "layers": row.layers,
            "maxHeadBytes": head_bytes,
        })
    };
    door.table().into_iter().map(row).collect()
}

/// The gRPC door, opened over HTTP.
#[cfg(feature = "gateway")]
fn transcoded(
    name: &str,
    door: Option<tenon_rpc::Door>,
    descriptors: &[&[u8]],
    (config, guards): (&TranscodeConfig, &Guards),
    runtime: &Runtime,
) -> Result<Gateway, ConfigError> {
    let door = door.filter(|_| !descriptors.is_empty()).ok_or_else(|| {
        let problem = "there is no gRPC service with the descriptors of its contract to open over HTTP; add it with Service::rpc";
        ConfigError::new(name, problem)
    })?;
    let metrics = Some(&runtime.metrics);
    Gateway::transcode(name, door, descriptors, config, guards, metrics)
}

/// What guards the transcoded routes: the section `rest`. Beside a REST door, whose section it is
/// too, rate limits that name routes name those of that door.
#[cfg(feature = "gateway")]
fn beside(mut guards: Guards, a_rest_door: bool) -> Guards {
    if a_rest_door {
        guards.rate_limits.retain(|limit| limit.routes.is_empty());
    }
    guards
}

/// A service whose doors are put together.
pub struct Open {
    name: String,
    rest: Option<(RestConfig, Arc<Door>)>,
    rpc: Option<(RpcConfig, tenon_rpc::Door)>,
    /// The door again, also when it was taken: its limits change, and so does its table.
    table: Option<Arc<Door>>,
    registration: Option<RegistrationConfig>,
    additions: Vec<Addition>,
    #[cfg(feature = "gateway")]
    transcoded: Option<(RestConfig, Gateway)>,
}

impl Open {
    /// Takes the REST door, to be merged with those of other services under one address
    /// ([`tenon_rest::merge`]). What is left is served by [`Open::serve`].
    pub fn take_rest(&mut self) -> Option<Arc<Door>> {
        self.rest.take().map(|(_, door)| door)
    }

    /// Leaves the gRPC door closed: its neighbours call it in this process.
    #[must_use]
    pub fn without_rpc(mut self) -> Self {
        self.rpc = None;
        self
    }

    /// Adds the doors that are left, and what runs beside them, to a process.
    ///
    /// # Errors
    /// Two routes have one path.
    pub fn serve(self, mut process: Process) -> Result<Process, ConfigError> {
        let rest = match self.rest {
            Some((config, door)) => Some((config, tenon_rest::merge([&*door])?)),
            None => None,
        };
        #[cfg(feature = "gateway")]
        let rest = match self.transcoded {
            Some((own, gateway)) => {
                let shown = gateway.clone();
                process = process.changing_routes(move || shown.routes());
                Some(match rest {
                    Some((config, router)) => (config, router.fallback_service(gateway)),
                    None => (own, gateway.router()),
                })
            }
            None => rest,
        };
        if let Some((config, router)) = rest {
            process = process.rest(&self.name, config, router);
        }
        if let Some((config, door)) = self.rpc {
            let (name, shown) = (self.name.clone(), door.clone());
            process = process.changing_routes(move || methods(&name, &shown));
            process = process.rpc(&self.name, config, door);
        }
        if let Some(config) = self.registration {
            process = process.registration(&self.name, config);
        }
        if let Some(door) = self.table {
            process = process.changing_routes(move || rows(&door));
        }
        let additions = self.additions.into_iter();
        Ok(additions.fold(process, |process, addition| addition(process)))
    }
}
