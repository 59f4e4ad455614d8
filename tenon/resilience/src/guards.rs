//! What guards a whole door: the gates of its routes and its rate limits, built from the
//! configuration and changed by it while the door is open.

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tenon_core::{
    Live,
    config::{ConfigError, FailureCode, Guards, RateLimitConfig},
};

use crate::{Gate, Limiter, Network, Place, Shedder, address, gate::Controls, shared::Shared};

/// The guards of one door. Cheap to clone: clones are one.
#[derive(Debug, Clone)]
pub struct DoorGuards {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The section, for messages: `patient: rest`.
    section: String,
    places: Vec<Place>,
    gates: Vec<Arc<Gate>>,
    controls: Controls,
    limits: Live<Limits>,
    shared: Option<Arc<Shared>>,
    config: Mutex<Guards>,
}

/// The rate limits of each route, and whom they believe about addresses.
#[derive(Debug, Default)]
struct Limits {
    of: Vec<Arc<[Arc<Limiter>]>>,
    all: Vec<Arc<Limiter>>,
    trusted: Vec<Network>,
}

impl DoorGuards {
    /// The guards of the door of `section` with these routes.
    ///
    /// # Errors
    /// A rate limit names no route of the door, two have one name, a proxy is no network, sizes do
    /// not fit each other, or requests are to be counted in a store that is not there.
    pub fn new(section: &str, config: &Guards, places: Vec<Place>) -> Result<Self, ConfigError> {
        let controls = Controls::new(Shedder::new());
        let shared = match &config.shared_limits {
            Some(shared) => Some(Arc::new(Shared::new(section, shared)?)),
            None => None,
        };
        let gates = places
            .iter()
            .map(|place| Arc::new(Gate::new(controls.clone(), place)))
            .collect();
        let limits = Limits::new(section, config, &places, shared.as_ref(), &[])?;
        let guards = Self {
            inner: Arc::new(Inner {
                section: section.to_owned(),
                places,
                gates,
                controls,
                limits: Live::new(limits),
                shared,
                config: Mutex::new(config.clone()),
            }),
        };
        guards.inner.control(config);
        Ok(guards)
    }

    /// The gate of a route, by its place in the list.
    pub fn gate(&self, route: usize) -> Option<Arc<Gate>> {
        self.inner.gates.get(route).cloned()
    }

    /// The rate limits that hold for a route now. Most routes have none, which is told without
    /// counting a reference.
    pub fn limits(&self, route: usize) -> Option<Arc<[Arc<Limiter>]>> {
        self.inner.limits.with(|limits| {
            let limits = limits.of.get(route)?;
            (!limits.is_empty()).then(|| limits.clone())
        })
    }

    /// The address of the client of a request, see [`address::client`].
    pub fn client<'a>(
        &self,
        peer: IpAddr,
        forwarded: impl DoubleEndedIterator<Item = &'a str>,
    ) -> IpAddr {
        self.inner
            .limits
            .with(|limits| address::client(peer, &limits.trusted, forwarded))
    }

    /// Whether the shared store of rate limits answers; `None` without one.
    pub fn shared_is_up(&self) -> Option<bool> {
        self.inner.shared.as_ref().map(|shared| shared.is_up())
    }

    /// The settings that hold now, for the table of routes.
    pub fn config(&self) -> Guards {
        let config = self.inner.config.lock();
        config.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a new configuration in force, and tells what it changes. Buckets of rate limits that
    /// stay as they are keep what is in them. Does nothing at all if any of it is wrong.
    ///
    /// # Errors
    /// As [`DoorGuards::new`], and for `sharedLimits`, which needs a restart.
    pub fn apply(&self, new: &Guards) -> Result<Vec<Change>, ConfigError> {
        Ok(self.prepare(new)?.put_in_force())
    }

    /// Checks a new configuration without touching what is in force: the first half of
    /// [`DoorGuards::apply`], for who has several sections to check before any may change.
    ///
    /// # Errors
    /// As [`DoorGuards::apply`].
    pub fn prepare(&self, new: &Guards) -> Result<Prepared, ConfigError> {
        let inner = &*self.inner;
        let changes = changes(&inner.section, &self.config(), new)?;
        let old = inner.limits.load();
        let shared = inner.shared.as_ref();
        let limits = Limits::new(&inner.section, new, &inner.places, shared, &old.all)?;
        Ok(Prepared {
            guards: self.clone(),
            config: new.clone(),
            limits,
            changes,
        })
    }
}

impl DoorGuards {
    /// The guards of this door with other routes, as the table of a gateway has them once it
    /// changes: a route that stays as it is keeps its gate, a rate limit its buckets. What all
    /// routes share is as before until [`DoorGuards::put_in_force`].
    ///
    /// # Errors
    /// As [`DoorGuards::apply`].
    pub fn with_places(&self, new: &Guards, places: Vec<Place>) -> Result<Self, ConfigError> {
        let inner = &*self.inner;
        changes(&inner.section, &self.config(), new)?;
        let old = inner.limits.load();
        let shared = inner.shared.as_ref();
        let limits = Limits::new(&inner.section, new, &places, shared, &old.all)?;
        let gates = places.iter().map(|place| {
            let known = inner.places.iter().position(|known| known == place);
            let known = known.and_then(|index| inner.gates.get(index)).cloned();
            known.unwrap_or_else(|| Arc::new(Gate::new(inner.controls.clone(), place)))
        });
        Ok(Self {
            inner: Arc::new(Inner {
                section: inner.section.clone(),
                gates: gates.collect(),
                places,
                controls: inner.controls.clone(),
                limits: Live::new(limits),
                shared: inner.shared.clone(),
                config: Mutex::new(new.clone()),
            }),
        })
    }

    /// Lets what all routes share be as these guards have it.
    pub fn put_in_force(&self) {
        self.inner.control(&self.config());
    }
}

/// A checked configuration that is not in force yet.
#[derive(Debug)]
#[must_use = "nothing has changed yet"]
pub struct Prepared {
    guards: DoorGuards,
    config: Guards,
    limits: Limits,
    changes: Vec<Change>,
}

impl Prepared {
    /// Puts it in force, and tells what it changed.
    pub fn put_in_force(self) -> Vec<Change> {
        let inner = &*self.guards.inner;
        let mut config = inner.config.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.changes.is_empty() {
            inner.limits.store(self.limits);
            inner.control(&self.config);
            *config = self.config;
        }
        self.changes
    }
}

impl Inner {
    fn control(&self, config: &Guards) {
        let shedding = &config.shedding;
        self.controls
            .set_shedding(shedding.enabled, shedding.cpu_threshold);
        self.controls.set_breaker(config.breaker);
        let failures = config.failures.iter().copied();
        self.controls.set_failures(failures.collect());
        self.controls.set_places(config.max_in_flight);
        self.controls.set_sizes(&config.sizes);
    }
}

impl Limits {
    fn new(
        section: &str,
        config: &Guards,
        places: &[Place],
        shared: Option<&Arc<Shared>>,
        old: &[Arc<Limiter>],
    ) -> Result<Self, ConfigError> {
        let problem = |what: String| ConfigError::new(section, what);
        config.sizes.check().map_err(&problem)?;
        let mut limits = Self {
            of: Vec::new(),
            all: Vec::new(),
            trusted: Vec::new(),
        };
        for text in &config.trusted_proxies {
            let network = text.parse::<Network>();
            let network = network.map_err(|bad| problem(format!("trustedProxies: {bad}")))?;
            limits.trusted.push(network);
        }
        let mut of = vec![Vec::new(); places.len()];
        let mut names = std::collections::HashSet::new();
        for limit in &config.rate_limits {
            check(limit, shared.is_some()).map_err(&problem)?;
            if !names.insert(&limit.name) {
                let what = format!("two rateLimits are called {}; name each once", limit.name);
                return Err(problem(what));
            }
            let covered = covered(limit, places).map_err(&problem)?;
            for route in covered {
                let name = &places[route].name;
                // Callers and addresses have one bucket over all routes of a limit.
                let known = limits.all.iter().chain(old);
                let known = known.into_iter().find(|known| known.is(limit, name));
                let limiter = known
                    .cloned()
                    .unwrap_or_else(|| Arc::new(Limiter::new(limit, name, shared)));
                of[route].push(limiter.clone());
                limits.all.push(limiter);
            }
        }
        limits.of = of.into_iter().map(Arc::from).collect();
        Ok(limits)
    }
}

/// What is wrong with a limit by itself.
fn check(limit: &RateLimitConfig, store: bool) -> Result<(), String> {
    let RateLimitConfig { name, .. } = limit;
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(format!(
            "the name of a rate limit is lower-case letters, digits and hyphens, not `{name}`"
        ));
    }
    if limit.burst == Some(0) {
        let what = "a burst of zero would refuse every request; give at least 1";
        return Err(format!("rateLimits {name}: {what}"));
    }
    if limit.shared && !store {
        let what = "it is shared, but there is no sharedLimits; add that section";
        return Err(format!("rateLimits {name}: {what}"));
    }
    Ok(())
}

/// The routes that a limit holds for.
fn covered(limit: &RateLimitConfig, places: &[Place]) -> Result<Vec<usize>, String> {
    if limit.routes.is_empty() {
        return Ok((0..places.len()).collect());
    }
    let mut covered = Vec::new();
    for pattern in &limit.routes {
        let mut found = false;
        for (index, place) in places.iter().enumerate() {
            let fits = match pattern.strip_suffix('*') {
                Some(start) => place.name.starts_with(start),
                None => *place.name == **pattern,
            };
            found |= fits;
            if fits && !covered.contains(&index) {
                covered.push(index);
            }
        }
        if !found {
            let what = "no route of this door is called";
            let how = "write it as the table of routes does, `POST /api/v1/login`";
            return Err(format!(
                "rateLimits {}: {what} `{pattern}`; {how}",
                limit.name
            ));
        }
    }
    Ok(covered)
}

/// A setting that changed, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key, `shedding.cpuThreshold`.
    pub key: String,
    /// What it was.
    pub old: String,
    /// What it is.
    pub new: String,
}

fn changes(section: &str, old: &Guards, new: &Guards) -> Result<Vec<Change>, ConfigError> {
    let mut changes = Vec::new();
    let mut note = |key: String, old: &dyn fmt::Display, new: &dyn fmt::Display| {
        let (old, new) = (old.to_string(), new.to_string());
        if old != new {
            changes.push(Change { key, old, new });
        }
    };
    note("breaker".into(), &old.breaker, &new.breaker);
    let failures = |guards: &Guards| FailureCode::list(&guards.failures);
    note("failures".into(), &failures(old), &failures(new));
    let (was, is) = (&old.shedding, &new.shedding);
    note("shedding.enabled".into(), &was.enabled, &is.enabled);
    note(
        "shedding.cpuThreshold".into(),
        &was.cpu_threshold,
        &is.cpu_threshold,
    );
    note("maxInFlight".into(), &old.max_in_flight, &new.max_in_flight);
    let (was, is) = (&old.sizes, &new.sizes);
    note("maxBytes".into(), &was.body_bytes, &is.body_bytes);
    note("maxHeadBytes".into(), &was.head_bytes, &is.head_bytes);
    note("maxUriBytes".into(), &was.uri_bytes, &is.uri_bytes);
    note("maxJsonDepth".into(), &was.json_depth, &is.json_depth);
    let proxies = |guards: &Guards| guards.trusted_proxies.join(", ");
    note("trustedProxies".into(), &proxies(old), &proxies(new));
    let names = old.rate_limits.iter().chain(&new.rate_limits);
    let mut seen = Vec::new();
    for RateLimitConfig { name, .. } in names {
        if !seen.contains(&name) {
            seen.push(name);
            let of = |guards: &Guards| {
                let limit = guards.rate_limits.iter().find(|limit| limit.name == *name);
                limit.map_or("none".to_owned(), describe)
            };
            note(format!("rateLimits.{name}"), &of(old), &of(new));
        }
    }
    let place = |guards: &Guards| {
        use secrecy::ExposeSecret;
        let shared = guards.shared_limits.as_ref();
        shared.map(|shared| {
            (
                shared.redis.expose_secret().to_owned(),
                shared.prefix.clone(),
            )
        })
    };
    if place(old) != place(new) {
        let what = "sharedLimits changes with a restart only; the old ones stay in force";
        return Err(ConfigError::new(section, what));
    }
    Ok(changes)
}

fn describe(limit: &RateLimitConfig) -> String {
    let RateLimitConfig {
        by, requests, per, ..
    } = limit;
    let burst = limit.burst.unwrap_or(*requests);
    let routes = match limit.routes.as_slice() {
        [] => "all routes".to_owned(),
        routes => routes.join(", "),
    };
    let shared = if limit.shared { ", shared" } else { "" };
    format!(
        "{requests}/{per:?} by {}, burst {burst}, {routes}{shared}",
        by.as_str()
    )
}
