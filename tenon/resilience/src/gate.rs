//! The gate before one route or method: in-flight limit, shedder and breaker, in this order.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tenon_core::{
    Error, catalogue,
    config::{JSON_DEPTH_MAX, Sizes},
};
use tokio::time::Instant;

use crate::{
    Breaker, Criticality, Failures, Rejected, Shedder,
    breaker::{Permit, Verdict},
    shedder::{Flight, Reason, Stage},
};

/// When a caller who was shed may come again. A shorter time would bring it back into the same
/// overload; a longer one leaves the service idle after it.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A deadline that its caller set this much shorter than the route's time says nothing about the
/// route: by short deadlines a caller could else open the breaker for everybody.
const SHORTENED: u32 = 2;

/// What all gates of a door share, and an operator may change at run time. Cheap to clone:
/// clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Controls {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shedder: Shedder,
    breaker: AtomicBool,
    /// The bits of [`Failures`].
    failures: AtomicU32,
    places: AtomicUsize,
    body_bytes: AtomicU64,
    json_depth: AtomicUsize,
}

impl Controls {
    pub(crate) fn new(shedder: Shedder) -> Self {
        Self {
            inner: Arc::new(Inner {
                shedder,
                breaker: AtomicBool::new(true),
                failures: AtomicU32::new(Failures::DEFAULT.bits()),
                places: AtomicUsize::new(usize::MAX),
                body_bytes: AtomicU64::new(u64::MAX),
                json_depth: AtomicUsize::new(JSON_DEPTH_MAX),
            }),
        }
    }

    pub(crate) fn set_shedding(&self, enabled: bool, threshold: u32) {
        self.inner.shedder.set(enabled, threshold);
    }

    pub(crate) fn set_breaker(&self, enabled: bool) {
        self.inner.breaker.store(enabled, Relaxed);
    }

    pub(crate) fn set_failures(&self, failures: Failures) {
        self.inner.failures.store(failures.bits(), Relaxed);
    }

    pub(crate) fn set_places(&self, places: usize) {
        self.inner.places.store(places, Relaxed);
    }

    pub(crate) fn set_sizes(&self, sizes: &Sizes) {
        self.inner.body_bytes.store(sizes.body_bytes, Relaxed);
        self.inner.json_depth.store(sizes.json_depth, Relaxed);
    }
}

/// What a door says of one of its routes or methods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// As rate limits name it and the log shows it: `POST /api/v1/submission`.
    pub name: Arc<str>,
    /// Whom overload hits first.
    pub criticality: Criticality,
    /// How long a request may take; `None` for streams, whose time says nothing about load: they
    /// are shed by the wait for a worker thread alone.
    pub time: Option<Duration>,
    /// How many may be in flight, instead of the door's number.
    pub places: Option<usize>,
}

/// The gate before one route or method.
#[derive(Debug)]
pub struct Gate {
    controls: Controls,
    stage: Stage,
    breaker: Breaker,
    places: Option<usize>,
    time: Option<Duration>,
}

impl Gate {
    pub(crate) fn new(controls: Controls, place: &Place) -> Self {
        Self {
            stage: controls.inner.shedder.stage(place.criticality, place.time),
            breaker: Breaker::new(place.name.clone()),
            places: place.places,
            time: place.time,
            controls,
        }
    }

    /// Lets a request in, before anything was read of it; `readable` is when that could have been
    /// done, where it is known.
    ///
    /// # Errors
    /// There is no place, or it is shed.
    pub async fn enter(
        &self,
        now: Instant,
        readable: Option<Instant>,
    ) -> Result<Flight<'_>, Refusal> {
        let entered = self.stage.enter(now, readable, self.places()).await;
        entered.map_err(Refusal::Shed)
    }

    /// [`Gate::enter`] for who gives the place on, to a stream, and may matter less than others
    /// of the route.
    ///
    /// # Errors
    /// As there.
    pub async fn enter_held(
        self: &Arc<Self>,
        class: Criticality,
        now: Instant,
        readable: Option<Instant>,
    ) -> Result<Held, Refusal> {
        let places = self.places();
        let entered = self.stage.enter_as(class, now, readable, places).await;
        let flight = entered.map_err(Refusal::Shed)?;
        let began = flight.keep();
        Ok(Held {
            gate: self.clone(),
            began,
        })
    }

    /// [`Gate::enter_held`] for what another door of this process has let in already, see
    /// [`Stage::enter_again`].
    ///
    /// # Errors
    /// As there.
    pub fn enter_again(
        self: &Arc<Self>,
        class: Criticality,
        now: Instant,
    ) -> Result<Held, Refusal> {
        let entered = self.stage.enter_again(class, now, self.places());
        let began = entered.map_err(Refusal::Shed)?.keep();
        Ok(Held {
            gate: self.clone(),
            began,
        })
    }

    /// Whether it sheds what has waited too long, so that no other door needs to.
    pub fn sheds(&self) -> bool {
        self.controls.inner.shedder.is_enabled()
    }

    /// Asks the breaker, right before the work: what was refused on the way says nothing about
    /// the work.
    ///
    /// # Errors
    /// The work fails too often.
    pub fn admit(&self, now: Instant) -> Result<Option<Permit<'_>>, Refusal> {
        if !self.controls.inner.breaker.load(Relaxed) {
            return Ok(None);
        }
        self.breaker
            .admit_at(now)
            .map(Some)
            .map_err(Refusal::Breaker)
    }

    /// Tells breaker and shedder how the work ended that was given `allowed` time. `error` is
    /// `None` for a success.
    pub fn finish(
        &self,
        flight: Flight<'_>,
        permit: Option<Permit<'_>>,
        error: Option<&Error>,
        allowed: Duration,
    ) {
        if self.judge(permit, error, Some(allowed)) == Verdict::Success {
            flight.pass(Instant::now());
        }
    }

    /// Tells the breaker how the work ended, and answers what that says about it.
    pub fn judge(
        &self,
        permit: Option<Permit<'_>>,
        error: Option<&Error>,
        allowed: Option<Duration>,
    ) -> Verdict {
        let now = Instant::now();
        let verdict = error.map_or(Verdict::Success, |error| self.verdict(error, allowed));
        match (verdict, permit) {
            (Verdict::Success, Some(permit)) => permit.success_at(now),
            (Verdict::Failure, Some(permit)) => permit.failure_at(now),
            (Verdict::Nothing, Some(permit)) => permit.ignore(),
            (_, None) => {}
        }
        verdict
    }

    fn verdict(&self, error: &Error, allowed: Option<Duration>) -> Verdict {
        let expired = error.is(&catalogue::DEADLINE_EXCEEDED);
        let shortened = match (allowed, self.time) {
            (Some(allowed), Some(time)) => allowed * SHORTENED < time,
            // Who streams may stop whenever it likes.
            (_, None) => true,
            (None, Some(_)) => false,
        };
        // Whoever refuses for want of a place knows when there is one again. A breaker beside it
        // would be a second controller on one queue, and refuse those for whom there is room.
        let is_full = error.is(&catalogue::OVERLOADED);
        if is_full || (expired && shortened) {
            return Verdict::Nothing;
        }
        self.failures().verdict(error)
    }

    /// Which errors count as failures.
    pub fn failures(&self) -> Failures {
        Failures::from_bits(self.controls.inner.failures.load(Relaxed))
    }

    /// The breaker, for metrics.
    pub fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// Whom overload hits first.
    pub fn criticality(&self) -> Criticality {
        self.stage.criticality()
    }

    /// How many requests may be in flight.
    pub fn places(&self) -> usize {
        self.places
            .unwrap_or_else(|| self.controls.inner.places.load(Relaxed))
    }

    /// The largest body at this door now, for routes that have no limit of their own.
    pub fn body_bytes(&self) -> u64 {
        self.controls.inner.body_bytes.load(Relaxed)
    }

    /// How deep JSON may be nested at this door now.
    pub fn json_depth(&self) -> usize {
        self.controls.inner.json_depth.load(Relaxed)
    }
}

/// A place that is given on.
#[derive(Debug)]
#[must_use = "the place is taken until this is dropped"]
pub struct Held {
    gate: Arc<Gate>,
    began: Instant,
}

impl Held {
    /// Tells the breaker of a stream that began well: that it goes on (`None`), or how it failed.
    pub fn judge(&self, error: Option<&Error>) {
        let now = Instant::now();
        match error.map_or(Verdict::Success, |error| self.gate.verdict(error, None)) {
            Verdict::Success => self.gate.breaker.succeed(now),
            Verdict::Failure => self.gate.breaker.fail(now),
            Verdict::Nothing => {}
        }
    }

    /// The work has ended, and its time is a sample if it succeeded.
    pub fn end(self, verdict: Verdict) {
        if verdict == Verdict::Success {
            self.gate.stage.sample(self.began, Instant::now());
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gate.stage.land();
    }
}

/// Why a gate refused a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There was no place, or it was shed.
    Shed(Reason),
    /// The breaker is open.
    Breaker(Rejected),
}

impl Refusal {
    /// All that [`Refusal::as_str`] may answer.
    pub const ALL: [&'static str; 5] = ["in-flight", "wait", "cpu", "slow", "breaker"];

    /// As metrics write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shed(reason) => reason.as_str(),
            Self::Breaker(_) => "breaker",
        }
    }

    /// The error for the caller.
    pub fn error(self) -> Error {
        match self {
            Self::Shed(_) => catalogue::OVERLOADED.error().retry_after(RETRY_AFTER),
            Self::Breaker(rejected) => rejected.into(),
        }
    }
}
