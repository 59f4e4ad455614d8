//! A limit on calls in flight that follows the latency of the one that is called.
//!
//! Source: Gradient2 of Netflix's `concurrency-limits`. At the end of each window of samples,
//!
//! ```text
//! gradient = clamp(1.5 * long / short, 0.5, 1.0)
//! limit    = 0.8 * limit + 0.2 * (limit * gradient + sqrt(limit)),  clamped to [min, max]
//! ```
//!
//! where `short` is the mean time of the window and `long` its exponential mean over 600 windows.
//! A window with calls that the other side dropped takes the gradient 0.9 at most (Netflix's
//! AIMD). A limit of which less than half is used does not grow; that it does not fall either, as in
//! Netflix's source, would leave it wide open when few callers meet a peer that has slowed down.
//!
//! It belongs on the side that calls. The side that answers has its shedder: two controllers on
//! one queue would chase each other.

use std::{
    sync::{
        Mutex, TryLockError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tenon_core::{Error, catalogue};
use tokio::time::Instant;

/// How far a limit may go, and where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The limit before anything was measured.
    pub initial: usize,
    /// The limit never falls below this: what is needed to notice that things are well again.
    pub min: usize,
    /// The limit never rises above this.
    pub max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        // 128 in flight are 12,800 calls a second at 10 ms each: enough to begin with, and far
        // below what would hurt a slow peer. 8 keep a slow one measurable.
        Self {
            initial: 128,
            min: 8,
            max: 4096,
        }
    }
}

/// How much a slower window is tolerated before the limit falls.
const TOLERANCE: f64 = 1.5;
/// How much of a new limit is taken at once.
const SMOOTHING: f64 = 0.2;
/// The gradient of a window with dropped calls, at most.
const BACK_OFF: f64 = 0.9;
/// Windows that the long mean looks back over.
const LONG_WINDOWS: f64 = 600.0;
/// The long mean is the plain mean of so many first windows.
const WARM_UP: u64 = 10;
/// A window takes so many samples at least, so that one slow call does not speak for all.
const SAMPLES_MIN: u64 = 10;
/// A window lasts twice the mean time of its calls, between these.
const WINDOW_MIN: Duration = Duration::from_millis(10);
const WINDOW_MAX: Duration = Duration::from_secs(1);

/// An adaptive limit on the calls in flight to one endpoint.
///
/// ```
/// # use tenon_resilience::Limit;
/// # async fn call() -> Result<(), tenon_core::Error> { Ok(()) }
/// # async fn example(limit: &Limit) -> Result<(), tenon_core::Error> {
/// let flight = limit.acquire()?;
/// let outcome = call().await;
/// flight.success();
/// # outcome }
/// ```
#[derive(Debug)]
pub struct Limit {
    settings: Settings,
    limit: AtomicUsize,
    in_flight: AtomicUsize,
    samples: AtomicU64,
    /// Microseconds of the samples together.
    time: AtomicU64,
    dropped: AtomicU64,
    /// The most in flight since the window began.
    peak: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: f64,
    long: LongMean,
    began: Instant,
}

impl Limit {
    /// A limit that nothing was measured for.
    pub fn new(settings: Settings) -> Self {
        let initial = settings.initial.clamp(settings.min, settings.max);
        Self {
            settings,
            limit: AtomicUsize::new(initial),
            in_flight: AtomicUsize::new(0),
            samples: AtomicU64::new(0),
            time: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            peak: AtomicUsize::new(0),
            state: Mutex::new(State {
                limit: initial as f64,
                long: LongMean::default(),
                began: Instant::now(),
            }),
        }
    }

    /// Takes a place, if there is one.
    ///
    /// # Errors
    /// As many calls are in flight as the peer can take now.
    pub fn acquire(&self) -> Result<Flight<'_>, Full> {
        self.acquire_at(Instant::now())
    }

    /// [`Limit::acquire`] for who has just read the clock.
    ///
    /// # Errors
    /// As there.
    pub fn acquire_at(&self, now: Instant) -> Result<Flight<'_>, Full> {
        let in_flight = self.in_flight.fetch_add(1, Relaxed) + 1;
        let flight = Flight {
            limit: self,
            began: now,
        };
        if in_flight > self.limit.load(Relaxed) {
            return Err(Full);
        }
        self.peak.fetch_max(in_flight, Relaxed);
        Ok(flight)
    }

    /// The limit now.
    pub fn limit(&self) -> usize {
        self.limit.load(Relaxed)
    }

    /// How many calls are in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
    }

    fn sample(&self, began: Instant, dropped: bool) {
        let now = Instant::now();
        let took = now.saturating_duration_since(began);
        self.time.fetch_add(micros(took), Relaxed);
        self.dropped.fetch_add(u64::from(dropped), Relaxed);
        if self.samples.fetch_add(1, Relaxed) + 1 >= SAMPLES_MIN {
            self.end_window(now);
        }
    }

    /// Whoever finds the window over ends it; the others need not wait for that.
    fn end_window(&self, now: Instant) {
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let samples = self.samples.load(Relaxed);
        if samples < SAMPLES_MIN {
            return;
        }
        let short = self.time.load(Relaxed) as f64 / samples as f64;
        let lasts = Duration::from_secs_f64(2.0 * short / 1e6).clamp(WINDOW_MIN, WINDOW_MAX);
        if now.saturating_duration_since(state.began) < lasts {
            return;
        }
        // Samples that others add meanwhile are lost; the means do not miss them.
        self.samples.store(0, Relaxed);
        self.time.store(0, Relaxed);
        let dropped = self.dropped.swap(0, Relaxed) > 0;
        let peak = self.peak.swap(self.in_flight(), Relaxed);
        state.began = now;
        let long = state.long.add(short);
        state.limit = next(state.limit, long, short, peak, dropped, &self.settings);
        self.limit.store(state.limit as usize, Relaxed);
    }
}

/// The formula of this module. `long` and `short` in the same unit.
fn next(limit: f64, long: f64, short: f64, peak: usize, dropped: bool, settings: &Settings) -> f64 {
    let most = if dropped { BACK_OFF } else { 1.0 };
    let gradient = (TOLERANCE * long / short.max(1.0)).min(most).max(0.5);
    let room = if dropped { 0.0 } else { limit.sqrt() };
    let wanted = limit * gradient + room;
    let smoothed = limit * (1.0 - SMOOTHING) + wanted * SMOOTHING;
    let highest = if (peak as f64) < limit / 2.0 {
        limit
    } else {
        settings.max as f64
    };
    smoothed.min(highest).max(settings.min as f64)
}

/// The exponential mean of Netflix's `ExpAvgMeasurement`, which begins as a plain one.
#[derive(Debug, Default)]
struct LongMean {
    value: f64,
    sum: f64,
    count: u64,
}

impl LongMean {
    fn add(&mut self, sample: f64) -> f64 {
        if self.count < WARM_UP {
            self.count += 1;
            self.sum += sample;
            self.value = self.sum / self.count as f64;
        } else {
            let weight = 2.0 / (LONG_WINDOWS + 1.0);
            self.value = self.value * (1.0 - weight) + sample * weight;
        }
        // After a long time of load the mean would stay high for as long again.
        if self.value / sample.max(1.0) > 2.0 {
            self.value *= 0.9;
        }
        self.value
    }
}

/// A call in flight. Dropped without a word it gives its place back and is no sample.
#[derive(Debug)]
#[must_use = "the place is given back when this is dropped"]
pub struct Flight<'a> {
    limit: &'a Limit,
    began: Instant,
}

impl Flight<'_> {
    /// The call was answered: its time is a sample.
    pub fn success(self) {
        self.limit.sample(self.began, false);
    }

    /// The other side had no time or no room: a sample, and a sign to back off.
    pub fn dropped(self) {
        self.limit.sample(self.began, true);
    }

    /// The call says nothing about latency: it failed at once, or its caller left.
    pub fn ignore(self) {}
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.limit.in_flight.fetch_sub(1, Relaxed);
    }
}

/// There was no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl From<Full> for Error {
    fn from(_: Full) -> Self {
        catalogue::OVERLOADED.error()
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Gradient2 as Netflix's source writes it, with their constants and our queue.
        #[test]
        fn the_next_limit_is_that_of_the_formula(
            limit in 8.0_f64..4096.0, long in 1.0_f64..1e6, short in 1.0_f64..1e6,
        ) {
            let settings = Settings::default();
            let gradient = (1.5 * long / short).clamp(0.5, 1.0);
            let new = limit * gradient + limit.sqrt();
            let new = limit * (1.0 - 0.2) + new * 0.2;
            let new = new.clamp(8.0, 4096.0);
            let ours = next(limit, long, short, limit as usize, false, &settings);
            prop_assert!((ours - new).abs() < 1e-9, "{ours} {new}");
            let idle = next(limit, long, short, (limit / 2.0) as usize - 1, false, &settings);
            prop_assert!((idle - new.min(limit)).abs() < 1e-9, "{idle} {new}");
            let dropped = next(limit, long, short, 0, true, &settings);
            prop_assert!(dropped < limit || dropped == 8.0);
        }
    }
}
