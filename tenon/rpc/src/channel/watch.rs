//! What watches one call: the breaker of its method and the adaptive limit of its instance, which
//! may refuse it, and the balancer, which learns how it ended. A stream is judged by its messages
//! and its end, as the server does.

use std::sync::Arc;

use tenon_core::{Code, Context, Error, Result, catalogue};
use tenon_resilience::{
    Breaker, Failures, Limit,
    breaker::{Permit, Verdict},
    gradient::Flight,
};
use tenon_telemetry::RpcClient;

use super::pool::{Pool, Reached};
use crate::{
    Method,
    balance::{InFlight, Node, Outcome},
    catalogue as own,
};

/// How many instances are asked when breakers or limits refuse, before the call is refused.
const REFUSALS_MAX: usize = 3;

/// A call under way, and what watches it. Dropped at the deadline it counts as not answered in
/// time; dropped before, as nothing: its caller left.
pub(super) struct Watch<'a> {
    pool: &'a Pool,
    node: &'a Node<Reached>,
    cx: &'a Context,
    permit: Option<Permit<'a>>,
    flight: Option<Flight<'a>>,
    is_told: bool,
}

impl<'a> Watch<'a> {
    /// Asks breaker and limit. `None` when one of them refuses and another instance may not.
    ///
    /// # Errors
    /// So many instances have refused the call that it is given up.
    pub(super) fn begin(
        pool: &'a Pool,
        node: &'a Node<Reached>,
        breaker: Option<&'a Breaker>,
        cx: &'a Context,
        refusals: &mut Refusals<'_>,
    ) -> Result<Option<Self>> {
        let permit = match breaker.map(Breaker::admit).transpose() {
            Ok(permit) => permit,
            Err(rejected) => return refusals.add(pool, "breaker", rejected.into()),
        };
        let flight = match node.target().limit(pool).map(Limit::acquire).transpose() {
            Ok(flight) => flight,
            Err(full) => return refusals.add(pool, "limit", full.into()),
        };
        Ok(Some(Self {
            pool,
            node,
            cx,
            permit,
            flight,
            is_told: false,
        }))
    }

    /// The call ended.
    pub(super) fn ended<T>(mut self, result: &Result<T>) {
        self.is_told = true;
        let error = result.as_ref().err();
        // A message that is too large is so wherever it goes.
        let error = error.filter(|error| !error.is(&own::MESSAGE_TOO_LARGE));
        if let Some(permit) = self.permit.take() {
            match error {
                Some(_) => permit.record(self.pool.failures(), result),
                None => permit.success(),
            }
        }
        if let Some(flight) = self.flight.take() {
            match error {
                None => flight.success(),
                Some(error) if is_overload(error) => flight.dropped(),
                Some(_) => flight.ignore(),
            }
        }
        self.pool
            .ended(self.node, error.map_or(Outcome::Success, outcome));
    }

    /// The answer has begun, and is a stream: the instance answers, and how the method does is told
    /// by what comes.
    pub(super) fn begun(mut self) {
        self.is_told = true;
        if let Some(permit) = self.permit.take() {
            permit.ignore();
        }
        if let Some(flight) = self.flight.take() {
            flight.success();
        }
        self.pool.ended(self.node, Outcome::Success);
    }

    /// The instance never began with the call.
    pub(super) fn not_begun(mut self) {
        self.is_told = true;
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if self.is_told {
            return;
        }
        let is_late = self
            .cx
            .check()
            .is_err_and(|error| error.is(&catalogue::DEADLINE_EXCEEDED));
        if !is_late {
            return;
        }
        if let Some(permit) = self.permit.take() {
            match self.pool.failures().contains(Code::DeadlineExceeded) {
                true => permit.failure(),
                false => permit.ignore(),
            }
        }
        if let Some(flight) = self.flight.take() {
            flight.dropped();
        }
        self.pool.ended(self.node, Outcome::TimedOut);
    }
}

/// A stream that has begun. Its instance is busy with it for as long as this is held. Dropped
/// without a word it counts as nothing: its caller left, its time is over, or its connection broke,
/// which may hold a hundred streams and says nothing about their methods.
pub(super) struct Following {
    pool: Arc<Pool>,
    in_flight: InFlight<Reached>,
    breaker: Option<Arc<Breaker>>,
    went_on: bool,
}

impl Following {
    pub(super) fn new(
        pool: Arc<Pool>,
        in_flight: InFlight<Reached>,
        breaker: Option<Arc<Breaker>>,
    ) -> Self {
        Self {
            pool,
            in_flight,
            breaker,
            went_on: false,
        }
    }

    /// A message came. The first one is a success: a watch may go on for days.
    pub(super) fn went_on(&mut self) {
        if !std::mem::replace(&mut self.went_on, true) {
            self.judge(None);
        }
    }

    /// The service has ended it, and how. That the time of a stream is over is told by whoever
    /// looks at the clock first, and is no failure.
    pub(super) fn ended(self, error: Option<&Error>) {
        let Some(error) = error else {
            if !self.went_on {
                self.judge(None);
            }
            return;
        };
        if error.status() == Code::DeadlineExceeded {
            return;
        }
        self.judge(Some(error));
        if outcome(error) == Outcome::Failure {
            self.pool.ended(self.in_flight.node(), Outcome::Failure);
        }
    }

    fn judge(&self, error: Option<&Error>) {
        if let Some(breaker) = &self.breaker {
            breaker.judge(self.pool.failures(), error);
        }
    }
}

/// Whether fewer calls at once would have helped. An answer that blames its caller says nothing of it.
fn is_overload(error: &Error) -> bool {
    matches!(
        error.status(),
        Code::DeadlineExceeded | Code::ResourceExhausted
    ) && Failures::DEFAULT.verdict(error) == Verdict::Failure
}

/// What an error says of the instance that it came from.
fn outcome(error: &Error) -> Outcome {
    match error.status() {
        // Somebody behind it is meant.
        Code::Unavailable if error.is(&catalogue::CIRCUIT_OPEN) => Outcome::Neutral,
        Code::Unavailable => Outcome::Failure,
        Code::DeadlineExceeded => Outcome::TimedOut,
        Code::Cancelled | Code::ResourceExhausted => Outcome::Neutral,
        _ => Outcome::Success,
    }
}

/// The refusals that one call met.
pub(super) struct Refusals<'a> {
    metrics: &'a RpcClient,
    method: &'static Method,
    count: usize,
}

impl<'a> Refusals<'a> {
    pub(super) fn new(metrics: &'a RpcClient, method: &'static Method) -> Self {
        Self {
            metrics,
            method,
            count: 0,
        }
    }

    fn add<T>(&mut self, pool: &Pool, reason: &'static str, error: Error) -> Result<Option<T>> {
        self.count += 1;
        if self.count < REFUSALS_MAX.min(pool.size()) {
            return Ok(None);
        }
        let method = self.method;
        self.metrics
            .method(method.service(), method.name())
            .refused(reason);
        Err(error)
    }
}
