//! Counters over a window that slides with time: a ring of buckets, each one atomic word.
//!
//! A word holds the tick that it counts for and the count. Whoever comes first in a new tick
//! replaces an old word whole, so that no reader sees an old count under a new tick and nobody
//! takes a lock. A word tells a million ticks apart, more than a day of the shortest ones: a
//! bucket that nobody touched for exactly that long would be taken for a new one, once.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

/// Bits of a count; the bits above are those of the tick.
const COUNT_BITS: u32 = 44;
const COUNT: u64 = (1 << COUNT_BITS) - 1;
/// The first tick: no window is so long that it would begin before zero.
const FIRST: u64 = 1024;

/// Time in equal steps since a start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticks {
    start: Instant,
    width: u64,
}

impl Ticks {
    /// Steps of `width`, from now on.
    pub(crate) fn new(width: Duration) -> Self {
        Self {
            start: Instant::now(),
            width: u64::try_from(width.as_nanos()).unwrap_or(u64::MAX),
        }
    }

    /// The step in which `now` lies.
    pub(crate) fn at(&self, now: Instant) -> u64 {
        FIRST + self.nanos(now) / self.width
    }

    /// Nanoseconds since the start.
    pub(crate) fn nanos(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.start);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A count for each of the last `N` ticks.
#[derive(Debug)]
pub(crate) struct Ring<const N: usize> {
    words: [AtomicU64; N],
}

impl<const N: usize> Ring<N> {
    pub(crate) const fn new() -> Self {
        Self {
            words: [const { AtomicU64::new(0) }; N],
        }
    }

    /// Counts `amount` more in `tick`. What comes later than a whole window is forgotten.
    pub(crate) fn add(&self, tick: u64, amount: u64) {
        let word = self.word(tick);
        let mark = mark(tick);
        let mut seen = word.load(Relaxed);
        loop {
            if seen & !COUNT == mark {
                word.fetch_add(amount & COUNT, Relaxed);
                return;
            }
            let ahead = ((seen & !COUNT).wrapping_sub(mark)) >> COUNT_BITS;
            if ahead <= FIRST && seen != 0 {
                // The bucket is of a later tick than this straggler's.
                return;
            }
            match word.compare_exchange_weak(seen, mark | (amount & COUNT), Relaxed, Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// The count of one tick of the last `N`.
    pub(crate) fn get(&self, tick: u64) -> u64 {
        let seen = self.word(tick).load(Relaxed);
        if seen & !COUNT == mark(tick) {
            seen & COUNT
        } else {
            0
        }
    }

    /// The sum over the `N` ticks that end with `tick`.
    pub(crate) fn sum(&self, tick: u64) -> u64 {
        (tick + 1 - N as u64..=tick)
            .map(|tick| self.get(tick))
            .sum()
    }

    fn word(&self, tick: u64) -> &AtomicU64 {
        &self.words[(tick % N as u64) as usize]
    }
}

const fn mark(tick: u64) -> u64 {
    tick << COUNT_BITS
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::{FIRST, Ring};

    proptest! {
        /// The ring counts what a map of all ticks would.
        #[test]
        fn a_ring_is_a_map_of_its_last_ticks(
            start in FIRST..(3_u64 << 20),
            steps in prop::collection::vec((0_u64..6, 0_u64..1000), 1..200),
        ) {
            let ring = Ring::<8>::new();
            let mut all = HashMap::new();
            let mut tick = start;
            // As the breaker and the shedder do, from the first tick on.
            ring.add(tick, 0);
            for (step, amount) in steps {
                tick += step;
                ring.add(tick, amount);
                *all.entry(tick).or_insert(0) += amount;
                let expected: u64 = (tick - 7..=tick).filter_map(|tick| all.get(&tick)).sum();
                prop_assert_eq!(ring.sum(tick), expected);
            }
        }
    }

    #[test]
    fn a_straggler_wipes_nothing() {
        let ring = Ring::<4>::new();
        let now = FIRST + 100;
        ring.add(now, 5);
        ring.add(now - 4, 7);
        assert_eq!(ring.sum(now), 5);
    }

    #[test]
    fn threads_lose_no_count() {
        let ring = Ring::<4>::new();
        let now = FIRST;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| ring.add(now, 1)));
            }
        });
        assert_eq!(ring.sum(now), 40_000);
    }
}
