//! Metrics: counted without looking anything up, read as OpenMetrics text.
//!
//! A door asks once at its start for the handles of each of its routes or methods; a request then
//! costs a few atomic steps and one uncontended lock. Names follow the semantic conventions of
//! OpenTelemetry in the spelling of Prometheus.

mod client;
mod discovery;
mod http;
mod own;
mod process;
mod readings;
mod resilience;
mod rpc;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    encoding::text,
    metrics::{family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

use self::{
    client::Clients,
    http::{HttpLabels, RouteLabels},
    process::Process,
    readings::Readings,
    resilience::Resilience,
    rpc::{CallLabels, MethodLabels},
};
pub use self::{
    client::{RpcClient, RpcClientMethod},
    discovery::{RegistrationMetric, SourceMetric},
    http::HttpRoute,
    readings::Figure,
    resilience::{GuardLabels, Guarded, REFUSALS},
    rpc::{RpcMethod, Side},
};

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds in seconds: those that OpenTelemetry recommends for durations of calls, and finer
/// ones below, because a call inside a process takes microseconds.
const SECONDS: [f64; 17] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0,
    7.5, 10.0,
];

/// All metrics of a process. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Mutex<Registry>,
    http: Family<HttpLabels, Histogram, fn() -> Histogram>,
    http_active: Family<RouteLabels, Gauge>,
    server: Family<CallLabels, Histogram, fn() -> Histogram>,
    server_active: Family<MethodLabels, Gauge>,
    client: Family<CallLabels, Histogram, fn() -> Histogram>,
    client_active: Family<MethodLabels, Gauge>,
    resilience: Resilience,
    clients: Clients,
    discovery: discovery::Discovery,
    readings: Readings,
}

impl Metrics {
    /// The metrics of this process: those of the process itself and of the build, and none of
    /// routes and methods yet.
    pub fn new() -> Self {
        let durations: fn() -> Histogram = durations;
        let inner = Inner {
            registry: Mutex::new(Registry::default()),
            http: Family::new_with_constructor(durations),
            http_active: Family::default(),
            server: Family::new_with_constructor(durations),
            server_active: Family::default(),
            client: Family::new_with_constructor(durations),
            client_active: Family::default(),
            resilience: Resilience::default(),
            clients: Clients::default(),
            discovery: discovery::Discovery::default(),
            readings: Readings::default(),
        };
        let metrics = Self {
            inner: Arc::new(inner),
        };
        metrics.register(|registry| metrics.inner.register(registry));
        metrics.observe_log();
        metrics
    }

    /// The handles of a route, for its door to keep. `route` is the template, never a path.
    pub fn http_route(&self, service: &str, method: &str, route: &str) -> HttpRoute {
        let labels = RouteLabels {
            service: service.to_owned(),
            http_request_method: method.to_owned(),
            http_route: route.to_owned(),
        };
        HttpRoute::new(&self.inner.http, &self.inner.http_active, labels)
    }

    /// The handles of a method of an RPC service, for its server or client to keep.
    pub fn rpc_method(&self, side: Side, service: &str, method: &str) -> RpcMethod {
        let labels = MethodLabels {
            rpc_service: service.to_owned(),
            rpc_method: method.to_owned(),
        };
        match side {
            Side::Server => RpcMethod::new(&self.inner.server, &self.inner.server_active, labels),
            Side::Client => RpcMethod::new(&self.inner.client, &self.inner.client_active, labels),
        }
    }

    /// The handles of what guards a route, for its door to keep.
    pub fn guarded(&self, labels: &GuardLabels) -> Guarded {
        self.inner.resilience.guarded(labels)
    }

    /// Shows how shut the breaker of a route is: `ratio` answers the share that it refuses, 0 to
    /// 1, and is asked when the metrics are read. A later one of the same route replaces it.
    pub fn watch_breaker(
        &self,
        labels: GuardLabels,
        ratio: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.inner.resilience.watch(|breakers| {
            breakers.retain(|(known, _)| *known != labels);
            breakers.push((labels, Box::new(ratio)));
        });
    }

    /// Forgets the breakers of `service` whose routes are gone: of a table that changed, those stay
    /// that it still has.
    pub fn keep_breakers(&self, service: &str, has: impl Fn(&str) -> bool) {
        self.inner.resilience.watch(|breakers| {
            breakers.retain(|(known, _)| known.service != service || has(&known.route));
        });
    }

    /// Shows the share of the CPU in use that shedding goes by, 0 to 1. The first one stays: all
    /// doors of a process see the same.
    pub fn watch_cpu(&self, ratio: impl Fn() -> f64 + Send + Sync + 'static) {
        self.inner.resilience.watch_cpu(Box::new(ratio));
    }

    /// Shows whether the store answers in which a service shares its rate limits.
    pub fn watch_shared_limits(
        &self,
        service: &str,
        up: impl Fn() -> bool + Send + Sync + 'static,
    ) {
        let read = move || f64::from(u8::from(up()));
        self.inner.resilience.watch_shared(service, Box::new(read));
    }

    /// The handles of a client of a service, for it to keep. `name` is that of the section
    /// `clients`.
    pub fn rpc_client(&self, name: &str) -> RpcClient {
        self.inner.clients.client(name)
    }

    /// The handles of the source that tells where the service `client` is.
    pub fn source(&self, client: &str, source: &'static str) -> SourceMetric {
        self.inner.discovery.source(client, source)
    }

    /// Shows a source no longer: its client is gone, or finds the instances elsewhere.
    pub fn forget_source(&self, client: &str, source: &'static str) {
        self.inner.discovery.forget(client, source);
    }

    /// The handle of the registration of the service `service`.
    pub fn registration(&self, service: &str) -> RegistrationMetric {
        self.inner.discovery.registration(service)
    }

    /// Registers metrics of another room: a pool, a queue, a store. Keep clones of what you
    /// register; each name can be registered once.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        let mut registry = self
            .inner
            .registry
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        add(&mut registry);
    }

    /// Shows a figure that another room keeps, read whenever somebody asks for the metrics. `name`
    /// comes with its help text; labels come from closed sets. A series of the same name and labels
    /// takes the place of the earlier one. `read` must not wait.
    ///
    /// ```
    /// use tenon_telemetry::{Figure, Metrics};
    ///
    /// let metrics = Metrics::new();
    /// let name = ("store_write_queue_length", "Writes that wait");
    /// metrics.read(Figure::Gauge, name, &[("store", "patient")], || 3.0);
    /// assert!(metrics.encode().contains("store_write_queue_length{store=\"patient\"} 3"));
    /// ```
    pub fn read(
        &self,
        kind: Figure,
        name: (&'static str, &'static str),
        labels: &[(&'static str, &str)],
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        let owned = |(name, value): &(&'static str, &str)| (*name, (*value).to_owned());
        let labels = labels.iter().map(owned).collect();
        self.inner.readings.add(kind, name, labels, Box::new(read));
    }

    /// Everything as OpenMetrics text, of the media type [`CONTENT_TYPE`].
    pub fn encode(&self) -> String {
        let registry = self
            .inner
            .registry
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut written = String::new();
        if let Err(error) = text::encode(&mut written, &registry) {
            // Writing to a string cannot fail; a collector of another room may.
            tracing::error!(%error, "a metric could not be written");
        }
        written
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Inner {
    fn register(&self, registry: &mut Registry) {
        let build = Info::new([
            ("version", env!("CARGO_PKG_VERSION")),
            ("os", std::env::consts::OS),
            ("arch", std::env::consts::ARCH),
        ]);
        registry.register(
            "tenon_build",
            "The toolkit that this process was built with",
            build,
        );
        registry.register_collector(Box::new(Process::new()));
        self.resilience.register(registry);
        self.discovery.register(registry);
        registry.register_collector(Box::new(self.readings.clone()));
        registry.register_with_unit(
            "http_server_request_duration",
            "How long requests took, by route and status",
            Unit::Seconds,
            self.http.clone(),
        );
        registry.register(
            "http_server_active_requests",
            "Requests in flight, by route",
            self.http_active.clone(),
        );
        registry.register_with_unit(
            "rpc_server_call_duration",
            "How long calls took that this process answered, by method and gRPC status code",
            Unit::Seconds,
            self.server.clone(),
        );
        registry.register(
            "rpc_server_active_calls",
            "Calls in flight that this process answers, by method",
            self.server_active.clone(),
        );
        registry.register_with_unit(
            "rpc_client_call_duration",
            "How long calls took that this process made, by method and gRPC status code",
            Unit::Seconds,
            self.client.clone(),
        );
        registry.register(
            "rpc_client_active_calls",
            "Calls in flight that this process made, by method",
            self.client_active.clone(),
        );
        self.clients.register(registry);
    }
}

/// Counts a request or call as in flight until it is dropped: by an answer, an error, a panic or
/// a caller who left.
#[must_use = "dropping the guard ends the request's being in flight"]
#[derive(Debug)]
pub struct InFlight {
    gauge: Gauge,
}

impl InFlight {
    fn start(gauge: &Gauge) -> Self {
        gauge.inc();
        Self {
            gauge: gauge.clone(),
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

fn durations() -> Histogram {
    Histogram::new(SECONDS)
}
