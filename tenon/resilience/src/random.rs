//! Random numbers for decisions that a seed must be able to repeat.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014):
/// one atomic addition a number, so that threads share it without a lock. For chances, never for
/// secrets.
#[derive(Debug)]
pub struct Random {
    state: AtomicU64,
}

impl Random {
    /// Numbers that differ in every process.
    pub fn new() -> Self {
        // The standard library seeds its hash maps from the operating system.
        Self::seeded(RandomState::new().hash_one(0_u8))
    }

    /// The same numbers for the same seed.
    pub const fn seeded(seed: u64) -> Self {
        Self {
            state: AtomicU64::new(seed),
        }
    }

    /// A number from all 64 bits.
    pub fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.state.fetch_add(STEP, Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to, and without, 1.
    pub fn unit(&self) -> f64 {
        // 53 bits are what an f64 holds exactly.
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether an event of this probability happens.
    pub fn happens(&self, probability: f64) -> bool {
        self.unit() < probability
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    /// The first outputs of the authors' reference program for the seed 1234567.
    #[test]
    fn the_published_vector_is_met() {
        let random = Random::seeded(1_234_567);
        let first: Vec<_> = (0..3).map(|_| random.next()).collect();
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn chances_come_as_often_as_they_should() {
        let random = Random::seeded(7);
        for probability in [0.0, 0.1, 0.5, 0.9, 1.0] {
            let hits = (0..100_000).filter(|_| random.happens(probability)).count();
            let share = hits as f64 / 100_000.0;
            assert!((share - probability).abs() < 0.01, "{probability}: {share}");
        }
    }
}
