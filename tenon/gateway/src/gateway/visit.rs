//! What one request passes at the edge, whatever is behind its route: record, rate limits, places,
//! shedding, token, breaker. The order, and why, is that of a REST door (`tenon_rest::guard`).

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use http_body::Body as _;
use tenon_core::{
    Error, Principal, Result, TraceContext, catalogue, error::Language, panics, trace::within,
};
use tenon_net::Readable;
use tenon_resilience::{Quota, breaker::Permit, breaker::Verdict, gate::Held};
use tenon_rest::{
    ByMethod, Journal, Request, Response, body, deadline,
    guard::{self, Guard as RouteGuard, Limits},
    problem, trace,
};
use tokio::time::Instant;

use crate::{
    Guard, SERVICE,
    forward::{self, Forward, headers},
    table::{Place, Table},
    transcode::{
        Match,
        call::{self, Call, Granted},
    },
};

/// One request from its coming to its answer.
pub(super) struct Visit<'a> {
    table: &'a Table,
    /// What asks for tokens.
    tokens: Option<&'a Guard>,
    came: Instant,
    trace: TraceContext,
    language: Language,
    /// The verified caller, for the access log.
    caller: Option<Arc<Principal>>,
    /// The rate limit that binds the caller most.
    quota: Option<Quota>,
    /// Whether an error may leave some of the request unread.
    has_body: bool,
}

/// A request that was let in.
struct Entered<'a> {
    held: Held,
    permit: Option<Permit<'a>>,
    guard: &'a RouteGuard,
}

impl<'a> Visit<'a> {
    pub(super) fn new(table: &'a Table, tokens: Option<&'a Guard>, request: &Request) -> Self {
        Self {
            table,
            tokens,
            came: Instant::now(),
            trace: trace::incoming(request.headers()),
            language: problem::language(request.headers()),
            caller: None,
            quota: None,
            has_body: !request.body().is_end_stream(),
        }
    }

    pub(super) async fn serve(mut self, request: Request, nowhere: &Option<ByMethod>) -> Response {
        let (trace, method) = (self.trace, request.method().clone());
        let path = request.uri().path().to_owned();
        let place = self.table.place(&method, &path);
        let (template, metrics) = match &place {
            Place::Call(found) => (found.rule.template(), &found.rule.metrics),
            Place::Forward(forward) => (forward.template.as_str(), &forward.metrics),
            Place::NotAllowed(_) | Place::Nowhere => ("", nowhere),
        };
        let metrics = metrics.as_ref().map(|metrics| metrics.of(&method));
        let mut journal = Journal::open(SERVICE, template, method, trace, metrics);
        let work = panics::contain(self.answer(place, request));
        let outcome = within(&trace, work)
            .await
            .unwrap_or_else(|panicked| Err(Error::internal("end the request", panicked)));
        let mut response = outcome.unwrap_or_else(|error| {
            let mut response = problem::response(error, self.language, &trace);
            if self.has_body {
                // Nobody may have read it to its end.
                headers::close(response.headers_mut());
            }
            response
        });
        problem::harden(response.headers_mut());
        trace::mark(response.headers_mut(), &trace);
        guard::tell(self.quota.as_ref(), response.headers_mut());
        journal.caller = self.caller.take();
        journal.close(&response);
        response
    }

    async fn answer(&mut self, place: Place<'a>, request: Request) -> Result<Response> {
        match place {
            // Each in a box of its own size: in one future with the other, and moved through those
            // around it, a forwarded request would weigh many times what it needs.
            Place::Call(found) => Box::pin(self.call(found, request)).await,
            Place::Forward(forward) => Box::pin(self.forward(forward, request)).await,
            Place::NotAllowed(methods) => {
                let error = catalogue::METHOD_NOT_ALLOWED.error();
                let mut response = problem::response(error, self.language, &self.trace);
                if let Some((name, value)) = forward::allow(&methods) {
                    response.headers_mut().insert(name, value);
                }
                if self.has_body {
                    headers::close(response.headers_mut());
                }
                Ok(response)
            }
            Place::Nowhere => Err(catalogue::ROUTE_NOT_FOUND.error()),
        }
    }

    async fn forward(&mut self, forward: &'a Forward, request: Request) -> Result<Response> {
        let (entered, request) = self.enter(forward.place, request).await?;
        let patience = deadline::patience(request.headers(), forward.timeout);
        let client = entered.guard.client(&request);
        let outcome = match patience.is_zero() {
            true => Err(catalogue::DEADLINE_EXCEEDED.error()),
            false => forward.send(request, client, &self.trace, patience).await,
        };
        entered.finish(&outcome, patience, answered);
        outcome
    }

    async fn call(&mut self, found: Match<'a, Call>, request: Request) -> Result<Response> {
        let call = found.rule;
        let (entered, request) = self.enter(call.place, request).await?;
        let patience = deadline::patience(request.headers(), call.own_time());
        let values = call::values(&found);
        let gate = entered.guard.gate();
        let granted = Granted {
            json_depth: gate.json_depth(),
            is_admitted: gate.sheds(),
        };
        let outcome = call.answer(values, request, self.trace, granted).await;
        if call.takes_stream() && !call.streams() {
            // How long a client sends is no time of the service.
            let gate = entered.guard.gate();
            gate.judge(entered.permit, outcome.as_ref().err(), None);
            return outcome;
        }
        if !call.streams() {
            entered.finish(&outcome, patience, |_| Verdict::Success);
            return outcome;
        }
        // A stream has its place until its end.
        let gate = entered.guard.gate();
        gate.judge(entered.permit, outcome.as_ref().err(), None);
        let held = entered.held;
        outcome.map(|response| response.map(|body| body::keeping(body, held)))
    }

    /// Everything that is asked before the work. A request that is refused is read to its end
    /// where that is cheap, so that its connection can carry another one.
    async fn enter(&mut self, place: usize, request: Request) -> Result<(Entered<'a>, Request)> {
        let guard = self.table.guard(place).ok_or_else(|| {
            Error::internal("guard the route", "the table has no guard for its place")
        })?;
        let limits = guard.limits(&request);
        let readable = request.extensions().get::<Readable>().map(|it| it.0);
        let entered = guard
            .enter_held(limits.as_ref(), self.came, readable, &mut self.quota)
            .await;
        let held = match entered {
            Ok(held) => held,
            Err(refusal) => return Err(self.refuse(request, refusal).await),
        };
        let identified = self.tokens.map(|tokens| tokens.admit(&request));
        let admitted = self.admit(guard, limits.as_ref(), identified.transpose());
        match admitted.await {
            Ok(permit) => {
                let entered = Entered {
                    held,
                    permit,
                    guard,
                };
                Ok((entered, request))
            }
            Err(refusal) => Err(self.refuse(request, refusal).await),
        }
    }

    /// All that is asked between the token and the work.
    async fn admit(
        &mut self,
        guard: &'a RouteGuard,
        limits: Option<&Limits>,
        identified: Result<Option<Option<Arc<Principal>>>>,
    ) -> Result<Option<Permit<'a>>> {
        self.caller = identified?.flatten();
        if let (Some(limits), Some(caller)) = (limits, &self.caller) {
            let (subject, quota) = (caller.subject(), &mut self.quota);
            let checked = guard.check_principal(limits, subject, self.came, quota);
            checked.await?;
        }
        guard.admit(self.came)
    }

    async fn refuse(&mut self, request: Request, refusal: Error) -> Error {
        self.has_body = !body::pass_over(request).await;
        refusal
    }
}

impl Entered<'_> {
    /// Tells shedder and breaker how the request ended that was given `allowed` time.
    fn finish(
        self,
        outcome: &Result<Response>,
        allowed: Duration,
        says: impl FnOnce(StatusCode) -> Verdict,
    ) {
        let gate = self.guard.gate();
        let verdict = match outcome {
            Err(error) => gate.judge(self.permit, Some(error), Some(allowed)),
            Ok(response) => {
                let verdict = says(response.status());
                if let (Some(permit), true) = (self.permit, verdict == Verdict::Success) {
                    permit.success_at(Instant::now());
                }
                verdict
            }
        };
        self.held.end(verdict);
    }
}

/// What a forwarded answer says of the service. That one of its routes fails is no reason to keep
/// requests from all that lie below the same prefix: its own door has a breaker for each. What
/// it refuses in no time says nothing about how much it can do.
fn answered(status: StatusCode) -> Verdict {
    match status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        true => Verdict::Nothing,
        false => Verdict::Success,
    }
}
