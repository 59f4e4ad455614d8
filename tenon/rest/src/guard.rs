//! What guards a route: rate limits, places, shedding and the breaker. The rules are
//! `tenon_resilience`'s; here they meet requests and responses.
//!
//! The order, and why:
//!
//! 1. Rate limits by address and by route come first: who asks too often is told 429, which is
//!    its own fault, before it takes a place from others.
//! 2. Places and shedding come next, before a byte of the body is read or a signature checked:
//!    a refusal must stay cheap, or refusing is what overloads the service.
//! 3. Rate limits by principal come after the token: only a verified one counts, or anybody could
//!    use up the requests of somebody else.
//! 4. The breaker is innermost, around the operation: what the layers before it refuse says
//!    nothing about the operation, and a flood of bad tokens must not open or close it.

use std::{net::IpAddr, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};
use tenon_core::{Error, Result, catalogue, config::RateLimitBy};
use tenon_net::Peer;
use tenon_resilience::{
    DoorGuards, Gate, Key, Limiter, Quota, Refusal, breaker::Permit, cpu, gate::Held,
    shedder::Flight,
};
use tenon_telemetry::{GuardLabels, Guarded, Metrics};
use tokio::time::Instant;

use crate::{Request, Response, problem::Failure};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The guards of one route.
pub struct Guard {
    guards: DoorGuards,
    /// The place of the route in its door.
    index: usize,
    gate: Arc<Gate>,
    labels: GuardLabels,
    metrics: Option<Guarded>,
}

impl Guard {
    /// The guard of the route at `index` of a door, called `route` in the metrics of `service`;
    /// `None` when the door has no such route.
    pub fn new(
        guards: DoorGuards,
        index: usize,
        (service, route): (&str, &str),
        metrics: Option<&Metrics>,
    ) -> Option<Self> {
        let gate = guards.gate(index)?;
        let labels = GuardLabels {
            door: "rest",
            service: service.to_owned(),
            route: route.to_owned(),
            criticality: gate.criticality().as_str(),
        };
        let metrics = metrics.map(|metrics| metrics.guarded(&labels));
        Some(Self {
            guards,
            index,
            gate,
            labels,
            metrics,
        })
    }

    /// Shows the breaker of the route, the CPU, and the shared store of rate limits.
    pub fn watch(&self, metrics: &Metrics) {
        let breaker = self.gate.clone();
        metrics.watch_breaker(self.labels.clone(), move || breaker.breaker().ratio());
        metrics.watch_cpu(|| f64::from(cpu::permille()) / 1000.0);
        if self.guards.shared_is_up().is_some() {
            let guards = self.guards.clone();
            let up = move || guards.shared_is_up().unwrap_or(true);
            metrics.watch_shared_limits(&self.labels.service, up);
        }
    }

    /// What metrics call the route.
    pub fn route(&self) -> &str {
        &self.labels.route
    }

    /// The gate of the route.
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// The rate limits that hold for a request, and the address of its client.
    pub fn limits(&self, request: &Request) -> Option<Limits> {
        let limits = self.guards.limits(self.index)?;
        let client = self.client(request);
        Some(Limits { limits, client })
    }

    /// [`Guard::enter`] for who gives the place on.
    ///
    /// # Errors
    /// As there.
    pub async fn enter_held(
        &self,
        limits: Option<&Limits>,
        now: Instant,
        readable: Option<Instant>,
        quota: &mut Option<Quota>,
    ) -> Result<Held> {
        if let Some(limits) = limits {
            self.check_address_and_route(limits, now, quota).await?;
        }
        let entered = self
            .gate
            .enter_held(self.gate.criticality(), now, readable)
            .await;
        entered.map_err(|refusal| self.refuse(refusal))
    }

    /// Lets a request in before anything of it was read.
    ///
    /// # Errors
    /// `RATE_LIMITED` and `OVERLOADED`, with the time after which to come again.
    pub async fn enter(
        &self,
        limits: Option<&Limits>,
        now: Instant,
        readable: Option<Instant>,
        quota: &mut Option<Quota>,
    ) -> Result<Flight<'_>> {
        if let Some(limits) = limits {
            self.check_address_and_route(limits, now, quota).await?;
        }
        let entered = self.gate.enter(now, readable).await;
        entered.map_err(|refusal| self.refuse(refusal))
    }

    /// Asks the limits of a verified caller.
    ///
    /// # Errors
    /// `RATE_LIMITED`.
    pub async fn check_principal(
        &self,
        limits: &Limits,
        subject: &str,
        now: Instant,
        quota: &mut Option<Quota>,
    ) -> Result<()> {
        for limiter in limits.limits.iter() {
            if limiter.by() == RateLimitBy::Principal {
                self.take(limiter, Key::Principal(subject), now, quota)
                    .await?;
            }
        }
        Ok(())
    }

    /// Asks the breaker.
    ///
    /// # Errors
    /// `CIRCUIT_OPEN`.
    pub fn admit(&self, now: Instant) -> Result<Option<Permit<'_>>> {
        let admitted = self.gate.admit(now);
        admitted.map_err(|refusal| self.refuse(refusal))
    }

    /// Tells shedder and breaker how the operation ended.
    pub(crate) fn finish(
        &self,
        flight: Flight<'_>,
        permit: Option<Permit<'_>>,
        outcome: &Result<Response>,
        allowed: Duration,
    ) {
        let unnamed;
        let error = match outcome {
            Err(error) => Some(error),
            Ok(response) if !response.status().is_server_error() => None,
            // An error that a layer of the service turned into a response, or made one itself.
            Ok(response) => match response.extensions().get::<Failure>() {
                Some(Failure(error)) => Some(error),
                None => {
                    unnamed = catalogue::INTERNAL.error();
                    Some(&unnamed)
                }
            },
        };
        self.gate.finish(flight, permit, error, allowed);
    }

    async fn check_address_and_route(
        &self,
        limits: &Limits,
        now: Instant,
        quota: &mut Option<Quota>,
    ) -> Result<()> {
        for limiter in limits.limits.iter() {
            match limiter.by() {
                RateLimitBy::Principal => {}
                RateLimitBy::Route => self.take(limiter, Key::Route, now, quota).await?,
                // Without a peer the request comes from this process.
                RateLimitBy::Address => {
                    if let Some(client) = limits.client {
                        self.take(limiter, Key::Address(client), now, quota).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn take(
        &self,
        limiter: &Limiter,
        key: Key<'_>,
        now: Instant,
        quota: &mut Option<Quota>,
    ) -> Result<()> {
        let taken = limiter.quota(limiter.take(key, now).await);
        let refusal = taken.refusal();
        // The caller is told of the limit that binds it most.
        if refusal.is_some() || quota.as_ref().is_none_or(|other| taken.is_tighter(other)) {
            *quota = Some(taken);
        }
        let Some(error) = refusal else { return Ok(()) };
        self.count(limiter.reason());
        Err(error)
    }

    /// The address of the client of a request, through trusted proxies; `None` when it comes from
    /// this process.
    pub fn client(&self, request: &Request) -> Option<IpAddr> {
        let Peer(peer) = request.extensions().get::<Peer>()?;
        let forwarded = request.headers().get_all(FORWARDED_FOR).iter();
        // What is not text ends the chain of hops, as any other nonsense does.
        let forwarded = forwarded.map(|value| value.to_str().unwrap_or("?"));
        Some(self.guards.client(peer.ip(), forwarded))
    }

    fn refuse(&self, refusal: Refusal) -> Error {
        self.count(refusal.as_str());
        refusal.error()
    }

    fn count(&self, reason: &str) {
        if let Some(metrics) = &self.metrics {
            metrics.refused(reason);
        }
    }
}

/// The rate limits that hold for one request.
pub struct Limits {
    limits: Arc<[Arc<Limiter>]>,
    client: Option<IpAddr>,
}

/// Tells the caller of its limit, by draft-ietf-httpapi-ratelimit-headers-11.
pub fn tell(quota: Option<&Quota>, headers: &mut HeaderMap) {
    let Some(quota) = quota else { return };
    let fields = [
        (RATE_LIMIT_POLICY, quota.policy()),
        (RATE_LIMIT, quota.state()),
    ];
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::try_from(value) {
            // Both are lists: what a service behind a gateway says stands beside it.
            headers.append(name, value);
        }
    }
}
