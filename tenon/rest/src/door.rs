//! The door of a service: its routes with everything around them, checked at start-up.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{Router, routing};
use serde::Serialize;
use tenon_auth::{AccessRules, Verifier};
use tenon_core::config::{ConfigError, RestConfig};
use tenon_profile::Label;
use tenon_resilience::{DoorGuards, Place};
use tenon_telemetry::Metrics;

use crate::{
    Layer, Method, Middleware, Route, Routes,
    guard::Guard,
    layers::{self, Around},
    onion::{Onion, RouteService},
    routes::Operation,
    with_counted_fallbacks, with_fallbacks,
};

/// The REST door of one service.
///
/// ```
/// use tenon_core::config::RestConfig;
/// use tenon_rest::{Door, Method, Route, Routes, with_fallbacks};
///
/// static PING: Route = Route::new(Method::Get, "/ping", "ping");
/// let routes = Routes::new(()).route(&PING, |_, _, _req: ()| async { Ok("pong") });
/// let door = Door::new("ping", RestConfig::default(), routes.build());
/// let router = with_fallbacks(door.router()?);
/// # Ok::<(), tenon_core::config::ConfigError>(())
/// ```
pub struct Door {
    service: Arc<str>,
    config: RestConfig,
    routes: Routes,
    verifier: Option<Arc<Verifier>>,
    rules: Option<Arc<dyn AccessRules>>,
    metrics: Option<Metrics>,
    layers: Vec<Middleware>,
    named: HashMap<String, Middleware>,
    /// Made once, by whoever needs them first: all routers of this door share their counts.
    guards: OnceLock<DoorGuards>,
}

impl Door {
    /// A door without tokens, rules, metrics and layers.
    pub fn new(service: impl Into<Arc<str>>, config: RestConfig, routes: Routes) -> Self {
        Self {
            service: service.into(),
            config,
            routes,
            verifier: None,
            rules: None,
            metrics: None,
            layers: Vec::new(),
            named: HashMap::new(),
            guards: OnceLock::new(),
        }
    }

    /// What verifies the tokens of callers.
    #[must_use]
    pub fn verifier(mut self, verifier: impl Into<Option<Arc<Verifier>>>) -> Self {
        self.verifier = verifier.into();
        self
    }

    /// What decides whether a caller has the permission of a route.
    #[must_use]
    pub fn rules(mut self, rules: Arc<dyn AccessRules>) -> Self {
        self.rules = Some(rules);
        self
    }

    /// Where requests are counted.
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// A layer on every route, inside the earlier ones.
    #[must_use]
    pub fn layer(mut self, layer: Middleware) -> Self {
        self.layers.push(layer);
        self
    }

    /// The middleware that routes name, `@server(middleware: Audit)`.
    #[must_use]
    pub fn middleware(mut self, name: impl Into<String>, middleware: Middleware) -> Self {
        self.named.insert(name.into(), middleware);
        self
    }

    /// The router, without fallbacks: routers of several services are merged first, and
    /// [`with_fallbacks`] is called once on the whole.
    ///
    /// # Errors
    /// A path that cannot be routed, two equal routes, a limit of zero, a token asked for without
    /// a verifier, a permission without rules, or middleware that is not there.
    pub fn router(&self) -> Result<Router, ConfigError> {
        let mut taken = HashSet::new();
        let mut router = Router::new();
        for (index, operation) in self.routes.operations.iter().enumerate() {
            self.claim(operation.route, &mut taken)?;
            let service = RouteService(Arc::new(self.onion(index, operation)?));
            let filter = filter(operation.route.method);
            let path = self.routed_path(operation.route)?;
            router = router.route(&path, routing::on_service(filter, service));
        }
        Ok(router)
    }

    /// The routes with everything that they ask for, as it is now.
    ///
    /// # Errors
    /// As [`Door::guards`].
    pub fn table(&self) -> Result<Vec<RouteRow>, ConfigError> {
        let guards = self.guards()?;
        let rows = self.routes.operations.iter().enumerate();
        Ok(rows
            .map(|(index, operation)| self.row(index, operation.route, &guards))
            .collect())
    }

    /// The limits, breakers and shedder of this door, to change them while it is open
    /// ([`DoorGuards::apply`]).
    ///
    /// # Errors
    /// The keys of the section that guard the door are not sound.
    pub fn guards(&self) -> Result<DoorGuards, ConfigError> {
        if let Some(guards) = self.guards.get() {
            return Ok(guards.clone());
        }
        let routes = self.routes.operations.iter().map(|it| it.route);
        let places = routes.map(|route| Place {
            name: layers::name(route).into(),
            criticality: route.criticality,
            // How long a stream lasts says nothing of the load.
            time: (!route.events).then(|| self.timeout(route)),
            places: route.max_in_flight,
        });
        let section = format!("{} rest", self.service);
        let guards = DoorGuards::new(&section, &self.config.guards(), places.collect())?;
        Ok(self.guards.get_or_init(|| guards).clone())
    }

    fn guard(&self, index: usize, route: &Route) -> Result<Guard, ConfigError> {
        let guards = self.guards()?;
        let names = (&*self.service, &*layers::name(route));
        let Some(guard) = Guard::new(guards, index, names, self.metrics.as_ref()) else {
            return Err(self.problem(route, "the door was changed after it was asked for guards"));
        };
        if let Some(metrics) = &self.metrics {
            guard.watch(metrics);
        }
        Ok(guard)
    }

    fn onion(&self, index: usize, operation: &Operation) -> Result<Onion, ConfigError> {
        let route = operation.route;
        let timeout = self.timeout(route);
        if timeout.is_zero() || self.max_bytes(route, self.config.max_bytes) == 0 {
            return Err(self.problem(
                route,
                "a timeout or body limit of zero would refuse every request; give a larger one",
            ));
        }
        if let Some(status) = route.status
            && !(200..400).contains(&status)
        {
            return Err(self.problem(route, "the status of a success must be from 200 to 399"));
        }
        let verifier = match (route.needs_token(), &self.verifier) {
            (false, _) => None,
            (true, Some(verifier)) => Some(verifier.clone()),
            (true, None) => {
                return Err(self.problem(route, "the route asks for a token, but the section auth has neither accessSecret nor keys"));
            }
        };
        let rules = match (route.rule(), &self.rules) {
            (None, _) => None,
            (Some(permission), Some(rules)) => Some((rules.clone(), permission)),
            (Some(_), None) => {
                return Err(self.problem(
                    route,
                    "the route asks for a permission, but the service has no access rules",
                ));
            }
        };
        let metrics = self
            .metrics
            .as_ref()
            .map(|metrics| metrics.http_route(&self.service, route.method.as_str(), route.path));
        let mut endpoint = operation.endpoint.clone();
        for layer in self.layers_of(route)?.into_iter().rev() {
            endpoint = layer.around(endpoint);
        }
        Ok(Onion {
            service: self.service.clone(),
            route,
            timeout,
            max_bytes: route.max_bytes,
            verifier,
            rules,
            metrics,
            guard: self.guard(index, route)?,
            label: Label::new(&format!("{} {}", route.method.as_str(), route.path)),
            endpoint,
        })
    }

    /// The service's own layers on a route, outermost first.
    fn layers_of(&self, route: &Route) -> Result<Vec<&Middleware>, ConfigError> {
        let mut layers: Vec<_> = self.layers.iter().collect();
        for name in route.middleware {
            let Some(middleware) = self.named.get(*name) else {
                let what = format!(
                    "the middleware {name} is not registered; add it with Door::middleware"
                );
                return Err(self.problem(route, &what));
            };
            layers.push(middleware);
        }
        Ok(layers)
    }

    fn row(&self, index: usize, route: &Route, guards: &DoorGuards) -> RouteRow {
        let limits = guards.limits(index).unwrap_or_default();
        let config = guards.config();
        let max_bytes = self.max_bytes(route, config.sizes.body_bytes);
        let own = self.layers.iter().map(|layer| layer.name);
        let own = own.chain(route.middleware.iter().copied());
        let own = own.map(Layer::plain);
        let toolkit = guards.gate(index).map(|gate| {
            let around = Around {
                route,
                config: &config,
                gate: &gate,
                limits: &limits,
                timeout: self.timeout(route),
                max_bytes,
            };
            around.layers()
        });
        RouteRow {
            service: self.service.to_string(),
            method: route.method.as_str(),
            path: route.path,
            handler: route.handler,
            group: route.group,
            token: route.needs_token(),
            permission: route.permission,
            timeout_ms: u64::try_from(self.timeout(route).as_millis()).unwrap_or(u64::MAX),
            max_bytes,
            strict: route.strict,
            criticality: route.criticality.as_str(),
            layers: toolkit.into_iter().flatten().chain(own).collect(),
        }
    }

    fn timeout(&self, route: &Route) -> Duration {
        route.timeout.unwrap_or(match route.events {
            true => self.config.stream_timeout,
            false => self.config.timeout,
        })
    }

    fn max_bytes(&self, route: &Route, of_door: u64) -> u64 {
        route.max_bytes.unwrap_or(of_door)
    }

    /// Notes that a route stands here, or refuses the second of two equal ones.
    fn claim(&self, route: &Route, taken: &mut HashSet<Stand>) -> Result<(), ConfigError> {
        if taken.insert((route.method, self.routed_path(route)?)) {
            return Ok(());
        }
        Err(self.problem(
            route,
            "another route has the same method and path; remove one of them",
        ))
    }

    /// The path as axum writes it. Parameters are called by their position, so that services may
    /// name the same place differently; operations read them by the contract's names.
    fn routed_path(&self, route: &Route) -> Result<String, ConfigError> {
        let unroutable = |what| Err(self.problem(route, what));
        let Some(rest) = route.path.strip_prefix('/') else {
            return unroutable("a path starts with a slash");
        };
        let mut path = String::with_capacity(route.path.len() + 8);
        for (position, segment) in rest.split('/').enumerate() {
            path.push('/');
            match segment.strip_prefix(':') {
                Some("") => return unroutable("a path parameter needs a name after its colon"),
                Some(_) => path.push_str(&format!("{{p{position}}}")),
                None if segment.contains(['{', '}', '*', ':', '?', '#']) => {
                    return unroutable("a segment of a path is plain text or `:name`");
                }
                None => path.push_str(segment),
            }
        }
        Ok(path)
    }

    fn problem(&self, route: &Route, what: &str) -> ConfigError {
        let method = route.method.as_str();
        let problem = format!("{method} {} ({}): {what}", route.path, route.handler);
        ConfigError::new(self.service.as_ref(), problem)
    }
}

/// A method and a path: where a route stands.
type Stand = (Method, String);

/// The doors of several services as one router with fallbacks, which count where a door does.
///
/// # Errors
/// As [`Door::router`], and for a route that two services have.
pub fn merge<'a>(doors: impl IntoIterator<Item = &'a Door>) -> Result<Router, ConfigError> {
    let mut taken = HashSet::new();
    let mut router = Router::new();
    let mut metrics = None;
    for door in doors {
        metrics = metrics.or(door.metrics.as_ref());
        for operation in &door.routes.operations {
            door.claim(operation.route, &mut taken)?;
        }
        router = router.merge(door.router()?);
    }
    Ok(match metrics {
        Some(metrics) => with_counted_fallbacks(router, metrics),
        None => with_fallbacks(router),
    })
}

/// One route as the admin server shows it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteRow {
    /// The service.
    pub service: String,
    /// The method.
    pub method: &'static str,
    /// The path as the contract writes it.
    pub path: &'static str,
    /// The operation.
    pub handler: &'static str,
    /// The group of the contract.
    pub group: &'static str,
    /// Whether a token is needed.
    pub token: bool,
    /// The permission that is asked for.
    pub permission: Option<&'static str>,
    /// How long a request may take, in milliseconds.
    pub timeout_ms: u64,
    /// The largest body, in bytes after decompression.
    pub max_bytes: u64,
    /// Whether JSON fields that the contract does not know are refused.
    pub strict: bool,
    /// `critical`, `normal` or `sheddable`.
    pub criticality: &'static str,
    /// The layers with their settings, outermost first.
    pub layers: Vec<Layer>,
}

fn filter(method: Method) -> routing::MethodFilter {
    match method {
        Method::Get => routing::MethodFilter::GET,
        Method::Head => routing::MethodFilter::HEAD,
        Method::Post => routing::MethodFilter::POST,
        Method::Put => routing::MethodFilter::PUT,
        Method::Patch => routing::MethodFilter::PATCH,
        Method::Delete => routing::MethodFilter::DELETE,
        Method::Options => routing::MethodFilter::OPTIONS,
    }
}
