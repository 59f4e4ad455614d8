//! How long a call to an instance would take: peak EWMA times what is in flight.
//!
//! Source: Finagle's `PeakEwma` (com.twitter.finagle.loadbalancer.PeakEwma), which Linkerd took
//! over. The estimate jumps up with a slow answer and comes down over [`DECAY`]; without answers
//! it falls towards zero, so that an instance that was slow is tried again.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The time in which the past loses all but 1/e of its weight; the default of Finagle for RPC and
/// of go-zero.
const DECAY: Duration = Duration::from_secs(10);
/// Added to each estimate, in seconds: below a millisecond, differences between instances are
/// those of the caller's own scheduler.
const FLOOR: f32 = 0.001;
/// The load of an instance that is being asked for the first time: all others come first.
const UNKNOWN: f32 = 1e9;

/// What is known of one instance. Written without a lock: two answers at once may lose one of
/// them, which an estimate bears.
#[derive(Default)]
pub(super) struct Load {
    /// The estimate in seconds (upper half, the bits of an `f32`), and the millisecond it is of.
    estimate: AtomicU64,
    in_flight: AtomicU32,
}

impl Load {
    pub(super) fn begin(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    pub(super) fn end(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    /// The load at `now`. `share` is the mean weight over the instance's own: one of twice the
    /// weight bears twice as many calls in flight.
    pub(super) fn now(&self, now: u32, share: f32) -> f32 {
        let in_flight = self.in_flight.load(Relaxed) as f32;
        let packed = self.estimate.load(Relaxed);
        if packed == 0 && in_flight > 0.0 {
            return UNKNOWN + in_flight;
        }
        let (seconds, at) = unpack(packed);
        (seconds * kept(now, at) + FLOOR) * (1.0 + in_flight * share)
    }

    /// How many calls are in flight.
    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// The estimate alone; `None` when nothing was ever measured.
    pub(super) fn latency(&self, now: u32) -> Option<Duration> {
        let packed = self.estimate.load(Relaxed);
        let (seconds, at) = unpack(packed);
        (packed != 0).then(|| Duration::from_secs_f32(seconds * kept(now, at)))
    }

    /// An answer took this long.
    pub(super) fn took(&self, now: u32, elapsed: Duration) {
        let elapsed = elapsed.as_secs_f32();
        self.update(|seconds, at| {
            let kept = kept(now, at);
            let mean = seconds * kept + elapsed * (1.0 - kept);
            pack(if elapsed > seconds { elapsed } else { mean }, now)
        });
    }

    /// There was no answer for this long. That can only raise the estimate.
    pub(super) fn took_at_least(&self, now: u32, elapsed: Duration) {
        let elapsed = elapsed.as_secs_f32();
        self.update(|seconds, at| match elapsed > seconds * kept(now, at) {
            true => pack(elapsed, now),
            false => pack(seconds, at),
        });
    }

    fn update(&self, next: impl Fn(f32, u32) -> u64) {
        let packed = self.estimate.load(Relaxed);
        let (seconds, at) = unpack(packed);
        self.estimate.store(next(seconds, at), Relaxed);
    }
}

/// The part of an estimate of `at` that is left at `now`.
fn kept(now: u32, at: u32) -> f32 {
    let since = now.wrapping_sub(at) as i32;
    (-(since.max(0) as f32) / DECAY.as_millis() as f32).exp()
}

fn pack(seconds: f32, at: u32) -> u64 {
    // Never all zero, which stands for an instance that was never asked.
    (u64::from(seconds.max(f32::MIN_POSITIVE).to_bits()) << 32) | u64::from(at)
}

fn unpack(packed: u64) -> (f32, u32) {
    (f32::from_bits((packed >> 32) as u32), packed as u32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn millis(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// The formula as Finagle has it, in double precision and without packing.
    struct Reference {
        cost: f64,
        stamp: f64,
    }

    impl Reference {
        fn observe(&mut self, now: f64, rtt: f64) {
            let weight = (-(now - self.stamp).max(0.0) / 10_000.0).exp();
            self.cost = match rtt > self.cost {
                true => rtt,
                false => self.cost * weight + rtt * (1.0 - weight),
            };
            self.stamp = now;
        }
    }

    proptest! {
        #[test]
        fn the_estimate_is_finagles(
            steps in prop::collection::vec((0_u32..20_000, 1_u64..5_000), 1..50),
        ) {
            let load = Load::default();
            let mut reference = Reference { cost: 0.0, stamp: 0.0 };
            let mut now = 0;
            for (pause, rtt) in steps {
                now += pause;
                load.took(now, millis(rtt));
                reference.observe(f64::from(now), rtt as f64 / 1000.0);
                let (seconds, _) = unpack(load.estimate.load(Relaxed));
                let off = (f64::from(seconds) - reference.cost).abs() / reference.cost;
                prop_assert!(off < 1e-3, "{seconds} is not {}", reference.cost);
            }
        }
    }

    #[test]
    fn a_slow_answer_counts_at_once_and_is_forgotten_over_the_decay() {
        let load = Load::default();
        load.took(0, millis(10));
        load.took(1, millis(500));
        let after = |now: u32| load.now(now, 1.0) - FLOOR;
        assert!((after(1) - 0.5).abs() < 1e-3);
        assert!((after(10_001) - 0.5 / 1_f32.exp()).abs() < 1e-3);
        load.took(10_001, millis(10));
        assert!(after(10_001) < 0.2);
    }

    #[test]
    fn silence_only_raises_the_estimate() {
        let load = Load::default();
        load.took(0, millis(100));
        load.took_at_least(1, millis(1));
        assert!(load.now(1, 1.0) > 0.09);
        load.took_at_least(1, millis(900));
        assert!(load.now(1, 1.0) > 0.89);
    }

    #[test]
    fn what_is_in_flight_multiplies_by_its_share_of_the_weights() {
        let load = Load::default();
        load.took(0, millis(9));
        let idle = load.now(0, 1.0);
        load.begin();
        load.begin();
        assert!((load.now(0, 1.0) / idle - 3.0).abs() < 1e-3);
        assert!((load.now(0, 0.5) / idle - 2.0).abs() < 1e-3);
        load.end();
        load.end();
        assert!((load.now(0, 1.0) - idle).abs() < 1e-6);
    }

    #[test]
    fn an_unknown_instance_gets_one_call_before_it_is_measured() {
        let load = Load::default();
        let known = Load::default();
        known.took(0, millis(50));
        assert!(load.now(0, 1.0) < known.now(0, 1.0));
        load.begin();
        assert!(load.now(0, 1.0) > known.now(0, 1.0) * 1000.0);
    }
}
