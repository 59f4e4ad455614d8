//! The rate limits of a door: which of them hold for a route, and what they say.

use std::{fmt, net::IpAddr, sync::Arc};

use tenon_core::{
    Error, catalogue,
    config::{RateLimitBy, RateLimitConfig},
};
use tokio::time::Instant;

use crate::{
    rate_limit::{Bucket, Decision, Keyed, Rate},
    shared::Shared,
};

/// A rate limit as it is configured, with its buckets.
#[derive(Debug)]
pub struct Limiter {
    config: RateLimitConfig,
    rate: Rate,
    /// The route of a limit that has one bucket for each.
    route: Arc<str>,
    buckets: Buckets,
    shared: Option<Arc<Shared>>,
}

#[derive(Debug)]
enum Buckets {
    One(Bucket),
    Many(Keyed),
}

/// Whose bucket.
#[derive(Debug, Clone, Copy)]
pub enum Key<'a> {
    /// A caller, by the subject of its token.
    Principal(&'a str),
    /// A client address.
    Address(IpAddr),
    /// The route itself.
    Route,
}

impl Limiter {
    pub(crate) fn new(
        config: &RateLimitConfig,
        route: &Arc<str>,
        shared: Option<&Arc<Shared>>,
    ) -> Self {
        let rate = Rate {
            requests: config.requests,
            per: config.per,
            burst: config.burst.unwrap_or(config.requests),
        };
        Self {
            config: config.clone(),
            rate,
            route: route.clone(),
            buckets: match config.by {
                RateLimitBy::Route => Buckets::One(Bucket::new(rate)),
                RateLimitBy::Principal | RateLimitBy::Address => Buckets::Many(Keyed::new(rate)),
            },
            shared: shared.filter(|_| config.shared).cloned(),
        }
    }

    /// Whether this is the limiter of `config` on `route`.
    pub(crate) fn is(&self, config: &RateLimitConfig, route: &str) -> bool {
        self.config == *config
            && match self.buckets {
                Buckets::One(_) => *self.route == *route,
                Buckets::Many(_) => true,
            }
    }

    /// What has a bucket of its own.
    pub fn by(&self) -> RateLimitBy {
        self.config.by
    }

    /// As metrics write a refusal.
    pub fn reason(&self) -> &'static str {
        match self.config.by {
            RateLimitBy::Principal => "rate-principal",
            RateLimitBy::Address => "rate-address",
            RateLimitBy::Route => "rate-route",
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Takes a request out of the bucket of `key`: of the shared one where there is one and it
    /// can be reached, else of this process's.
    pub async fn take(&self, key: Key<'_>, now: Instant) -> Decision {
        if let Some(shared) = &self.shared
            && let Some(decision) = shared.take(self, key).await
        {
            return decision;
        }
        match (&self.buckets, key) {
            (Buckets::One(bucket), _) => bucket.take(now),
            (Buckets::Many(keyed), Key::Principal(subject)) => keyed.take(subject, now),
            (Buckets::Many(keyed), Key::Address(address)) => keyed.take(site(address), now),
            (Buckets::Many(keyed), Key::Route) => keyed.take((), now),
        }
    }

    /// The key in the shared store. Principals and addresses are hashed there, see [`Shared`].
    #[cfg(feature = "redis")]
    pub(crate) fn shared_key(&self, key: Key<'_>) -> (String, String) {
        let bucket = match key {
            Key::Principal(subject) => subject.to_owned(),
            Key::Address(address) => site(address).to_string(),
            Key::Route => self.route.to_string(),
        };
        (self.config.name.clone(), bucket)
    }

    #[cfg(feature = "redis")]
    pub(crate) fn rate(&self) -> Rate {
        self.rate
    }

    /// What the caller is told of its bucket.
    pub fn quota(&self, decision: Decision) -> Quota {
        Quota {
            name: self.config.name.as_str().into(),
            rate: self.rate,
            decision,
        }
    }
}

/// The limit in the table of routes: `login by address 10/60s burst 10`.
impl fmt::Display for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RateLimitConfig { name, by, .. } = &self.config;
        let Rate {
            requests,
            per,
            burst,
        } = self.rate;
        write!(
            f,
            "{name} by {} {requests}/{per:?} burst {burst}",
            by.as_str()
        )?;
        match self.shared {
            Some(_) => f.write_str(" shared"),
            None => Ok(()),
        }
    }
}

/// One client of IPv6 has a whole network of 64 bits and could come from a new address each time.
fn site(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

/// What a caller is told of a limit: draft-ietf-httpapi-ratelimit-headers-11.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    name: Box<str>,
    rate: Rate,
    decision: Decision,
}

impl Quota {
    /// The value of `RateLimit-Policy`: `"login";q=10;w=60`.
    pub fn policy(&self) -> String {
        let Rate { requests, per, .. } = self.rate;
        format!("\"{}\";q={requests};w={}", self.name, seconds(per))
    }

    /// The value of `RateLimit`: `"login";r=3;t=42`.
    pub fn state(&self) -> String {
        let Decision {
            remaining, reset, ..
        } = self.decision;
        format!("\"{}\";r={remaining};t={}", self.name, seconds(reset))
    }

    /// Whether this leaves its caller less than another.
    pub fn is_tighter(&self, other: &Self) -> bool {
        (
            self.decision.remaining,
            std::cmp::Reverse(self.decision.reset),
        ) < (
            other.decision.remaining,
            std::cmp::Reverse(other.decision.reset),
        )
    }

    /// The refusal, if the request may not come.
    pub fn refusal(&self) -> Option<Error> {
        let after = self.decision.retry_after;
        (!self.decision.allowed).then(|| catalogue::RATE_LIMITED.error().retry_after(after))
    }
}

/// Whole seconds, rounded up: a client that comes too early comes twice.
fn seconds(time: std::time::Duration) -> u128 {
    time.as_millis().div_ceil(1000)
}
