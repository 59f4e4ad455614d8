//! The wall clock behind a trait, so that tests set the time.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// The wall clock. Deadlines never use it: they run on the monotonic clock of [`crate::Context`].
pub trait Clock: Send + Sync + 'static {
    /// The time now, UTC.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine, in whole microseconds: what the store keeps of a time. What is
/// answered when something is made is then what is read of it later.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug, Clone)]
pub struct ManualClock {
    now: Arc<Mutex<Timestamp>>,
}

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn at(now: Timestamp) -> Self {
        Self {
            now: Arc::new(Mutex::new(now)),
        }
    }

    /// Moves the clock forward, or back with a negative duration. A move past the range of
    /// [`Timestamp`] leaves it where it is.
    pub fn advance(&self, by: SignedDuration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(moved) = now.checked_add(by) {
            *now = moved;
        }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_machine_is_one_that_the_store_can_keep() {
        let before = Timestamp::now().as_microsecond();
        for _ in 0..1000 {
            let now = SystemClock.now();
            assert_eq!(now.subsec_nanosecond() % 1000, 0, "{now}");
            assert!(now.as_microsecond() >= before);
        }
    }
}
