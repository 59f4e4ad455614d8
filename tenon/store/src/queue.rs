//! The bounded queue in front of a thread that works for many callers.
//!
//! It hands over everything that waits under one lock, and wakes the thread only when it sleeps.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

/// A queue that refuses instead of growing.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    max: usize,
}

struct State<T> {
    waiting: VecDeque<T>,
    closed: bool,
    sleepers: usize,
}

/// Why an item was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Closed,
}

impl<T> Queue<T> {
    /// A queue that holds `max` items.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                closed: false,
                sleepers: 0,
            }),
            filled: Condvar::new(),
            max,
        }
    }

    /// Adds an item, or refuses it at once.
    pub(crate) fn push(&self, item: T) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.waiting.len() >= self.max {
            return Err(Refused::Full);
        }
        state.waiting.push_back(item);
        let asleep = state.sleepers > 0;
        drop(state);
        if asleep {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Waits for items and takes up to `max` of them, in order. `alone` says of an item that it
    /// is never taken together with others. `None` once the queue is closed and empty.
    pub(crate) fn take(&self, max: usize, alone: impl Fn(&T) -> bool) -> Option<Vec<T>> {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.closed {
                return None;
            }
            state.sleepers += 1;
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.sleepers -= 1;
        }
        let lone = state.waiting.iter().take(max).position(alone);
        let count = match lone {
            Some(position) => position.max(1),
            None => state.waiting.len().min(max.max(1)),
        };
        Some(state.waiting.drain(..count).collect())
    }

    /// Refuses further items; those that wait are still handed over.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    /// How many items wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_or_closed_queue_refuses_and_what_waits_is_still_taken() {
        let queue = Queue::new(2);
        assert_eq!(queue.push(1), Ok(()));
        assert_eq!(queue.push(2), Ok(()));
        assert_eq!(queue.push(3), Err(Refused::Full));
        queue.close();
        assert_eq!(queue.push(4), Err(Refused::Closed));
        assert_eq!(queue.take(9, |_| false), Some(vec![1, 2]));
        assert_eq!(queue.take(9, |_| false), None);
    }

    #[test]
    fn a_lone_item_shares_with_nobody_and_keeps_its_place() {
        let queue = Queue::new(9);
        for item in [1, 2, -3, 4] {
            queue.push(item).unwrap();
        }
        let mut taken = Vec::new();
        for _ in 0..3 {
            taken.push(queue.take(9, |item| *item < 0).unwrap());
        }
        assert_eq!(taken, [vec![1, 2], vec![-3], vec![4]]);
    }
}
