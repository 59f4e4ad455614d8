//! The onion around each route, fused into one function: trace, access log, metrics, recover,
//! guards (see `guard`), body limit, token, rules, breaker, deadline; then the service's own layers
//! and the operation.
//!
//! The layers stand in the order of `layers`. They are one function and not a dozen services,
//! because each boxed layer costs as much as what it does.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use futures_util::FutureExt;
use http::{HeaderMap, header};
use http_body::Body as _;
use tenon_auth::{AccessRules, Verifier};
use tenon_core::{
    Context, Error, PeerIdentity, Result, TraceContext, context::CancelGuard, panics, trace::within,
};
use tenon_net::Readable;
use tenon_profile::{Label, handler, labelled};
use tenon_resilience::{Quota, breaker::Permit, shedder::Flight};
use tenon_telemetry::HttpRoute;
use tokio::time::Instant;
use tower::Service;

use crate::{
    Request, Response, Route,
    bind::depth,
    body, deadline,
    endpoint::Endpoint,
    events,
    guard::{self, Guard, Limits},
    journal::Journal,
    problem, stream, trace,
};

/// One route with everything that its requests pass, resolved at start-up.
pub(crate) struct Onion {
    pub(crate) service: Arc<str>,
    pub(crate) route: &'static Route,
    pub(crate) timeout: Duration,
    /// Its own limit of bodies; without one that of the door holds.
    pub(crate) max_bytes: Option<u64>,
    pub(crate) verifier: Option<Arc<Verifier>>,
    pub(crate) rules: Option<(Arc<dyn AccessRules>, &'static str)>,
    pub(crate) metrics: Option<HttpRoute>,
    pub(crate) label: Label,
    pub(crate) guard: Guard,
    pub(crate) endpoint: Arc<dyn Endpoint>,
}

impl Onion {
    async fn serve(self: Arc<Self>, request: Request) -> Response {
        let trace = trace::incoming(request.headers());
        let language = problem::language(request.headers());
        let (came, allowed) = (
            Instant::now(),
            deadline::patience(request.headers(), self.timeout),
        );
        let (cx, guard) = Context::incoming(trace, Some(came + allowed));
        let cx = trace::with_state(cx, request.headers());
        let mut visit = self.visit(&request, trace, came, allowed);
        let work = panics::contain(self.answer(cx, request, &mut visit));
        let outcome = within(&trace, work)
            .await
            .unwrap_or_else(|panicked| Err(Error::internal("end the request", panicked)));
        let mut response =
            outcome.unwrap_or_else(|error| problem::response(error, language, &trace));
        let headers = response.headers_mut();
        problem::harden(headers);
        trace::mark(headers, &trace);
        guard::tell(visit.quota.as_ref(), headers);
        visit.reading.tell(headers);
        visit.journal.close(&response);
        keep_until_sent(response, guard)
    }

    /// Begins the record of a request.
    pub(crate) fn visit(
        &self,
        request: &Request,
        trace: TraceContext,
        came: Instant,
        allowed: Duration,
    ) -> Visit<'_> {
        Visit {
            journal: Journal::open(
                &self.service,
                self.route.path,
                request.method().clone(),
                trace,
                self.metrics.as_ref(),
            ),
            reading: body::Reading::of(request),
            came,
            allowed,
            quota: None,
            held: None,
        }
    }

    /// From the guards inwards.
    pub(crate) async fn answer<'a>(
        &'a self,
        cx: Context,
        request: Request,
        visit: &mut Visit<'a>,
    ) -> Result<Response> {
        // What is called for this request matters no more than it.
        let cx = cx.with_value(self.route.criticality);
        let guard = &self.guard;
        let limits = guard.limits(&request);
        let readable = request.extensions().get::<Readable>().map(|it| it.0);
        let entered = guard
            .enter(limits.as_ref(), visit.came, readable, &mut visit.quota)
            .await;
        let flight = match entered {
            Ok(flight) => flight,
            Err(refusal) => return Err(refuse(request, visit, refusal).await),
        };
        let max_bytes = self.max_bytes.unwrap_or_else(|| guard.gate().body_bytes());
        let request = body::limit(request, max_bytes, &visit.reading)?;
        let request = depth::limit(request, guard.gate().json_depth());
        let identified = self.identify(cx, &request, &mut visit.journal);
        let (cx, permit) = match self.admit(identified, limits.as_ref(), visit).await {
            Ok(admitted) => admitted,
            Err(refusal) => return Err(refuse(request, visit, refusal).await),
        };
        // The work is looked at before the clock: what has ended in time, or even late, counts.
        // What has not is dropped here, whether or not it watches its context.
        let deadline = visit.came + visit.allowed;
        let work = handler(self.endpoint.call(cx, request));
        let outcome = match tokio::time::timeout_at(deadline, work).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(visit.reading.late()),
        };
        if outcome.as_ref().is_ok_and(events::stands_in) {
            visit.held = Some((flight, permit));
        } else {
            guard.finish(flight, permit, &outcome, visit.allowed);
        }
        outcome
    }

    /// All that is asked between the token and the work.
    async fn admit<'a>(
        &'a self,
        identified: Result<Context>,
        limits: Option<&Limits>,
        visit: &mut Visit<'a>,
    ) -> Result<(Context, Option<Permit<'a>>)> {
        let cx = identified?;
        if let (Some(limits), Some(principal)) = (limits, cx.principal()) {
            let (subject, quota) = (principal.subject(), &mut visit.quota);
            let checked = self
                .guard
                .check_principal(limits, subject, visit.came, quota);
            checked.await?;
        }
        let permit = self.guard.admit(visit.came)?;
        Ok((cx, permit))
    }

    /// Token and rules.
    fn identify(
        &self,
        cx: Context,
        request: &Request,
        journal: &mut Journal<'_>,
    ) -> Result<Context> {
        cx.check()?;
        let cx = match request.extensions().get::<PeerIdentity>() {
            Some(service) => cx.with_value(service.clone()),
            None => cx,
        };
        let Some(verifier) = &self.verifier else {
            return Ok(cx);
        };
        let principal = verifier.verify(authorization(request.headers()))?;
        journal.caller = Some(principal.clone());
        let cx = cx.with_principal(principal);
        if let Some((rules, permission)) = &self.rules {
            tenon_auth::check(rules.as_ref(), &cx, permission)?;
        }
        Ok(cx)
    }
}

/// Ends a request that was refused before its body was read, so that another can follow it.
/// A future on the heap, because it would else be part of that of each request.
async fn refuse(request: Request, visit: &Visit<'_>, refusal: Error) -> Error {
    if !request.body().is_end_stream() {
        Box::pin(body::discard(request, &visit.reading)).await;
    }
    refusal
}

/// What is kept of one request from its coming to its answer.
pub(crate) struct Visit<'a> {
    pub(crate) journal: Journal<'a>,
    pub(crate) reading: body::Reading,
    came: Instant,
    /// How long it may take: the route's time, or what its caller gives it.
    pub(crate) allowed: Duration,
    /// The rate limit that binds its caller most.
    pub(crate) quota: Option<Quota>,
    /// The place of an answer that is a stream, kept until its end.
    pub(crate) held: Option<(Flight<'a>, Option<Permit<'a>>)>,
}

/// The value of `authorization`, for [`Verifier::verify`]. What is not text cannot be
/// `Bearer <token>` and is as malformed as any other; so are two values, of which a proxy before
/// us may have looked at the other.
pub fn authorization(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    match (values.next()?, values.next()) {
        (only, None) => Some(only.to_str().unwrap_or("malformed")),
        _ => Some("malformed"),
    }
}

/// An [`Onion`] as axum routes to it.
#[derive(Clone)]
pub(crate) struct RouteService(pub(crate) Arc<Onion>);

impl Service<Request> for RouteService {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if self.0.route.events {
            return Box::pin(stream::serve(self.0.clone(), request).map(Ok));
        }
        let label = self.0.label;
        Box::pin(labelled(label, self.0.clone().serve(request).map(Ok)))
    }
}

/// A body that is still being made needs its context: the guard then goes with it. A whole body
/// does not.
fn keep_until_sent(response: Response, guard: CancelGuard) -> Response {
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    response.map(|body| body::keeping(body, guard))
}
