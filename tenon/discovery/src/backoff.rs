//! Waits between attempts: doubled after each failure, spread at random between half and all of
//! it, so that all clients of a registry that returns do not come back in one moment.

#![cfg_attr(
    not(any(feature = "dns", feature = "etcd", feature = "kubernetes")),
    expect(dead_code, reason = "a fixed list is never asked again")
)]

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

/// The wait after the first failure.
const FIRST: Duration = Duration::from_millis(100);

/// The waits of one source.
pub(crate) struct Backoff {
    failures: u32,
    longest: Duration,
}

impl Backoff {
    pub(crate) fn up_to(longest: Duration) -> Self {
        Self {
            failures: 0,
            longest,
        }
    }

    /// The source answered: the next failure is a first one again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Waits for the next attempt.
    pub(crate) async fn wait(&mut self) {
        let wait = between(self.failures, self.longest, random());
        self.failures = self.failures.saturating_add(1);
        tokio::time::sleep(wait).await;
    }
}

/// A random number, good enough to spread clients with.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn between(failures: u32, longest: Duration, seed: u64) -> Duration {
    let full = FIRST.saturating_mul(1 << failures.min(16)).min(longest);
    let share = u32::try_from(seed % 1000).unwrap_or(0);
    full / 2 + full / 2 * share / 1000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_wait_lies_between_half_and_all_of_the_doubled_one(
            failures in 0_u32..64,
            longest_ms in 100_u64..60_000,
            seed: u64,
        ) {
            let longest = Duration::from_millis(longest_ms);
            let doubled = Duration::from_millis(100 << failures.min(16)).min(longest);
            let wait = between(failures, longest, seed);
            prop_assert!(wait >= doubled / 2 && wait <= doubled, "{wait:?} of {doubled:?}");
        }
    }
}
