//! The gateway itself: what every request passes, whatever is behind its route.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
};

use axum::Router;
use http_body::Body as _;
use serde_json::Value;
use tenon_core::{
    Error, Live, Result, TraceContext, catalogue,
    config::{ConfigError, GatewayConfig},
    panics,
};
use tenon_rest::{ByMethod, Journal, Request, Response, deadline, problem, trace};
use tenon_telemetry::Metrics;
use tower::Service;

use crate::{
    Guard, SERVICE,
    forward::{self, Forward, HttpClient, headers},
    table::{Place, Table},
};

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
    client: HttpClient,
    metrics: Option<Metrics>,
    /// What has no route.
    nowhere: Option<ByMethod>,
}

/// A table of routes that was checked and waits to be used; see [`Gateway::prepare`].
pub struct Prepared {
    gateway: Gateway,
    table: Table,
}

impl Prepared {
    /// Uses the table from now on. Requests in flight end on the one before.
    pub fn apply(self) {
        let Self { gateway, table } = self;
        gateway.inner.table.store(table);
    }
}

impl Gateway {
    /// A gateway with this table of routes. Nothing is connected before the first request.
    ///
    /// # Errors
    /// The configuration is not sound: an upstream without `http` and `grpc` or with both, a
    /// prefix that is no path or stands twice, an endpoint that is no `host:port`, a rule for
    /// a header that is none or is the gateway's own.
    pub fn new(config: &GatewayConfig, metrics: Option<&Metrics>) -> Result<Self, ConfigError> {
        let client = HttpClient::new();
        let table = Table::new(config, &client, metrics, None)?;
        Ok(Self {
            inner: Arc::new(Inner {
                table: Live::new(table),
                client,
                metrics: metrics.cloned(),
                nowhere: metrics.map(|metrics| ByMethod::new(metrics, SERVICE, "")),
            }),
            guard: None,
        })
    }

    /// Asks this guard before anything is passed on.
    #[must_use]
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guard = Some(guard);
        self
    }

    /// Builds and checks another table of routes, without using it yet.
    ///
    /// # Errors
    /// As [`Gateway::new`]; the table in use stays.
    pub fn prepare(&self, config: &GatewayConfig) -> Result<Prepared, ConfigError> {
        let Inner {
            table,
            client,
            metrics,
            ..
        } = &*self.inner;
        let table = Table::new(config, client, metrics.as_ref(), Some(&table.load()))?;
        Ok(Prepared {
            gateway: self.clone(),
            table,
        })
    }

    /// Uses another table of routes from now on: connections stay, and requests in flight end on
    /// the table before.
    ///
    /// # Errors
    /// As [`Gateway::new`]; the table in use stays.
    pub fn reload(&self, config: &GatewayConfig) -> Result<(), ConfigError> {
        self.prepare(config).map(Prepared::apply)
    }

    /// The routes as they are now, with their layers and settings.
    pub fn routes(&self) -> Vec<Value> {
        self.inner.table.load().rows()
    }

    /// A router of the gateway alone.
    pub fn router(&self) -> Router {
        Router::new().fallback_service(self.clone())
    }

    async fn serve(self, request: Request) -> Response {
        let trace = trace::incoming(request.headers());
        let language = problem::language(request.headers());
        let method = request.method().clone();
        // Held to the end of the exchange: a table that is replaced meanwhile stays for it.
        let table = self.inner.table.load();
        let place = table.place(&method, request.uri().path());
        let (template, metrics) = match &place {
            Place::Forward(forward) => (forward.template.as_str(), &forward.metrics),
            Place::NotAllowed(_) | Place::Nowhere => ("", &self.inner.nowhere),
        };
        let metrics = metrics.as_ref().map(|metrics| metrics.of(&method));
        let journal = Journal::open(SERVICE, template, method, trace, metrics);
        let has_body = !request.body().is_end_stream();
        let work = panics::contain(self.answer(place, request, trace));
        let outcome = work
            .await
            .unwrap_or_else(|panicked| Err(Error::internal("end the request", panicked)));
        let mut response = outcome.unwrap_or_else(|error| {
            let mut response = problem::response(error, language, &trace);
            if has_body {
                // Nobody may have read it to its end.
                headers::close(response.headers_mut());
            }
            response
        });
        problem::harden(response.headers_mut());
        trace::mark(response.headers_mut(), &trace);
        journal.close(&response);
        response
    }

    async fn answer(
        &self,
        place: Place<'_>,
        request: Request,
        trace: TraceContext,
    ) -> Result<Response> {
        match place {
            Place::Forward(forward) => {
                self.admit(&request)?;
                send(forward, request, trace).await
            }
            Place::NotAllowed(methods) => {
                let language = problem::language(request.headers());
                let error = catalogue::METHOD_NOT_ALLOWED.error();
                let mut response = problem::response(error, language, &trace);
                if let Some((name, value)) = forward::allow(&methods) {
                    response.headers_mut().insert(name, value);
                }
                if !request.body().is_end_stream() {
                    headers::close(response.headers_mut());
                }
                Ok(response)
            }
            Place::Nowhere => Err(catalogue::ROUTE_NOT_FOUND.error()),
        }
    }

    fn admit(&self, request: &Request) -> Result<()> {
        match &self.guard {
            Some(guard) => guard.admit(request),
            None => Ok(()),
        }
    }
}

async fn send(forward: &Forward, request: Request, trace: TraceContext) -> Result<Response> {
    let patience = deadline::patience(request.headers(), forward.timeout);
    if patience.is_zero() {
        return Err(catalogue::DEADLINE_EXCEEDED.error());
    }
    forward.send(request, &trace, patience).await
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
