//! The gateway itself: what every request passes, whatever is behind its route.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use axum::Router;
use prost_reflect::DescriptorPool;
use serde_json::Value;
use tenon_core::{
    Context, Error, Live, Result, catalogue,
    config::{ConfigError, GatewayConfig, Guards, RestConfig, TranscodeConfig, UpstreamConfig},
};
use tenon_resilience::DoorGuards;
use tenon_rest::{ByMethod, Request, Response};
use tenon_rpc::Door;
use tenon_telemetry::Metrics;
use tower::Service;

use crate::{
    Guard, SERVICE,
    table::{Contracts, Parts, Table, refused},
    transcode::{contract, reflect},
};

mod visit;

use visit::Visit;

/// How long one service may take to tell its whole contract.
const REFLECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a contract that is missing is asked for: a gateway may start before its services.
const REFLECT_RETRY: Duration = Duration::from_secs(1);
/// How often all contracts are asked for again: a new version of a service is open within this.
const REFLECT_EVERY: Duration = Duration::from_secs(60);

/// Passes requests on to services, by a table of routes that may be replaced while it runs. Cheap
/// to clone; a tower service, to stand as a router's fallback. What no route takes is answered
/// with 404 or 405.
///
/// ```
/// use tenon_core::config::{ClientConfig, GatewayConfig, RouteConfig, UpstreamConfig};
/// use tenon_gateway::Gateway;
///
/// let config: GatewayConfig = tenon_core::config::parse(
///     "upstreams: {patient: {http: {endpoints: ['127.0.0.1:8101']}, routes: [{prefix: /api/v1/patient}]}}",
///     "gateway.yaml".as_ref(),
/// )?;
/// let router = Gateway::new(&config, None)?.router();
/// # Ok::<(), tenon_core::config::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
    guard: Option<Guard>,
}

struct Inner {
    table: Live<Table>,
    /// What the table was built from.
    config: Live<GatewayConfig>,
    contracts: Live<Contracts>,
    metrics: Option<Metrics>,
    /// What has no route.
    nowhere: Option<ByMethod>,
    /// Held while a table takes the place of another: what is made of the contracts that were just
    /// told must not undo a configuration that came meanwhile.
    changing: Mutex<()>,
}

/// A table of routes that was checked and waits to be used; see [`Gateway::prepare`].
pub struct Prepared {
    gateway: Gateway,
    config: GatewayConfig,
    table: Table,
}

impl Prepared {
    /// Uses the table from now on. Requests in flight end on the one before.
    pub fn apply(self) {
        let gateway = self.gateway.clone();
        let _one = gateway.changing();
        self.store();
    }

    fn store(self) {
        let Self {
            gateway,
            config,
            table,
        } = self;
        let inner = &*gateway.inner;
        let before = inner.table.load();
        table.begin(Some(&before), inner.metrics.as_ref());
        inner.config.store(config);
        inner.table.store(table);
    }
}

impl Gateway {
    /// A gateway with this table of routes, guarded as a door is by default. Nothing is connected
    /// before the first request.
    ///
    /// # Errors
    /// The configuration is not sound: an upstream without `http` and `grpc` or with both, a
    /// prefix that is no path or stands twice, an endpoint that is no `host:port`, or is not on
    /// this machine and neither `tls` nor `plaintext: allowed` is written, a rule for a header
    /// that is none or is the gateway's own.
    pub fn new(config: &GatewayConfig, metrics: Option<&Metrics>) -> Result<Self, ConfigError> {
        Self::guarded(config, &RestConfig::default().guards(), metrics)
    }

    /// The same with these guards before its routes: rate limits, places in flight, shedding and
    /// breakers. Rate limits name routes as [`Gateway::routes`] shows them, the method and the
    /// path: `* /api/v1/patient/*`.
    ///
    /// # Errors
    /// As [`Gateway::new`]; a rate limit names no route, or what it needs is not there.
    pub fn guarded(
        config: &GatewayConfig,
        guards: &Guards,
        metrics: Option<&Metrics>,
    ) -> Result<Self, ConfigError> {
        let table = Table::new(
            config,
            &Parts {
                metrics,
                contracts: &Contracts::new(),
                guards,
                before: None,
            },
        )?;
        Ok(Self::with(table, config.clone(), metrics))
    }

    /// The methods of contracts, each a `google.protobuf.FileDescriptorSet`, that this process
    /// serves itself: requests become calls of its gRPC `door`, and no byte leaves the process. The door
    /// checks tokens and has the deadlines; `guards` stand before the routes besides.
    ///
    /// # Errors
    /// The descriptors are none, or their rules do not fit the contract; a rate limit names no
    /// route.
    pub fn transcode(
        name: &str,
        door: Door,
        descriptors: &[&[u8]],
        config: &TranscodeConfig,
        guards: &Guards,
        metrics: Option<&Metrics>,
    ) -> Result<Self, ConfigError> {
        let mut contract = DescriptorPool::new();
        for descriptors in descriptors {
            contract::add(&mut contract, descriptors).map_err(|problem| refused(name, &problem))?;
        }
        let upstream = UpstreamConfig {
            transcode: config.clone(),
            ..UpstreamConfig::default()
        };
        let parts = Parts {
            metrics,
            contracts: &Contracts::new(),
            guards,
            before: None,
        };
        let table = Table::local(name, door, &contract, &upstream, &parts)?;
        Ok(Self::with(table, GatewayConfig::default(), metrics))
    }

    fn with(table: Table, config: GatewayConfig, metrics: Option<&Metrics>) -> Self {
        table.begin(None, metrics);
        Self {
            inner: Arc::new(Inner {
                table: Live::new(table),
                config: Live::new(config),
                contracts: Live::default(),
                metrics: metrics.cloned(),
                nowhere: metrics.map(|metrics| ByMethod::new(metrics, SERVICE, "")),
                changing: Mutex::new(()),
            }),
            guard: None,
        }
    }

    /// Asks this guard before anything is passed on.
    #[must_use]
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guard = Some(guard);
        self
    }

    /// Builds and checks another table of routes with these guards, without using it yet. A route
    /// that stays keeps what its guard has learned, and a rate limit what is in its buckets.
    ///
    /// # Errors
    /// As [`Gateway::guarded`]; the table in use stays.
    pub fn prepare(
        &self,
        config: &GatewayConfig,
        guards: &Guards,
    ) -> Result<Prepared, ConfigError> {
        self.prepare_with(config, guards, &self.inner.contracts.load())
    }

    fn prepare_with(
        &self,
        config: &GatewayConfig,
        guards: &Guards,
        contracts: &Contracts,
    ) -> Result<Prepared, ConfigError> {
        let inner = &*self.inner;
        let parts = Parts {
            metrics: inner.metrics.as_ref(),
            contracts,
            guards,
            before: Some(&inner.table.load()),
        };
        Ok(Prepared {
            gateway: self.clone(),
            config: config.clone(),
            table: Table::new(config, &parts)?,
        })
    }

    /// Uses another table of routes from now on: connections stay, and requests in flight end on
    /// the table before.
    ///
    /// # Errors
    /// As [`Gateway::new`]; the table in use stays.
    pub fn reload(&self, config: &GatewayConfig) -> Result<(), ConfigError> {
        let _one = self.changing();
        self.prepare(config, &self.in_force()).map(Prepared::store)
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        let changing = self.inner.changing.lock();
        changing.unwrap_or_else(PoisonError::into_inner)
    }

    /// The settings of the guards as they are now.
    fn in_force(&self) -> Guards {
        let guards = self.guards().map(|guards| guards.config());
        guards.unwrap_or_default()
    }

    /// The guards of the routes as they are now: to change them where the table never does.
    pub fn guards(&self) -> Option<DoorGuards> {
        self.inner.table.load().door().cloned()
    }

    /// Asks the services for their contracts that the configuration takes from server reflection,
    /// and opens their methods. Those that were asked before are asked again: a contract that
    /// changed takes the place of the old one. A service that cannot be asked keeps its own, and so
    /// does one whose contract cannot be opened: it stands in nobody else's way.
    ///
    /// # Errors
    /// What the first service that has never told its contract answers, or why what it told cannot
    /// be opened. The others are open.
    pub async fn reflect(&self, cx: &Context) -> Result<()> {
        let inner = &*self.inner;
        let config = inner.config.load();
        let mut contracts = Contracts::clone(&inner.contracts.load());
        let mut failed = Ok(());
        for (name, _) in config
            .upstreams
            .iter()
            .filter(|(_, one)| one.transcode.reflection)
        {
            let table = inner.table.load();
            let Some(channel) = table.channel(name) else {
                continue;
            };
            let told = reflect::contract(&cx.with_timeout(REFLECT_TIMEOUT), channel).await;
            match told.and_then(|told| self.with_contract(&config, &contracts, (name, told))) {
                Ok(with) => contracts = with,
                Err(error) if contracts.contains_key(name) => {
                    tracing::warn!(
                        upstream = name,
                        cause = error.cause_chain(),
                        "its contract could not be taken again"
                    );
                }
                Err(error) => failed = failed.and(Err(error)),
            }
        }
        inner.contracts.store(contracts);
        let _one = self.changing();
        // The configuration may have changed while the services were asked.
        let config = inner.config.load();
        self.prepare(&config, &self.in_force())
            .map(Prepared::store)
            .map_err(|problem| Error::internal("open the methods of a contract", problem))?;
        failed
    }

    /// The contracts with one more, if a table can be made of them.
    fn with_contract(
        &self,
        config: &GatewayConfig,
        contracts: &Contracts,
        (name, contract): (&str, DescriptorPool),
    ) -> Result<Contracts> {
        let mut with = contracts.clone();
        with.insert(name.to_owned(), contract);
        self.prepare_with(config, &self.in_force(), &with)
            .map_err(|problem| Error::internal("open the methods of a contract", problem))?;
        Ok(with)
    }

    /// Keeps the contracts of services with server reflection up to date, for the life of `cx`:
    /// those that are missing are asked for each second, all of them each minute.
    ///
    /// # Errors
    /// Never; it ends with `cx`.
    pub async fn keep_reflected(self, cx: Context) -> Result<()> {
        loop {
            if let Err(error) = self.reflect(&cx).await {
                tracing::warn!(
                    cause = error.cause_chain(),
                    "a contract is missing: {error}"
                );
            }
            let pause = match self.inner.table.load().waiting() {
                [] => REFLECT_EVERY,
                _ => REFLECT_RETRY,
            };
            if cx.run(tokio::time::sleep(pause)).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Whether all contracts are known: for the readiness of the process.
    ///
    /// # Errors
    /// `UNAVAILABLE`, naming the services that have not told theirs.
    pub fn ready(&self) -> Result<()> {
        match self.inner.table.load().waiting() {
            [] => Ok(()),
            waiting => {
                let names = waiting.join(", ");
                let cause = format!("the contract of {names} is not known yet");
                Err(catalogue::UNAVAILABLE.error().cause(cause))
            }
        }
    }

    /// Whether every upstream's source has told its instances once: for the readiness of the
    /// process. A later outage is none of it, because the last list holds.
    ///
    /// # Errors
    /// `UNAVAILABLE`, naming the upstreams and what is wrong with their sources.
    pub fn found(&self) -> Result<()> {
        match self.inner.table.load().unknown().as_slice() {
            [] => Ok(()),
            unknown => Err(catalogue::UNAVAILABLE.error().cause(unknown.join("; "))),
        }
    }

    /// The routes as they are now, with their layers and settings.
    pub fn routes(&self) -> Vec<Value> {
        self.inner.table.load().rows()
    }

    /// The `grpc` upstreams as they are now, as clients are shown: layers, settings, instances.
    pub fn clients(&self) -> Vec<Value> {
        self.inner.table.load().clients()
    }

    /// A router of the gateway alone.
    pub fn router(&self) -> Router {
        Router::new().fallback_service(self.clone())
    }

    async fn serve(self, request: Request) -> Response {
        // Held to the end of the exchange: a table that is replaced meanwhile stays for it.
        let table = self.inner.table.load();
        let visit = Visit::new(&table, self.guard.as_ref(), &request);
        visit.serve(request, &self.inner.nowhere).await
    }
}

impl Service<Request> for Gateway {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let gateway = self.clone();
        Box::pin(async move { Ok(gateway.serve(request).await) })
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[tokio::test]
    async fn what_every_request_takes_before_its_route_is_small() {
        let gateway = Gateway::new(&GatewayConfig::default(), None).unwrap();
        let serving = gateway.serve(Request::new(Body::empty()));
        let bytes = size_of_val(&serving);
        assert!(bytes <= 4 << 10, "{bytes} bytes for each request in flight");
        println!("{bytes} bytes");
    }
}
