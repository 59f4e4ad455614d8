//! How failed logins slow down the next ones under the same name.
//!
//! The first failures cost nothing. From [`FREE_FAILURES`] on each one doubles the time for which
//! further attempts under that name are refused unseen, up to [`DELAY_MAX`]; the lock heals by
//! itself, a success or [`FORGET_AFTER`] without failures ends it, and sessions that are open go
//! on through it. So nobody is locked out for good by somebody else's attempts, and somebody who
//! guesses gets about a hundred tries a day. Names that no account has are treated alike.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::SignedDuration;
use tenon::{Context, Result, Timestamp, catalogue, store::seal::BlindIndex};
use tokio::sync::OwnedMutexGuard;

/// The failure from which on attempts are delayed.
pub const FREE_FAILURES: u32 = 5;

/// The delay after that failure; each further one doubles it.
pub const DELAY_BASE: SignedDuration = SignedDuration::from_secs(1);

/// The longest delay.
pub const DELAY_MAX: SignedDuration = SignedDuration::from_mins(15);

/// After this long without a failure a name begins anew.
pub const FORGET_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// How many logins under one name wait for their turn; further ones are told to come back.
const WAITING_MAX: usize = 32;

/// Until when further attempts are refused after this many failures, the last one at `now`.
pub(crate) fn blocked_until(failures: u32, now: Timestamp) -> Timestamp {
    let Some(doublings) = failures.checked_sub(FREE_FAILURES) else {
        return now;
    };
    // 2^20 seconds are far beyond the longest delay.
    let factor = 1_i32 << doublings.min(20);
    let delay = DELAY_BASE.saturating_mul(factor).min(DELAY_MAX);
    now.checked_add(delay).unwrap_or(Timestamp::MAX)
}

type Lane = Arc<tokio::sync::Mutex<()>>;

/// Lets logins under one name pass one after the other, so that many at once do not all pass
/// before the first failure is counted.
#[derive(Debug, Clone, Default)]
pub struct Turns {
    lanes: Arc<Mutex<HashMap<BlindIndex, Lane>>>,
}

impl Turns {
    /// Waits for the turn of a name; it ends when what is returned is dropped.
    ///
    /// # Errors
    /// `OVERLOADED` when too many wait, or the context's error.
    pub(crate) async fn take(&self, cx: &Context, name: BlindIndex) -> Result<Turn> {
        let lane = {
            let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            let lane = lanes.entry(name).or_default();
            // One is the map's own.
            if Arc::strong_count(lane) > WAITING_MAX {
                let busy = catalogue::OVERLOADED.error();
                return Err(busy.retry_after(Duration::from_secs(1)));
            }
            lane.clone()
        };
        let mut turn = Turn {
            turns: self.clone(),
            name,
            guard: None,
        };
        turn.guard = Some(cx.run(lane.lock_owned()).await?);
        Ok(turn)
    }
}

/// The turn of one login, or its place in the queue.
pub(crate) struct Turn {
    turns: Turns,
    name: BlindIndex,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut lanes = self
            .turns
            .lanes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.guard = None;
        // Lanes are only cloned under this lock: the map's own is the last one.
        let last = |lane: &Lane| Arc::strong_count(lane) == 1;
        if lanes.get(&self.name).is_some_and(last) {
            lanes.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_and_end_at_the_longest() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let delay = |failures| blocked_until(failures, now).duration_since(now).as_secs();
        let seen: Vec<i64> = (3..8).map(delay).collect();
        assert_eq!(seen, [0, 0, 1, 2, 4]);
        assert_eq!(delay(14), 512);
        assert_eq!(delay(15), DELAY_MAX.as_secs());
        assert_eq!(delay(u32::MAX), DELAY_MAX.as_secs());
    }

    #[tokio::test]
    async fn turns_leave_nothing_behind_also_when_a_caller_leaves_the_queue() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = crate::secrets::Secrets::open(folder.path()).unwrap();
        let (turns, cx) = (Turns::default(), Context::background());
        let name = secrets.name_key("a");
        let first = turns.take(&cx, name).await.unwrap();
        let (leaving, guard) = cx.with_cancel();
        let waiting = tokio::spawn({
            let turns = turns.clone();
            async move { turns.take(&leaving, name).await.map(drop) }
        });
        tokio::task::yield_now().await;
        drop(guard);
        assert!(
            waiting
                .await
                .unwrap()
                .unwrap_err()
                .is(&catalogue::CANCELLED)
        );
        drop(first);
        assert!(turns.lanes.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_long_queue_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = crate::secrets::Secrets::open(folder.path()).unwrap();
        let (turns, cx) = (Turns::default(), Context::background());
        let name = secrets.name_key("a");
        let _first = turns.take(&cx, name).await.unwrap();
        let mut queue = tokio::task::JoinSet::new();
        for _ in 0..WAITING_MAX + 10 {
            let (turns, cx) = (turns.clone(), cx.clone());
            queue.spawn(async move { turns.take(&cx, name).await.map(drop) });
        }
        let refused = queue.join_next().await.unwrap().unwrap().unwrap_err();
        assert!(refused.is(&catalogue::OVERLOADED));
        turns.take(&cx, secrets.name_key("b")).await.unwrap();
    }
}
