//! When a failed call may be made again: rarely, later, and only where that does no harm.
//!
//! Sources: the retry budget of Finagle and Linkerd, the throttling of gRPC's proposal A6 and the
//! 10 per cent of the Google SRE book for [`Budget`]; "Exponential Backoff And Jitter" of AWS
//! (full jitter) for [`Retry`].
//!
//! One layer retries: the client of an RPC. Whoever stands above must not do so again, or three
//! layers of three attempts become 27 calls.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use tenon_core::{Code, Error, catalogue};
use tokio::time::Instant;

use crate::{
    random::Random,
    window::{Ring, Ticks},
};

/// What a budget looks back over: as long as the breaker.
const WINDOW_SECONDS: usize = 10;

/// How large a [`Budget`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Retries for each hundred calls.
    pub percent: u32,
    /// Retries a second besides, which even a client with few calls may make.
    pub per_second: u32,
}

impl Allowance {
    /// 10 per cent, and one a second.
    pub const DEFAULT: Self = Self {
        percent: 10,
        per_second: 1,
    };
}

/// How many retries one client may make: by default one is granted while those of the last 10 s
/// are fewer than 10 per cent of the calls in them and 10 more.
///
/// A client with more than 10 calls a second so makes at most 1.2 attempts for each, however many
/// fail.
#[derive(Debug)]
pub struct Budget {
    ticks: Ticks,
    calls: Ring<WINDOW_SECONDS>,
    retries: Mutex<Ring<WINDOW_SECONDS>>,
    percent: AtomicU32,
    per_second: AtomicU32,
}

impl Budget {
    /// A budget of the usual size of which nothing was used.
    pub fn new() -> Self {
        Self {
            ticks: Ticks::new(Duration::from_secs(1)),
            calls: Ring::new(),
            retries: Mutex::new(Ring::new()),
            percent: AtomicU32::new(Allowance::DEFAULT.percent),
            per_second: AtomicU32::new(Allowance::DEFAULT.per_second),
        }
    }

    /// Makes it as large as this from now on; what was used of it stays used.
    pub fn allow(&self, allowance: Allowance) {
        self.percent.store(allowance.percent, Relaxed);
        self.per_second.store(allowance.per_second, Relaxed);
    }

    /// Counts a call, first attempts only. One atomic addition.
    pub fn deposit(&self) {
        self.deposit_at(Instant::now());
    }

    /// [`Budget::deposit`] for who has just read the clock.
    pub fn deposit_at(&self, now: Instant) {
        self.calls.add(self.ticks.at(now), 1);
    }

    /// Takes a retry out, if there is one. Retries are rare, so they may wait for a lock.
    #[must_use = "without it there is no retry"]
    pub fn withdraw(&self) -> bool {
        let tick = self.ticks.at(Instant::now());
        let retries = self.retries.lock().unwrap_or_else(PoisonError::into_inner);
        let share = u64::from(self.percent.load(Relaxed)) * self.calls.sum(tick) / 100;
        let besides = u64::from(self.per_second.load(Relaxed)) * WINDOW_SECONDS as u64;
        let within = retries.sum(tick) < share + besides;
        if within {
            retries.add(tick, 1);
        }
        within
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}

/// When and how often one call is tried again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retry {
    /// Attempts, the first included. Google's SRE book and gRPC have 3 and at most 5.
    pub attempts_max: u32,
    /// The longest wait before the second attempt; it doubles with each.
    pub base: Duration,
    /// The longest wait of all.
    pub wait_max: Duration,
}

impl Retry {
    /// Three attempts, waiting up to 25 ms and 50 ms.
    pub const DEFAULT: Self = Self {
        attempts_max: 3,
        base: Duration::from_millis(25),
        wait_max: Duration::from_secs(1),
    };

    /// How long to wait before attempt `failed + 1` of a call whose attempt number `failed`,
    /// counted from 1, ended with `error`. `None` is never.
    ///
    /// There is none when the operation is not idempotent (unless the call was never sent, which
    /// the caller knows and says so), when another attempt would not help, when the attempts or
    /// the `budget` are used up, or when the time `remaining` does not allow the wait. The peer's
    /// own wish ([`Error::retry_delay`]) is the shortest wait.
    pub fn wait(
        &self,
        failed: u32,
        idempotent: bool,
        error: &Error,
        remaining: Option<Duration>,
        budget: &Budget,
        random: &Random,
    ) -> Option<Duration> {
        if !idempotent || failed >= self.attempts_max || !helps(error) {
            return None;
        }
        let wait = self.jitter(failed, random);
        let wait = wait.max(error.retry_delay().unwrap_or_default());
        if remaining.is_some_and(|remaining| wait >= remaining) {
            return None;
        }
        budget.withdraw().then_some(wait)
    }

    /// Any time up to `base * 2^(failed - 1)`, so that those who failed together do not come back
    /// together.
    fn jitter(&self, failed: u32, random: &Random) -> Duration {
        let doubled = 2_u32.saturating_pow(failed.saturating_sub(1));
        let longest = self.base.saturating_mul(doubled).min(self.wait_max);
        longest.mul_f64(random.unit())
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Whether the same call may succeed somewhere or somewhat later. What timed out may still be
/// running, and what was refused for the caller's rate must not come back at once.
fn helps(error: &Error) -> bool {
    match error.status() {
        Code::Unavailable => !error.is(&catalogue::CIRCUIT_OPEN),
        Code::ResourceExhausted => error.is(&catalogue::OVERLOADED),
        _ => false,
    }
}
