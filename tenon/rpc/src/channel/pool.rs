//! The instances of a service as calls meet them: which takes a call, over which connection, and
//! what guards the calls to it.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use futures_util::future::select_ok;
use tenon_core::{
    Context, Error, Live, Result, catalogue,
    config::{BalancerConfig, ClientConfig},
};
use tenon_discovery::{Instance, Instances, Status};
use tenon_resilience::{Breaker, Failures, Limit, Random, gradient::Settings};
use tenon_telemetry::RpcClient;

use super::endpoint::{Connection, Dialer, Endpoint};
use crate::{
    Method,
    balance::{Balancer, HashKey, InFlight, Node, Outcome, Target, View},
};

/// The calls in flight at an instance before anything was measured: a burst of callers at the
/// start, which may wait in the connection for the 256 that it carries at once, is no overload.
pub(super) const LIMIT_AT_FIRST: usize = 1024;

/// The instances of one service.
pub(super) struct Pool {
    name: String,
    config: Live<ClientConfig>,
    instances: Instances,
    balancer: Balancer<Reached>,
    dialer: Arc<Dialer>,
    metrics: RpcClient,
}

/// What is reached at an instance.
pub(super) struct Reached {
    endpoint: Arc<Endpoint>,
    limit: Limit,
    breakers: RwLock<HashMap<&'static str, Arc<Breaker>>>,
}

/// Where a call goes.
pub(super) struct Place {
    pub(super) connection: Connection,
    pub(super) in_flight: InFlight<Reached>,
}

impl Pool {
    pub(super) fn new(
        name: String,
        config: Live<ClientConfig>,
        instances: Instances,
        dialer: Dialer,
        metrics: RpcClient,
    ) -> Arc<Self> {
        let policy = config.with(|config| config.balancer);
        Arc::new(Self {
            name,
            config,
            instances,
            balancer: Balancer::new(policy, Random::new().next()),
            dialer: Arc::new(dialer),
            metrics,
        })
    }

    /// The configuration chooses in another way.
    pub(super) fn policy_changed(&self) {
        let policy = self.config.with(|config| config.balancer);
        self.balancer.set_policy(policy);
    }

    /// Which errors count as failures of a method.
    pub(super) fn failures(&self) -> Failures {
        self.config
            .with(|config| config.failures.iter().copied().collect())
    }

    /// What chooses the instance of a call, where a key does.
    pub(super) fn key(&self, cx: &Context) -> Result<Option<Arc<HashKey>>> {
        match self.balancer.policy() {
            BalancerConfig::P2c => Ok(None),
            BalancerConfig::ConsistentHash => HashKey::of(cx).map(Some).ok_or_else(|| {
                let name = &self.name;
                Error::internal(
                    "choose an instance",
                    format!(
                        "clients.{name} has `balancer: consistentHash`, and the context of this \
                         call has no key; add one with cx.with_value(HashKey::new(..))"
                    ),
                )
            }),
        }
    }

    /// How many instances there are.
    pub(super) fn size(&self) -> usize {
        self.balancer.len()
    }

    /// How many places are tried for a call that no instance begins with.
    pub(super) fn tries(&self) -> usize {
        self.balancer.len() + 1
    }

    /// A connection for a call, to another instance than `avoided` if that can be. Waits only
    /// while there is no connection at all.
    pub(super) async fn place(
        self: &Arc<Self>,
        key: Option<&HashKey>,
        avoided: Option<&Node<Reached>>,
    ) -> Result<Place> {
        self.list().await?;
        for _ in 0..self.tries() {
            let Some(pick) = self.balancer.pick_but(key, avoided) else {
                break;
            };
            if pick.is_probe {
                self.probe(pick.node);
            } else if let Some(connection) = pick.node.target().endpoint.ready() {
                return Ok(self.begin(pick.node, connection));
            }
        }
        let (node, connection) = self.first_connected(key).await?;
        Ok(self.begin(node, connection))
    }

    fn begin(&self, node: Arc<Node<Reached>>, connection: Connection) -> Place {
        if node.target().endpoint.took_up_again() {
            self.balancer.admit(&node);
        }
        self.metrics.picked();
        Place {
            connection,
            in_flight: self.balancer.begin(node),
        }
    }

    /// Takes a changed list over. Waits for the first one.
    async fn list(&self) -> Result<()> {
        let mut list = self.instances.now();
        if list.is_empty() {
            self.instances.answered().await;
            list = self.instances.now();
        }
        self.follow(&list);
        if self.balancer.is_empty() {
            let cause = format!("{}: its source lists no instance", self.name);
            return Err(catalogue::UNAVAILABLE.error().cause(cause));
        }
        Ok(())
    }

    fn follow(&self, list: &Arc<[Instance]>) {
        if !self.balancer.follows(list) {
            self.balancer.follow(list, |instance| self.reach(instance));
            self.count();
        }
    }

    /// How the source of the instances does.
    pub(super) fn status(&self) -> Status {
        self.instances.status()
    }

    /// The instances as they are listed now, and how each does.
    pub(super) fn view(&self) -> Vec<View<Reached>> {
        self.follow(&self.instances.now());
        self.balancer.view()
    }

    fn reach(&self, instance: &Instance) -> Option<Reached> {
        match Endpoint::new(&instance.address, &self.dialer) {
            Ok(endpoint) => Some(Reached {
                endpoint: Arc::new(endpoint),
                limit: Limit::new(Settings {
                    initial: LIMIT_AT_FIRST,
                    ..Settings::default()
                }),
                breakers: RwLock::default(),
            }),
            Err(problem) => {
                tracing::error!(target: "rpc", service = self.name, problem, "passed over");
                None
            }
        }
    }

    /// The first connection that can be made; with a key, the one that it prefers among those
    /// that can.
    async fn first_connected(
        &self,
        key: Option<&HashKey>,
    ) -> Result<(Arc<Node<Reached>>, Connection)> {
        let connected = async |node: Arc<Node<Reached>>| {
            let connection = node.target().endpoint.connected().await?;
            Ok((node, connection))
        };
        let nodes = self.balancer.in_order(key);
        let problem = if key.is_some() {
            let mut problem = String::new();
            for node in nodes {
                match connected(node).await {
                    Ok(found) => return Ok(found),
                    Err(other) => problem = other,
                }
            }
            problem
        } else {
            match select_ok(nodes.into_iter().map(|node| Box::pin(connected(node)))).await {
                Ok((found, _)) => return Ok(found),
                Err(problem) => problem,
            }
        };
        let cause = format!("{}: {problem}", self.name);
        Err(catalogue::UNAVAILABLE.error().cause(cause))
    }

    /// Asks an instance that was left out how it is, so that no call has to find out.
    fn probe(self: &Arc<Self>, node: Arc<Node<Reached>>) {
        let pool = Arc::downgrade(self);
        tokio::spawn(async move {
            let alive = node.target().endpoint.probe().await;
            let Some(pool) = pool.upgrade() else {
                return;
            };
            let address = node.address();
            match alive {
                Ok(()) => {
                    tracing::info!(target: "rpc", service = pool.name, %address, "takes calls again");
                    pool.balancer.admit(&node);
                }
                Err(problem) => {
                    tracing::info!(target: "rpc", service = pool.name, %address, problem, "stays left out");
                    pool.balancer.reject(&node);
                }
            }
            pool.count();
        });
    }

    fn count(&self) {
        let (listed, ejected) = (self.balancer.len(), self.balancer.ejected());
        self.metrics.endpoints(listed, ejected);
    }

    /// Takes note of how a call ended.
    pub(super) fn ended(&self, node: &Node<Reached>, outcome: Outcome) {
        if self.balancer.ended(node, outcome) {
            let address = node.address();
            tracing::warn!(target: "rpc", service = self.name, %address, "left out: its calls fail");
            self.metrics.ejection();
            self.count();
        }
    }
}

impl Target for Reached {
    fn usable(&self) -> bool {
        self.endpoint.is_ready()
    }
}

impl Reached {
    /// The limit on calls in flight here, where there is one.
    pub(super) fn limit(&self, pool: &Pool) -> Option<&Limit> {
        let is_on = pool.config.with(|config| config.adaptive_limit);
        is_on.then_some(&self.limit)
    }

    /// How many calls may be in flight here now, by what their time says.
    pub(super) fn places(&self) -> usize {
        self.limit.limit()
    }

    /// How the connection does.
    pub(super) fn connection(&self) -> (&'static str, Option<Arc<str>>) {
        self.endpoint.shown()
    }

    /// The methods that a breaker refuses some calls of here.
    pub(super) fn refusing(&self) -> Vec<&'static str> {
        let known = self.breakers.read().unwrap_or_else(PoisonError::into_inner);
        let refusing = known.iter().filter(|(_, breaker)| breaker.is_refusing());
        let mut refusing: Vec<_> = refusing.map(|(path, _)| *path).collect();
        refusing.sort_unstable();
        refusing
    }

    /// The breaker of a method here.
    pub(super) fn breaker(&self, pool: &Pool, method: &'static Method) -> Option<Arc<Breaker>> {
        if !pool.config.with(|config| config.breaker) {
            return None;
        }
        let known = self.breakers.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(breaker) = known.get(method.path()) {
            return Some(breaker.clone());
        }
        drop(known);
        let mut known = self
            .breakers
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let name = || format!("{} at {}", method.path(), self.endpoint.address());
        let breaker = known
            .entry(method.path())
            .or_insert_with(|| Arc::new(Breaker::new(name())));
        Some(breaker.clone())
    }
}
