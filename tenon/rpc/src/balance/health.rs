//! When an instance is left out because it fails, and how it comes back.
//!
//! Source: Envoy's outlier detection (consecutive failures, failure ratio, a limit to how many
//! are left out) and slow start; the waits double as those of Linkerd's failure accrual.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tenon_resilience::Random;

/// So many failures in a row leave an instance out; Envoy's and Finagle's number.
const CONSECUTIVE_MAX: u32 = 5;
/// So many calls of one window are needed for their ratio to say anything.
const RATIO_CALLS_MIN: u64 = 20;
/// The part of failures in a window, in per cent, that leaves an instance out.
const RATIO_MAX: u64 = 50;
/// The length of a window.
const WINDOW_MS: u32 = 10_000;
/// How long an instance is left out for the first time; it doubles with each further one.
const FIRST_OUT: Duration = Duration::from_secs(1);
/// The longest time.
const LONGEST_OUT: Duration = Duration::from_secs(60);
/// How long a probe may take before another is sent.
const PROBE_TIMEOUT_MS: u32 = 5_000;
/// How long an instance is spared after it came, or came back: caches and compilers warm up.
const SLOW_START_MS: u32 = 10_000;
/// The part of its weight that it has at first.
const SLOW_START_MIN: f32 = 0.1;

/// When instances are left out, for people.
pub fn settings() -> String {
    let window = WINDOW_MS / 1000;
    format!(
        "after {CONSECUTIVE_MAX} failures in a row, or {RATIO_MAX} per cent of {RATIO_CALLS_MIN} \
         calls in {window}s, for {FIRST_OUT:?} doubling to {LONGEST_OUT:?}; at most half of the \
         instances"
    )
}

/// How a call ended, as far as it tells of the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It answered, be it with an error of the call's own.
    Success,
    /// It could not, or its connection broke.
    Failure,
    /// It did not answer in time. Many of these in a row are a failure; some among answers are
    /// the call's affair.
    TimedOut,
    /// It says nothing: the caller gave up, or the instance is busy, which its load shows.
    Neutral,
}

/// Whether an instance takes calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It does.
    In,
    /// It is left out.
    Out,
    /// It is left out, and the time has come to try it.
    Due,
}

/// The health of one instance. Times are milliseconds from the balancer's start, never 0 where
/// one is set.
pub(super) struct Health {
    in_a_row: AtomicU32,
    /// The window's number (upper half), its calls and its failures (16 bits each).
    window: AtomicU64,
    /// Left out until then; 0 while it takes calls.
    out_until: AtomicU32,
    /// How often it was left out without a settled time between.
    times_out: AtomicU32,
    /// Since when it takes calls again; 0 when it always did.
    since: AtomicU32,
}

impl Health {
    /// Of an instance that was there from the start.
    pub(super) fn settled() -> Self {
        Self {
            in_a_row: AtomicU32::new(0),
            window: AtomicU64::new(0),
            out_until: AtomicU32::new(0),
            times_out: AtomicU32::new(0),
            since: AtomicU32::new(0),
        }
    }

    /// Of an instance that came later.
    pub(super) fn fresh(now: u32) -> Self {
        let health = Self::settled();
        health.since.store(now.max(1), Relaxed);
        health
    }

    pub(super) fn state(&self, now: u32) -> State {
        match self.out_until.load(Relaxed) {
            0 => State::In,
            until if is_before(now, until) => State::Out,
            _ => State::Due,
        }
    }

    pub(super) fn is_out(&self, now: u32) -> bool {
        self.state(now) != State::In
    }

    /// Takes the right to probe a due instance; nobody else gets it until the probe had its time.
    pub(super) fn claim(&self, now: u32) -> bool {
        let until = self.out_until.load(Relaxed);
        let next = now.wrapping_add(PROBE_TIMEOUT_MS).max(1);
        self.state(now) == State::Due
            && self
                .out_until
                .compare_exchange(until, next, Relaxed, Relaxed)
                .is_ok()
    }

    // ## In => Out
    pub(super) fn eject(&self, now: u32, jitter: f32) {
        let times = self.times_out.fetch_add(1, Relaxed);
        let longest = LONGEST_OUT.as_millis() as u32;
        let full = (FIRST_OUT.as_millis() as u32)
            .saturating_mul(1 << times.min(10))
            .min(longest);
        // Between half of it and all of it, so that clients do not come back together.
        let wait = full / 2 + (full as f32 / 2.0 * jitter) as u32;
        self.out_until.store(now.wrapping_add(wait).max(1), Relaxed);
        self.since.store(0, Relaxed);
        self.in_a_row.store(0, Relaxed);
        self.window.store(0, Relaxed);
    }

    // ## Out => In, slowly
    pub(super) fn admit(&self, now: u32) {
        self.out_until.store(0, Relaxed);
        self.in_a_row.store(0, Relaxed);
        self.window.store(0, Relaxed);
        self.since.store(now.max(1), Relaxed);
    }

    /// Whether a draw of this instance counts: after it came or came back, only some do.
    pub(super) fn takes_share(&self, now: u32, random: &Random) -> bool {
        let since = self.since.load(Relaxed);
        if since == 0 {
            return true;
        }
        let age = (now.wrapping_sub(since) as i32).max(0);
        let share = ramp(age.unsigned_abs());
        if share >= 1.0 {
            // Settled: what it once failed is forgotten, and nobody asks for its start again.
            self.since.store(0, Relaxed);
            self.times_out.store(0, Relaxed);
            return true;
        }
        (random.unit() as f32) < share
    }

    /// Whether it came, or came back, a short time ago.
    pub(super) fn is_starting(&self) -> bool {
        self.since.load(Relaxed) != 0
    }

    /// Takes note of a call, and says whether the instance is to be left out.
    pub(super) fn record(&self, now: u32, outcome: Outcome) -> bool {
        let failed = match outcome {
            Outcome::Neutral => return false,
            Outcome::Success => {
                // Read first: a store on each call would move the line between all cores.
                if self.in_a_row.load(Relaxed) != 0 {
                    self.in_a_row.store(0, Relaxed);
                }
                false
            }
            Outcome::Failure | Outcome::TimedOut => true,
        };
        // One that has just come back from outside has used its credit up.
        let is_on_trial = self.is_starting() && self.times_out.load(Relaxed) > 0;
        let most = if is_on_trial { 1 } else { CONSECUTIVE_MAX };
        let in_a_row = failed && self.in_a_row.fetch_add(1, Relaxed) + 1 >= most;
        let too_many = match outcome {
            Outcome::TimedOut => false,
            _ => self.count(now, failed),
        };
        failed && (in_a_row || too_many) && !self.is_out(now)
    }

    /// Counts in the window of `now`, and says whether the ratio is too bad.
    fn count(&self, now: u32, failed: bool) -> bool {
        let number = u64::from(now / WINDOW_MS) + 1;
        let packed = self.window.load(Relaxed);
        let (calls, failures) = match packed >> 32 == number {
            true => ((packed >> 16) & 0xffff, packed & 0xffff),
            false => (0, 0),
        };
        // Far beyond what the ratio needs; halving keeps it.
        let (calls, failures) = match calls < 0xffff {
            true => (calls + 1, failures + u64::from(failed)),
            false => (calls / 2, failures / 2),
        };
        self.window
            .store((number << 32) | (calls << 16) | failures, Relaxed);
        calls >= RATIO_CALLS_MIN && failures * 100 >= calls * RATIO_MAX
    }
}

/// The part of its weight that an instance has so many milliseconds after it came.
fn ramp(age_ms: u32) -> f32 {
    (age_ms as f32 / SLOW_START_MS as f32).clamp(SLOW_START_MIN, 1.0)
}

fn is_before(now: u32, then: u32) -> bool {
    (then.wrapping_sub(now) as i32) > 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a window says, counted plainly.
    fn ratio_is_bad(window: &[bool]) -> bool {
        let failures = window.iter().filter(|failed| **failed).count();
        window.len() >= 20 && failures * 2 >= window.len()
    }

    proptest! {
        #[test]
        fn the_rule_is_the_plain_one(calls in prop::collection::vec(any::<bool>(), 0..200)) {
            let health = Health::settled();
            let mut in_a_row = 0;
            for at in 0..calls.len() {
                let failed = calls[at];
                in_a_row = if failed { in_a_row + 1 } else { 0 };
                let expected = failed && (in_a_row >= 5 || ratio_is_bad(&calls[..=at]));
                let outcome = if failed { Outcome::Failure } else { Outcome::Success };
                prop_assert_eq!(health.record(1, outcome), expected, "call {}", at);
            }
        }

        #[test]
        fn waits_double_up_to_the_longest(times in 0_u32..40, jitter in 0_f32..1.0) {
            let health = Health::settled();
            for _ in 0..times {
                health.eject(5, 0.0);
            }
            health.eject(1000, jitter);
            let until = health.out_until.load(Relaxed) - 1000;
            let full = (1000 * 2_u64.pow(times.min(10))).min(60_000) as u32;
            prop_assert!((full / 2..=full).contains(&until), "{until} of {full}");
        }
    }

    #[test]
    fn a_time_out_among_answers_is_the_calls_affair_and_many_in_a_row_are_not() {
        let health = Health::settled();
        for _ in 0..100 {
            assert!(!health.record(1, Outcome::TimedOut));
            assert!(!health.record(1, Outcome::Neutral));
            assert!(!health.record(1, Outcome::Success));
        }
        let out = (0..5).map(|_| health.record(1, Outcome::TimedOut));
        assert_eq!(out.collect::<Vec<_>>(), [false, false, false, false, true]);
    }

    #[test]
    fn one_probe_at_a_time_and_a_slow_start_after_it() {
        let health = Health::settled();
        health.eject(1000, 0.5);
        assert_eq!(health.state(1749), State::Out);
        assert!(!health.claim(1749));
        assert_eq!(health.state(1750), State::Due);
        assert!(health.claim(1750));
        assert!(!health.claim(1751), "the probe is under way");
        health.admit(1800);
        assert_eq!(health.state(1800), State::In);
        let random = Random::seeded(7);
        let share = |now: u32| {
            let taken = (0..2000).filter(|_| health.takes_share(now, &random));
            taken.count() as f32 / 2000.0
        };
        for (age, expected) in [(0, 0.1), (5_000, 0.5), (9_000, 0.9), (10_000, 1.0)] {
            assert!(
                (share(1800 + age) - expected).abs() < 0.05,
                "after {age} ms"
            );
        }
        assert_eq!(health.times_out.load(Relaxed), 0, "settled");
    }

    #[test]
    fn one_that_came_back_is_left_out_at_its_first_failure() {
        let health = Health::settled();
        health.eject(1, 0.0);
        health.admit(1000);
        assert!(!health.record(1001, Outcome::Success));
        assert!(health.record(1002, Outcome::Failure));
        // One that is only new is not.
        assert!(!Health::fresh(1).record(2, Outcome::Failure));
    }

    #[test]
    fn a_window_forgets() {
        let health = Health::settled();
        for _ in 0..4 {
            for _ in 0..4 {
                health.record(1, Outcome::Failure);
            }
            health.record(1, Outcome::Success);
        }
        // 20 calls, 16 of them failed; the next one would be too many, but a window later.
        assert!(!health.record(WINDOW_MS + 1, Outcome::Failure));
    }
}
