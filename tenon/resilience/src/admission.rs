//! How many of those that wait for a worker thread are let in while more come than can be done.
//!
//! Source: PIE (RFC 8033), which refuses a share of all that comes and moves that share by how
//! far the wait is from a target, and by how it changes. A share has what a limit on each
//! request's own wait lacks: it settles. Refusing costs time, too. Under ten times the load a
//! service that lets in all that waited less than some limit spends what refusing would need on
//! the work, answers fewer than come, and the queue moves into its callers, who wait there for
//! seconds.
//!
//! Two things differ from the RFC. Its gains are made for TCP, which answers a loss after a round
//! trip of 100 ms; a refused request is gone at once, so that ours are four times as strong.
//! And the share is not the same for all: it is taken from what is sheddable first and from what
//! is critical last, each by what came of it lately. Which ones of a class are refused is not
//! left to chance either but spread evenly, which leaves no runs.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::Criticality;

/// How often the share is moved; the RFC's is 15 ms.
const INTERVAL: Duration = Duration::from_millis(10);
/// The wait that is aimed at, in seconds: the RFC's figure. It keeps the threads busy.
const TARGET: f64 = 0.015;
/// How much the share moves by in an interval for each second that the wait is from its target.
const INTEGRAL: f64 = 0.5;
/// How much it moves by for each second that the wait has changed by.
const PROPORTIONAL: f64 = 2.0;
/// Even then one of fifty is let in: a wait that is not of our making, on a machine whose
/// processors others hold, does not end by refusing.
const SHARE_MAX: f64 = 0.98;
/// So few that wait are no queue, however long they do: what a few callers ask for is no overload.
const QUEUE_MIN: f64 = 8.0;
/// What is left, after an interval, of what came in the ones before.
const CAME_BETA: f64 = 0.8;
/// What was learnt longer ago says nothing.
const FORGET: Duration = Duration::from_secs(1);
/// The whole, in [`Admission::lets`].
const ONE: u32 = 1 << 16;

/// The share of each class that is let in, and what moves it. No lock is taken but by the one
/// request in 10 ms that moves it.
#[derive(Debug)]
pub(crate) struct Admission {
    start: Instant,
    /// Nanoseconds from the start to when the share was last moved.
    moved: AtomicU64,
    /// What came since then: how long it all waited, in microseconds, and how many of each class.
    waited: AtomicU64,
    came: [AtomicU64; 3],
    control: Mutex<Control>,
    /// How much of each class is let in, of [`ONE`].
    lets: [AtomicU32; 3],
    /// What the refused of each class have left over for the next to be let in.
    left_over: [AtomicU32; 3],
}

impl Admission {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            moved: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            came: Default::default(),
            control: Mutex::new(Control::default()),
            lets: [const { AtomicU32::new(ONE) }; 3],
            left_over: Default::default(),
        }
    }

    /// Whether a request is let in that has waited for `wait` until `now`.
    pub(crate) fn admits(&self, class: Criticality, wait: Duration, now: Instant) -> bool {
        let micros = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        self.waited.fetch_add(micros, Relaxed);
        self.came[class.index()].fetch_add(1, Relaxed);
        self.look(now);
        let lets = self.lets[class.index()].load(Relaxed);
        if lets >= ONE {
            return true;
        }
        let before = self.left_over[class.index()].fetch_add(lets, Relaxed);
        before % ONE + lets >= ONE
    }

    /// Whether anything is refused.
    pub(crate) fn is_refusing(&self) -> bool {
        self.lets.iter().any(|lets| lets.load(Relaxed) < ONE)
    }

    /// Moves the share, once in an interval.
    fn look(&self, now: Instant) {
        let since_start = now.saturating_duration_since(self.start).as_nanos();
        let nanos = u64::try_from(since_start).unwrap_or(u64::MAX);
        let moved = self.moved.load(Relaxed);
        let elapsed = Duration::from_nanos(nanos.saturating_sub(moved));
        let exchange = || {
            self.moved
                .compare_exchange(moved, nanos, Relaxed, Relaxed)
                .is_ok()
        };
        if elapsed < INTERVAL || !exchange() {
            return;
        }
        let waited = self.waited.swap(0, Relaxed);
        let came = [0, 1, 2].map(|class| self.came[class].swap(0, Relaxed) as f64);
        let mut control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        if elapsed > FORGET {
            // What came since then came over all that time, and is no sample of anything.
            *control = Control::default();
        } else {
            let wait = waited as f64 / 1e6 / came.iter().sum::<f64>().max(1.0);
            control.step(wait, came, elapsed.as_secs_f64());
        }
        for (lets, part) in self.lets.iter().zip(control.lets()) {
            lets.store((part * f64::from(ONE)).round() as u32, Relaxed);
        }
    }
}

/// The controller.
#[derive(Debug, Clone, Default)]
struct Control {
    /// How much of all that comes is refused.
    share: f64,
    /// The mean wait of the last interval, in seconds.
    wait: f64,
    /// What came lately, by [`Criticality::index`].
    came: [f64; 3],
}

impl Control {
    /// One interval of `elapsed` seconds is over, in which `came` requests waited for `wait`
    /// seconds in the mean.
    fn step(&mut self, wait: f64, came: [f64; 3], elapsed: f64) {
        // Little's law.
        let queue = came.iter().sum::<f64>() / elapsed * wait;
        let wait = if queue < QUEUE_MIN { 0.0 } else { wait };
        let moved = INTEGRAL * (wait - TARGET) + PROPORTIONAL * (wait - self.wait);
        self.share = (self.share + moved).clamp(0.0, SHARE_MAX);
        self.wait = wait;
        for (old, new) in self.came.iter_mut().zip(came) {
            *old = *old * CAME_BETA + new;
        }
    }

    /// How much of each class is let in: the share is taken from the first class, then from the
    /// next.
    fn lets(&self) -> [f64; 3] {
        let mut refuse = self.share * self.came.iter().sum::<f64>();
        self.came.map(|came| {
            let refused = refuse.min(came);
            refuse -= refused;
            if came > 0.0 {
                1.0 - refused / came
            } else {
                1.0
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// PIE's formula written out over plain lists, and what the classes make of its share.
        #[test]
        fn the_share_is_that_of_the_formula(
            intervals in prop::collection::vec(
                (0.0_f64..0.2, prop::array::uniform3(0_u32..200)), 1..200),
        ) {
            let mut control = Control::default();
            let (mut share, mut before) = (0.0_f64, 0.0_f64);
            for (wait, came) in &intervals {
                let came = came.map(f64::from);
                let all: f64 = came.iter().sum();
                control.step(*wait, came, 0.01);
                let wait = if all / 0.01 * wait < 8.0 { 0.0 } else { *wait };
                share += 0.5 * (wait - 0.015) + 2.0 * (wait - before);
                share = share.clamp(0.0, 0.98);
                before = wait;
                prop_assert!((control.share - share).abs() < 1e-9);
                let lets = control.lets();
                let refused: f64 = (0..3).map(|class| (1.0 - lets[class]) * control.came[class]).sum();
                let lately: f64 = control.came.iter().sum();
                prop_assert!((refused - share * lately).abs() < 1e-6 * lately.max(1.0));
                // Nothing is refused of a class before all of the one below it is.
                for class in 1..3 {
                    let below = control.came[class - 1];
                    prop_assert!(lets[class] == 1.0 || lets[class - 1] < 1e-9 || below == 0.0);
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_refused_of_a_class_are_spread_evenly() {
        let admission = Admission::new();
        admission.lets[1].store(ONE / 4, Relaxed);
        let now = Instant::now();
        let let_in: Vec<_> = (0..40)
            .filter(|_| admission.admits(Criticality::Normal, Duration::ZERO, now))
            .collect();
        assert_eq!(
            let_in,
            (0..40).filter(|each| each % 4 == 3).collect::<Vec<_>>()
        );
    }
}
