//! The admin server: `/healthz`, `/readyz` and `/metrics` for probes and scrapers, which may come
//! from anywhere; `/routes`, `/clients`, `/config`, `/log-level` and `/debug/pprof/` for operators on
//! the machine or with a password.
//!
//! It stands on an address of its own and never beside the routes of a service.

mod guard;
mod level;
mod profiles;
mod ready;

use std::{future::Future, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use http::{StatusCode, header};
use serde_json::Value;
use tenon_core::{
    Lifecycle, Reload, Result,
    config::{AdminConfig, ConfigError},
};
use tenon_profile::Profiler;

use self::{guard::Guard, ready::Readiness};
use crate::metrics::{self, Metrics};

const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// The admin server of a process, to be put together and then served by `tenon-net`, whose peer
/// address it trusts alone.
///
/// ```
/// use tenon_core::{Lifecycle, config::AdminConfig};
/// use tenon_telemetry::{Admin, Metrics};
///
/// let router = Admin::new(AdminConfig::default(), Metrics::new(), Lifecycle::new())
///     .routes(serde_json::json!([{"method": "GET", "path": "/api/v1/patient/:patientId"}]))
///     .probe("store", || async { Ok(()) })
///     .router();
/// assert!(router.is_ok());
/// ```
pub struct Admin {
    config: AdminConfig,
    metrics: Metrics,
    readiness: Readiness,
    life: Lifecycle,
    routes: Value,
    reload: Reload,
    changing: Vec<Changing>,
    clients: Vec<Changing>,
}

impl Admin {
    /// The admin server of a process that shows these metrics and lives this life.
    pub fn new(config: AdminConfig, metrics: Metrics, life: Lifecycle) -> Self {
        Self {
            config,
            metrics,
            readiness: Readiness::new(life.clone()),
            life,
            routes: Value::Array(Vec::new()),
            reload: Reload::new(),
            changing: Vec::new(),
            clients: Vec::new(),
        }
    }

    /// What `/config` shows.
    #[must_use]
    pub fn reload(mut self, reload: &Reload) -> Self {
        self.reload = reload.clone();
        self
    }

    /// What `/routes` shows.
    #[must_use]
    pub fn routes(mut self, routes: Value) -> Self {
        self.routes = routes;
        self
    }

    /// Routes that change while the process runs: asked anew each time that `/routes` is.
    #[must_use]
    pub fn changing_routes(
        mut self,
        routes: impl Fn() -> Vec<Value> + Send + Sync + 'static,
    ) -> Self {
        self.changing.push(Box::new(routes));
        self
    }

    /// What `/clients` shows besides: asked anew each time.
    #[must_use]
    pub fn clients(mut self, clients: impl Fn() -> Vec<Value> + Send + Sync + 'static) -> Self {
        self.clients.push(Box::new(clients));
        self
    }

    /// Adds a condition of readiness: `/readyz` answers 503 while `check` fails, panics, or takes
    /// longer than two seconds. Of an error, its catalogue code is shown and nothing else.
    #[must_use]
    pub fn probe<F, P>(mut self, name: impl Into<String>, check: F) -> Self
    where
        F: Fn() -> P + Send + Sync + 'static,
        P: Future<Output = Result<()>> + Send + 'static,
    {
        self.readiness.add(name.into(), check);
        self
    }

    /// The routes to serve.
    ///
    /// # Errors
    /// `admin.auth` holds an empty password or token, or a user name with a colon; or
    /// `admin.profiling` asks for what the program cannot do.
    pub fn router(self) -> Result<Router, ConfigError> {
        let shown = Arc::new(Shown {
            guard: Guard::new(self.config.auth)?,
            metrics: self.metrics,
            readiness: self.readiness,
            profiler: Profiler::new(self.config.profiling)?,
            life: self.life,
            routes: self.routes,
            changing: self.changing,
            clients: self.clients,
            reload: self.reload,
        });
        Ok(Router::new()
            .route("/", get(index))
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics_text))
            .route("/routes", get(routes))
            .route("/clients", get(clients))
            .route("/config", get(config))
            .route("/log-level", get(level::show).put(level::change))
            .route("/debug/pprof", get(profiles::to_index))
            .route(profiles::PREFIX, any(profiles::answer))
            .route("/debug/pprof/{name}", any(profiles::answer))
            .fallback(|| async { page(StatusCode::NOT_FOUND, TEXT, "no such page; see /\n") })
            .with_state(shown))
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Tells routes that change, or clients.
type Changing = Box<dyn Fn() -> Vec<Value> + Send + Sync>;

struct Shown {
    guard: Guard,
    metrics: Metrics,
    readiness: Readiness,
    profiler: Profiler,
    life: Lifecycle,
    routes: Value,
    changing: Vec<Changing>,
    clients: Vec<Changing>,
    reload: Reload,
}

impl Shown {
    /// Lets loopback peers and whoever shows the credential see `page`.
    fn guarded(&self, req: &Request, page: impl FnOnce() -> Response) -> Response {
        match self.guard.admit(req) {
            Ok(()) => page(),
            Err(refused) => refused.answer(),
        }
    }

    /// The table of routes as it is now.
    fn all_routes(&self) -> String {
        let mut rows = match &self.routes {
            Value::Array(rows) => rows.clone(),
            Value::Null => Vec::new(),
            other => vec![other.clone()],
        };
        rows.extend(self.changing.iter().flat_map(|routes| routes()));
        format!("{:#}\n", Value::Array(rows))
    }

    /// The services that this process calls, as they are now.
    fn all_clients(&self) -> String {
        let rows = self.clients.iter().flat_map(|clients| clients());
        format!("{:#}\n", Value::Array(rows.collect()))
    }
}

async fn index() -> Response {
    const INDEX: &str = concat!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>admin</title>\n",
        "<h1>admin</h1>\n<ul>\n",
        "<li><a href=\"/healthz\">/healthz</a> the process is alive\n",
        "<li><a href=\"/readyz\">/readyz</a> it may be sent requests\n",
        "<li><a href=\"/metrics\">/metrics</a> OpenMetrics text\n",
        "<li><a href=\"/routes\">/routes</a> the route table, for loopback peers or with ",
        "<code>admin.auth</code>, as all that follows\n",
        "<li><a href=\"/clients\">/clients</a> the services that are called, and their instances\n",
        "<li><a href=\"/config\">/config</a> what the configuration file put in force\n",
        "<li><a href=\"/log-level\">/log-level</a> changed with PUT\n",
        "<li><a href=\"/debug/pprof/\">/debug/pprof/</a> profiles\n</ul>\n</html>\n",
    );
    page(StatusCode::OK, HTML, INDEX)
}

/// Says only that the process is alive: a dependency that is down is no reason to be restarted.
async fn healthz() -> Response {
    page(StatusCode::OK, TEXT, "alive\n")
}

async fn readyz(State(shown): State<Arc<Shown>>) -> Response {
    let report = shown.readiness.report().await;
    let status = if report.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    page(status, JSON, report.to_json())
}

async fn metrics_text(State(shown): State<Arc<Shown>>) -> Response {
    let text = shown.metrics.encode();
    page(StatusCode::OK, metrics::CONTENT_TYPE, text)
}

async fn routes(State(shown): State<Arc<Shown>>, req: Request) -> Response {
    shown.guarded(&req, || page(StatusCode::OK, JSON, shown.all_routes()))
}

async fn clients(State(shown): State<Arc<Shown>>, req: Request) -> Response {
    shown.guarded(&req, || page(StatusCode::OK, JSON, shown.all_clients()))
}

async fn config(State(shown): State<Arc<Shown>>, req: Request) -> Response {
    let report = || format!("{:#}\n", shown.reload.report());
    shown.guarded(&req, || page(StatusCode::OK, JSON, report()))
}

fn page(status: StatusCode, kind: &'static str, body: impl IntoResponse) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
    ];
    (status, headers, body).into_response()
}
