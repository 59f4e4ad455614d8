//! The adaptive breaker: refuses locally, with a probability, what would fail anyway.
//!
//! Source: "Handling Overload" of the Google SRE book, equation 21-1, with the windows and
//! numbers of go-zero's `core/breaker`: over the last 10 s in 40 buckets,
//!
//! ```text
//! k     = 1.5 falling to 1.1 with the share of buckets at the end that only failed
//! ratio = (requests - 5 - k * successes) / (requests + 1) * (40 - buckets that worked) / 40
//! ```
//!
//! Requests that were refused here count as requests, so a caller who keeps asking is refused
//! more. One request a second passes in any case.
//!
//! What is ours: it closes quickly. By the formula alone a breaker stays half shut until the
//! outage has left its window (go-zero's users complain of it). Here each success after a
//! refusal halves the wait for the next request that passes in any case, and
//! [`CLOSE_AFTER`] successes in a row forget the outage. Ten in a row happen by chance once in
//! a thousand tries when half of all calls fail, and a breaker that closed too early opens
//! again after a handful of failures.
//!
//! Nothing here takes a lock. While nothing fails, a call costs two reads and one addition.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tenon_core::{Code, Error, catalogue, config::FailureCode};
use tokio::time::Instant;

use crate::{
    random::Random,
    window::{Ring, Ticks},
};

/// The window, 10 s, in buckets of 250 ms.
const BUCKETS: usize = 40;
const BUCKET: Duration = Duration::from_millis(250);
/// How many requests a success is worth.
const K: f64 = 1.5;
/// The same once every bucket only failed.
const K_MIN: f64 = 1.1;
/// So many requests pass before anything is refused.
const PROTECTION: f64 = 5.0;
/// One request passes in any case once none has for so long.
const FORCED_PASS: Duration = Duration::from_secs(1);
/// The forced pass comes at most 1,024 times sooner: 1 ms.
const HALVINGS_MAX: u32 = 10;
/// What the error of a peer is called that told nothing but its code.
const NAMELESS: &str = "RESOURCE_EXHAUSTED";
/// So many successes in a row, after refusals, forget what failed before them.
pub const CLOSE_AFTER: u32 = 10;

/// A breaker for one kind of call: a route, or a method of one endpoint.
///
/// ```
/// # use tenon_resilience::Breaker;
/// # async fn call() -> Result<(), tenon_core::Error> { Ok(()) }
/// # async fn example(breaker: &Breaker) -> Result<(), tenon_core::Error> {
/// let permit = breaker.admit()?;
/// let outcome = call().await;
/// permit.record(tenon_resilience::Failures::DEFAULT, &outcome);
/// # outcome }
/// ```
#[derive(Debug)]
pub struct Breaker {
    name: Arc<str>,
    ticks: Ticks,
    successes: Ring<BUCKETS>,
    failures: Ring<BUCKETS>,
    refusals: Ring<BUCKETS>,
    /// The tick of the last failure: while it is long ago, nothing need be added up.
    failed: AtomicU64,
    /// What happened in ticks before this one is forgotten.
    since: AtomicU64,
    /// Nanoseconds from the start to the last request that passed although it could have been
    /// refused.
    passed: AtomicU64,
    /// Whether anything was refused since it last closed.
    refusing: AtomicBool,
    /// Successes in a row.
    streak: AtomicU32,
    random: Random,
}

impl Breaker {
    /// A closed breaker. `name` tells in the log what it stands before; it comes from a closed
    /// set, such as the templates of routes.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self::with_random(name, Random::new())
    }

    /// The same, whose chances repeat with the seed of `random`.
    pub fn with_random(name: impl Into<Arc<str>>, random: Random) -> Self {
        Self {
            name: name.into(),
            ticks: Ticks::new(BUCKET),
            successes: Ring::new(),
            failures: Ring::new(),
            refusals: Ring::new(),
            failed: AtomicU64::new(0),
            since: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            refusing: AtomicBool::new(false),
            streak: AtomicU32::new(0),
            random,
        }
    }

    /// Lets a call through, or refuses it.
    ///
    /// # Errors
    /// The call would probably fail: do not make it.
    pub fn admit(&self) -> Result<Permit<'_>, Rejected> {
        self.admit_at(Instant::now())
    }

    /// [`Breaker::admit`] for who has just read the clock.
    ///
    /// # Errors
    /// As there.
    pub fn admit_at(&self, now: Instant) -> Result<Permit<'_>, Rejected> {
        let tick = self.ticks.at(now);
        if self.failed.load(Relaxed) + BUCKETS as u64 <= tick || self.try_pass(tick, now) {
            return Ok(Permit {
                breaker: self,
                open: true,
            });
        }
        self.refusals.add(tick, 1);
        if !self.refusing.swap(true, Relaxed) {
            self.streak.store(0, Relaxed);
            tracing::warn!(
                breaker = &*self.name,
                "calls fail, and some are refused from now on"
            );
        }
        Err(Rejected {
            retry_after: FORCED_PASS,
        })
    }

    /// Counts how something ended whose permit was given back before: a stream, that ends long
    /// after it began. `None` is a success.
    pub fn judge(&self, failures: Failures, error: Option<&Error>) {
        let now = Instant::now();
        match error.map_or(Verdict::Success, |error| failures.verdict(error)) {
            Verdict::Success => self.succeed(now),
            Verdict::Failure => self.fail(now),
            Verdict::Nothing => {}
        }
    }

    /// The share of calls that is refused now, from 0 to 1.
    pub fn ratio(&self) -> f64 {
        self.ratio_at(Instant::now())
    }

    /// [`Breaker::ratio`] for who has just read the clock.
    pub fn ratio_at(&self, now: Instant) -> f64 {
        self.history(self.ticks.at(now)).ratio()
    }

    /// Whether calls were refused and it has not closed since.
    pub fn is_refusing(&self) -> bool {
        self.refusing.load(Relaxed)
    }

    fn try_pass(&self, tick: u64, now: Instant) -> bool {
        let ratio = self.history(tick).ratio();
        if ratio <= 0.0 {
            return true;
        }
        let now = self.ticks.nanos(now);
        let passed = self.passed.load(Relaxed);
        let wait = FORCED_PASS.as_nanos() as u64 >> self.streak.load(Relaxed).min(HALVINGS_MAX);
        // Only one of those who come together takes the forced pass.
        let forced = passed > 0
            && now.saturating_sub(passed) > wait
            && self
                .passed
                .compare_exchange(passed, now, Relaxed, Relaxed)
                .is_ok();
        if forced {
            return true;
        }
        if self.random.happens(ratio) {
            // The first refusal starts the wait for the first forced pass.
            let _ = self
                .passed
                .compare_exchange(0, now.max(1), Relaxed, Relaxed);
            return false;
        }
        self.passed.store(now.max(1), Relaxed);
        true
    }

    pub(crate) fn succeed(&self, now: Instant) {
        let tick = self.ticks.at(now);
        self.successes.add(tick, 1);
        if self.refusing.load(Relaxed) && self.streak.fetch_add(1, Relaxed) + 1 >= CLOSE_AFTER {
            self.close(tick);
        }
    }

    pub(crate) fn fail(&self, now: Instant) {
        let tick = self.ticks.at(now);
        self.failures.add(tick, 1);
        self.failed.fetch_max(tick, Relaxed);
        self.streak.store(0, Relaxed);
    }

    /// Forgets the outage, the bucket that is being filled included.
    fn close(&self, tick: u64) {
        if self.refusing.swap(false, Relaxed) {
            self.since.store(tick + 1, Relaxed);
            self.failed.store(0, Relaxed);
            self.passed.store(0, Relaxed);
            self.streak.store(0, Relaxed);
            tracing::info!(breaker = &*self.name, "calls succeed again, and all pass");
        }
    }

    fn history(&self, tick: u64) -> History {
        let mut history = History::default();
        let oldest = (tick + 1 - BUCKETS as u64).max(self.since.load(Relaxed));
        for tick in oldest..=tick {
            history.add(
                self.successes.get(tick),
                self.failures.get(tick),
                self.refusals.get(tick),
            );
        }
        history
    }
}

/// The window added up, oldest bucket first.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct History {
    successes: u64,
    total: u64,
    /// Buckets since the last failure in which something succeeded.
    working: u64,
    /// Buckets since the last success in which something failed.
    failing: u64,
}

impl History {
    fn add(&mut self, successes: u64, failures: u64, refusals: u64) {
        self.successes += successes;
        self.total += successes + failures + refusals;
        if failures > 0 {
            self.working = 0;
        } else if successes > 0 {
            self.working += 1;
        }
        if successes > 0 {
            self.failing = 0;
        } else if failures > 0 {
            self.failing += 1;
        }
    }

    /// The formula of this module; below zero means that all may pass.
    fn ratio(&self) -> f64 {
        let buckets = BUCKETS as f64;
        let k = K - (K - K_MIN) * self.failing as f64 / buckets;
        let successes = k.max(K_MIN) * self.successes as f64;
        let total = self.total as f64;
        let ratio = (total - PROTECTION - successes) / (total + 1.0);
        (ratio * (buckets - self.working as f64) / buckets).max(0.0)
    }
}

/// A call that was let through. Say how it ended; dropped without a word it counts as nothing,
/// which is right for a caller that left, and as a failure when a panic drops it.
#[derive(Debug)]
#[must_use = "say how the call ended, or the breaker learns nothing"]
pub struct Permit<'a> {
    breaker: &'a Breaker,
    /// Nothing was said yet.
    open: bool,
}

impl Permit<'_> {
    /// The call was answered, if only with an error of the caller's.
    pub fn success(self) {
        self.success_at(Instant::now());
    }

    /// [`Permit::success`] for who has just read the clock.
    pub fn success_at(mut self, now: Instant) {
        self.open = false;
        self.breaker.succeed(now);
    }

    /// The call failed in a way that the next one probably would, too.
    pub fn failure(self) {
        self.failure_at(Instant::now());
    }

    /// [`Permit::failure`] for who has just read the clock.
    pub fn failure_at(mut self, now: Instant) {
        self.open = false;
        self.breaker.fail(now);
    }

    /// The call says nothing about what it was made to: its caller left.
    pub fn ignore(self) {}

    /// Counts an outcome as `failures` classifies it.
    pub fn record<T>(self, failures: Failures, outcome: &tenon_core::Result<T>) {
        self.record_at(Instant::now(), failures, outcome);
    }

    /// [`Permit::record`] for who has just read the clock.
    pub fn record_at<T>(self, now: Instant, failures: Failures, outcome: &tenon_core::Result<T>) {
        match outcome.as_ref().err().map(|error| failures.verdict(error)) {
            None | Some(Verdict::Success) => self.success_at(now),
            Some(Verdict::Failure) => self.failure_at(now),
            Some(Verdict::Nothing) => self.ignore(),
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.open && std::thread::panicking() {
            self.breaker.fail(Instant::now());
        }
    }
}

/// A call that was refused by a breaker and not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejected {
    /// When it is worth to ask again.
    pub retry_after: Duration,
}

impl From<Rejected> for Error {
    fn from(rejected: Rejected) -> Self {
        catalogue::CIRCUIT_OPEN
            .error()
            .retry_after(rejected.retry_after)
    }
}

/// Which errors are failures of the one that was called: a set of codes.
///
/// Whatever the set says, a call that its caller cancelled counts as nothing, and so does one
/// that failed by what its caller did (a 4xx): both say something about the caller alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures(u32);

impl Failures {
    /// What go-zero counts, without `Unimplemented`, which is an answer: a peer of another
    /// version is not a broken one. `Unknown` is how other servers say that a handler failed.
    pub const DEFAULT: Self = Self::of(&[
        Code::DeadlineExceeded,
        Code::Internal,
        Code::Unavailable,
        Code::DataLoss,
        Code::ResourceExhausted,
        Code::Unknown,
    ]);

    /// These codes and no others.
    pub const fn of(codes: &[Code]) -> Self {
        let mut set = 0;
        let mut index = 0;
        while index < codes.len() {
            set |= 1 << codes[index] as u32;
            index += 1;
        }
        Self(set)
    }

    /// The set as an `u32` and back, for atomics.
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Whether the code is in the set.
    pub const fn contains(self, code: Code) -> bool {
        self.0 & (1 << code as u32) != 0
    }

    /// What an error says about the one that was called.
    pub fn verdict(self, error: &Error) -> Verdict {
        if error.status() == Code::Cancelled || error.is(&catalogue::RATE_LIMITED) {
            Verdict::Nothing
        } else if !self.contains(error.status()) {
            Verdict::Success
        } else if blames_caller(error) {
            Verdict::Nothing
        } else {
            Verdict::Failure
        }
    }
}

/// Whether the error is told as a 4xx: the caller asked too often or for too much, or its body did
/// not come. Else one caller could close a route for everybody by asking on. Peers that tell no
/// name beside the code (go-zero's) mean by `RESOURCE_EXHAUSTED` that they are overloaded.
fn blames_caller(error: &Error) -> bool {
    error.http_status() < 500 && error.code() != NAMELESS
}

impl FromIterator<FailureCode> for Failures {
    fn from_iter<I: IntoIterator<Item = FailureCode>>(codes: I) -> Self {
        let bits = codes.into_iter().map(|code| 1 << code.code() as u32);
        Self(bits.fold(0, |set, code| set | code))
    }
}

impl Default for Failures {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What an outcome says about the one that was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It answers.
    Success,
    /// It fails.
    Failure,
    /// Nothing.
    Nothing,
}
