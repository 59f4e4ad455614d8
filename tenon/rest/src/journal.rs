//! What is written of each request: one line in the access log, one count in the metrics, a span
//! where the trace is recorded, and for failures of the service one error line with its causes.
//! Never a raw path, query, body or token.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::Method;
use tenon_core::{
    Principal, TraceContext,
    span::{self, Kind, Span},
};
use tenon_telemetry::{HttpRoute, InFlight, Metrics};
use tokio::time::Instant;

use crate::{Response, problem::Failure};

/// The status of a request whose caller left before the answer, as nginx writes it.
const CALLER_LEFT: u16 = 499;

/// The methods that logs and metrics tell apart, and what OpenTelemetry calls the others.
const METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", OTHER,
];
const OTHER: &str = "_OTHER";

/// The record of one request. Dropped without an answer, it says that the caller left.
pub struct Journal<'a> {
    service: &'a str,
    route: &'a str,
    method: Method,
    trace: TraceContext,
    metrics: Option<(&'a HttpRoute, InFlight)>,
    started: Instant,
    /// The verified caller, once known.
    pub caller: Option<Arc<Principal>>,
    open: bool,
}

impl<'a> Journal<'a> {
    /// A request came in; its time runs from here. `route` is a template, never a path.
    pub fn open(
        service: &'a str,
        route: &'a str,
        method: Method,
        trace: TraceContext,
        metrics: Option<&'a HttpRoute>,
    ) -> Self {
        Self {
            service,
            route,
            method,
            trace,
            metrics: metrics.map(|metrics| (metrics, metrics.start())),
            started: Instant::now(),
            caller: None,
            open: true,
        }
    }

    /// The request was answered. A response made by [`crate::problem::response`] carries the
    /// error that is logged with it.
    pub fn close(mut self, response: &Response) {
        self.open = false;
        let status = response.status().as_u16();
        let mut code = None;
        if let Some(Failure(error)) = response.extensions().get::<Failure>()
            && status >= 500
            && !error.is_refusal()
        {
            code = Some(error.code());
            tracing::error!(
                service = self.service,
                method = method_name(&self.method),
                route = self.route,
                code = error.code(),
                status,
                cause = error.cause_chain(),
                trace_id = self.trace.trace_id(),
                "the request failed"
            );
        }
        self.write(status, code);
    }

    fn write(&self, status: u16, failure: Option<&str>) {
        let elapsed = self.started.elapsed();
        if let Some((metrics, _)) = &self.metrics {
            metrics.record(status, elapsed);
        }
        tracing::info!(
            target: "access",
            service = self.service,
            method = method_name(&self.method),
            route = self.route,
            status,
            duration_ms = milliseconds(elapsed),
            trace_id = self.trace.trace_id(),
            caller = self.caller.as_ref().map(|caller| caller.subject()),
        );
        span::record(&self.trace, || self.span(status, failure, elapsed));
    }

    /// Named by OpenTelemetry's conventions for HTTP servers: only what is the service's own fault
    /// is an error.
    fn span(&self, status: u16, failure: Option<&str>, elapsed: Duration) -> Span {
        let method = method_name(&self.method);
        let failed =
            (status >= 500).then(|| failure.map_or_else(|| status.to_string(), str::to_owned));
        Span {
            trace: self.trace,
            kind: Kind::Server,
            service: Some(self.service.to_owned()),
            name: format!("{method} {}", self.route).into(),
            ended: SystemTime::now(),
            elapsed,
            failure: failed,
            attributes: vec![
                ("http.request.method", method.into()),
                ("http.route", self.route.to_owned().into()),
                ("http.response.status_code", status.into()),
            ],
        }
    }
}

impl Drop for Journal<'_> {
    fn drop(&mut self) {
        if self.open {
            self.write(CALLER_LEFT, None);
        }
    }
}

/// The handles of one route template for each method, where a template stands for all of them.
#[derive(Debug)]
pub struct ByMethod([(&'static str, HttpRoute); METHODS.len()]);

impl ByMethod {
    /// The handles of `route`, a template and never a path.
    pub fn new(metrics: &Metrics, service: &str, route: &str) -> Self {
        Self(METHODS.map(|method| (method, metrics.http_route(service, method, route))))
    }

    /// The handles of a method; those that callers invent share one.
    pub fn of(&self, method: &Method) -> &HttpRoute {
        let name = method_name(method);
        let [.., (_, other)] = &self.0;
        let own = self.0.iter().find(|(known, _)| *known == name);
        own.map_or(other, |(_, route)| route)
    }
}

/// To the microsecond: more digits are noise.
fn milliseconds(elapsed: Duration) -> f64 {
    elapsed.as_micros() as f64 / 1000.0
}

/// A method of our contracts, or what OpenTelemetry calls the others: callers may invent methods,
/// and a log must not repeat what they invent.
fn method_name(method: &Method) -> &'static str {
    let known = METHODS.into_iter().find(|known| *known == method.as_str());
    known.unwrap_or(OTHER)
}
