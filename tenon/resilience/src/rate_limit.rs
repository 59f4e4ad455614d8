//! Rate limits: so many requests in so much time, with a burst, for one key.
//!
//! Source: the generic cell rate algorithm (ITU-T I.371), the token bucket that keeps one number
//! per key: the time at which the bucket will be full again. It is exactly the bucket of `burst`
//! tokens into which one falls each `per / requests`, and nothing needs to be refilled.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

/// So many requests in so much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests in `per`; at least 1.
    pub requests: u32,
    /// The time for them.
    pub per: Duration,
    /// How many may come at once; at least 1.
    pub burst: u32,
}

impl Rate {
    /// Nanoseconds between two requests at the rate.
    fn gap(&self) -> u64 {
        let per = u64::try_from(self.per.as_nanos()).unwrap_or(u64::MAX);
        (per / u64::from(self.requests.max(1))).max(1)
    }

    /// Takes one request at `now` out of the bucket that is full at `full`, both in nanoseconds.
    /// Answers when it then is full, where the request may come.
    fn take(&self, full: u64, now: u64) -> (Option<u64>, Decision) {
        let gap = self.gap();
        let depth = gap.saturating_mul(u64::from(self.burst.max(1)));
        let taken = full.max(now).saturating_add(gap);
        let debt = taken - now;
        if debt > depth {
            let decision = Decision {
                allowed: false,
                remaining: 0,
                reset: Duration::from_nanos(full.saturating_sub(now)),
                retry_after: Duration::from_nanos(debt - depth),
            };
            return (None, decision);
        }
        let decision = Decision {
            allowed: true,
            remaining: u32::try_from((depth - debt) / gap).unwrap_or(u32::MAX),
            reset: Duration::from_nanos(debt),
            retry_after: Duration::ZERO,
        };
        (Some(taken), decision)
    }
}

/// What a limit says of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may come.
    pub allowed: bool,
    /// How many more may come now.
    pub remaining: u32,
    /// When the whole burst may come again.
    pub reset: Duration,
    /// When the next may come, if this one may not.
    pub retry_after: Duration,
}

/// A limit with one bucket. Takes no lock.
#[derive(Debug)]
pub struct Bucket {
    rate: Rate,
    start: Instant,
    full: AtomicU64,
}

impl Bucket {
    /// A full bucket.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            start: Instant::now(),
            full: AtomicU64::new(0),
        }
    }

    /// Takes a request out.
    pub fn take(&self, now: Instant) -> Decision {
        let now = nanos(self.start, now);
        let mut full = self.full.load(Relaxed);
        loop {
            let (taken, decision) = self.rate.take(full, now);
            let Some(taken) = taken else { return decision };
            match self
                .full
                .compare_exchange_weak(full, taken, Relaxed, Relaxed)
            {
                Ok(_) => return decision,
                Err(newer) => full = newer,
            }
        }
    }
}

/// Shards, each with its own lock, so that requests of different keys rarely meet.
const SHARDS: usize = 64;
/// Keys in a shard: 65,536 in all are 2 MiB. More than any site has callers at once.
const KEYS_MAX: usize = 1024;

/// A limit with a bucket for each key: a caller, an address. Its memory is bounded: where there
/// is no room, the keys that are nearest to a full bucket are forgotten first.
///
/// Of a key only a keyed hash is kept, so that nothing here says who called.
#[derive(Debug)]
pub struct Keyed {
    rate: Rate,
    start: Instant,
    hasher: RandomState,
    shards: Box<[Mutex<HashMap<u64, u64>>]>,
}

impl Keyed {
    /// Full buckets for all keys.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            start: Instant::now(),
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Takes a request out of the key's bucket.
    pub fn take(&self, key: impl Hash, now: Instant) -> Decision {
        let now = nanos(self.start, now);
        let key = self.hasher.hash_one(key);
        let shard = &self.shards[(key % SHARDS as u64) as usize];
        let mut buckets = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let full = buckets.get(&key).copied().unwrap_or(0);
        let (taken, decision) = self.rate.take(full, now);
        if let Some(taken) = taken {
            if full == 0 && buckets.len() >= KEYS_MAX {
                make_room(&mut buckets, now);
            }
            buckets.insert(key, taken);
        }
        decision
    }

    /// How many keys are kept.
    pub fn len(&self) -> usize {
        let lengths = self.shards.iter().map(|shard| {
            let buckets = shard.lock().unwrap_or_else(PoisonError::into_inner);
            buckets.len()
        });
        lengths.sum()
    }

    /// Whether no key is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Forgets full buckets, which are as good as none; if that is not an eighth of all, those that
/// are full soonest.
fn make_room(buckets: &mut HashMap<u64, u64>, now: u64) {
    buckets.retain(|_, full| *full > now);
    let room = KEYS_MAX / 8;
    if buckets.len() + room <= KEYS_MAX {
        return;
    }
    let mut times: Vec<u64> = buckets.values().copied().collect();
    let (_, limit, _) = times.select_nth_unstable(room);
    let limit = *limit;
    let mut left = room;
    buckets.retain(|_, full| {
        let forget = left > 0 && *full <= limit;
        left -= usize::from(forget);
        !forget
    });
}

fn nanos(start: Instant, now: Instant) -> u64 {
    let since = now.saturating_duration_since(start);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
