//! What guards a method: rate limits, places, shedding and the breaker, in the same order and for
//! the same reasons as at the REST door. A refusal is `RESOURCE_EXHAUSTED` or `UNAVAILABLE` with
//! `RetryInfo`.
//!
//! A call that streams passes them too. It holds its place until its last message; how long it
//! lasts says nothing about load, so that only the wait for a worker thread sheds it.

use std::{future::Future, net::IpAddr, sync::Arc, time::Duration};

use http::Request;
use tenon_core::{
    Principal, Result,
    config::{ConfigError, RateLimitBy, RpcConfig},
};
use tenon_net::{Peer, Readable};
use tenon_resilience::{
    Criticality, DoorGuards, Gate, Key, Limiter, Place, Refusal, cpu, gate::Held,
};
use tenon_telemetry::{GuardLabels, Guarded, Metrics};
use tokio::time::Instant;

use crate::{
    Admitted, Method, health, reflection,
    service::{Answer, Operation},
};

/// Health and reflection are asked by those who watch a service: a service that refused them
/// under load would be taken out of service for being loaded. By their whole names: a service of
/// somebody else that begins alike is guarded.
const UNGUARDED: [&str; 3] = [health::NAME, reflection::V1_NAME, reflection::V1_ALPHA_NAME];

/// The guards of all methods of a door.
pub(super) fn guards(
    name: &str,
    config: &RpcConfig,
    operations: &[Operation],
) -> Result<DoorGuards, ConfigError> {
    let places = operations.iter().map(|operation| Place {
        name: route_of(operation.method).into(),
        criticality: operation.method.class(),
        time: (!operation.streams).then_some(config.timeout),
        places: None,
    });
    DoorGuards::new(&format!("{name} rpc"), &config.guards(), places.collect())
}

/// As rate limits name a method: `patient.v1.PatientService/GetPatient`.
fn route_of(method: &Method) -> &str {
    method.path().trim_start_matches('/')
}

/// The guards of one method.
pub(super) struct Guard {
    guards: DoorGuards,
    index: usize,
    gate: Arc<Gate>,
    metrics: Guarded,
}

impl Guard {
    /// Nothing for what watches the service.
    pub(super) fn new(
        guards: &DoorGuards,
        index: usize,
        method: &Method,
        metrics: &Metrics,
    ) -> Option<Self> {
        if UNGUARDED.contains(&method.service()) {
            return None;
        }
        let gate = guards.gate(index)?;
        let labels = GuardLabels {
            door: "rpc",
            service: method.service().to_owned(),
            route: route_of(method).to_owned(),
            criticality: gate.criticality().as_str(),
        };
        let breaker = gate.clone();
        metrics.watch_breaker(labels.clone(), move || breaker.breaker().ratio());
        metrics.watch_cpu(|| f64::from(cpu::permille()) / 1000.0);
        if guards.shared_is_up().is_some() {
            let shared = guards.clone();
            let up = move || shared.shared_is_up().unwrap_or(true);
            metrics.watch_shared_limits(method.service(), up);
        }
        Some(Self {
            guards: guards.clone(),
            index,
            gate,
            metrics: metrics.guarded(&labels),
        })
    }

    /// The gate of the method.
    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The rate limits that hold for the method now.
    pub(super) fn limits(&self) -> Arc<[Arc<Limiter>]> {
        self.guards.limits(self.index).unwrap_or_default()
    }

    /// Lets a call in, before its token was checked.
    pub(super) async fn enter(&self, visit: &Visit) -> Result<Held> {
        self.check(visit, None).await?;
        let (gate, came) = (&self.gate, visit.came);
        let entered = match visit.is_admitted {
            true => gate.enter_again(visit.class, came),
            false => gate.enter_held(visit.class, came, visit.readable).await,
        };
        entered.map_err(|refusal| self.refuse(refusal))
    }

    /// Asks what only a known caller can be asked, and the breaker; then does the work. The place
    /// of a stream is given back to who answers it.
    pub(super) async fn around(
        &self,
        held: Held,
        visit: &Visit,
        caller: Option<&Principal>,
        work: impl Future<Output = Result<Answer>>,
    ) -> Result<(Answer, Option<Held>)> {
        if let Some(caller) = caller {
            self.check(visit, Some(caller)).await?;
        }
        let permit = self.gate.admit(visit.came);
        let permit = permit.map_err(|refusal| self.refuse(refusal))?;
        let outcome = work.await;
        if let Ok(answer @ Answer::Many(_)) = outcome {
            // That a stream was promised says nothing yet: its messages will.
            if let Some(permit) = permit {
                permit.ignore();
            }
            return Ok((answer, Some(held)));
        }
        let verdict = self
            .gate
            .judge(permit, outcome.as_ref().err(), visit.allowed);
        held.end(verdict);
        outcome.map(|answer| (answer, None))
    }

    /// The limits by caller, or those that hold for everybody.
    async fn check(&self, visit: &Visit, caller: Option<&Principal>) -> Result<()> {
        let Some(limits) = self.guards.limits(self.index) else {
            return Ok(());
        };
        for limiter in limits.iter() {
            let key = match (limiter.by(), caller, visit.peer) {
                (RateLimitBy::Principal, Some(caller), _) => Key::Principal(caller.subject()),
                (RateLimitBy::Address, None, Some(peer)) => Key::Address(peer),
                (RateLimitBy::Route, None, _) => Key::Route,
                _ => continue,
            };
            self.take(limiter, key, visit.came).await?;
        }
        Ok(())
    }

    async fn take(&self, limiter: &Limiter, key: Key<'_>, now: Instant) -> Result<()> {
        let quota = limiter.quota(limiter.take(key, now).await);
        let Some(error) = quota.refusal() else {
            return Ok(());
        };
        self.metrics.refused(limiter.reason());
        Err(error)
    }

    fn refuse(&self, refusal: Refusal) -> tenon_core::Error {
        self.metrics.refused(refusal.as_str());
        refusal.error()
    }
}

/// What the guards ask of a call.
pub(super) struct Visit {
    /// How much it matters.
    class: Criticality,
    came: Instant,
    /// When it could have been read, where the listener knows.
    readable: Option<Instant>,
    /// Whether a door of this process before this one has let it in.
    is_admitted: bool,
    /// How long the call may take; `None` has no end of its own.
    allowed: Option<Duration>,
    /// The address of the socket: between services there is no proxy to believe.
    peer: Option<IpAddr>,
}

impl Visit {
    pub(super) fn of<B>(
        request: &Request<B>,
        allowed: Option<Duration>,
        class: Criticality,
    ) -> Self {
        let peer = request.extensions().get::<Peer>();
        Self {
            class,
            came: Instant::now(),
            readable: request.extensions().get::<Readable>().map(|it| it.0),
            is_admitted: request.extensions().get::<Admitted>().is_some(),
            allowed,
            peer: peer.map(|Peer(address)| address.ip()),
        }
    }
}
