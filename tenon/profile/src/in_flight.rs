//! The requests in flight: route and age of each, for `/debug/pprof/goroutine`.
//!
//! Rust keeps no list of its tasks, so the doors keep one of theirs. It is split by thread, so
//! that taking a place costs an uncontended lock.

use std::{
    cell::Cell,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::label::Label;

/// More than the cores of usual machines, so that two workers seldom share a shard.
const SHARDS: usize = 32;

/// Requests listed a shard: with all shards a quarter of a million, above what one process holds
/// in flight. The others are counted, not listed.
const SHARD_MAX: usize = 8192;

static TABLE: [Mutex<Shard>; SHARDS] = [const { Mutex::new(Shard::new()) }; SHARDS];
static UNLISTED: AtomicU64 = AtomicU64::new(0);
static NEXT_SHARD: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
}

struct Shard {
    places: Vec<Option<(Label, Instant)>>,
    free: Vec<usize>,
}

impl Shard {
    const fn new() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }

    fn take(&mut self, label: Label) -> Option<usize> {
        let held = Some((label, Instant::now()));
        if let Some(place) = self.free.pop() {
            *self.places.get_mut(place)? = held;
            return Some(place);
        }
        if self.places.len() >= SHARD_MAX {
            return None;
        }
        self.places.push(held);
        Some(self.places.len() - 1)
    }

    fn leave(&mut self, place: usize) {
        if let Some(held) = self.places.get_mut(place) {
            *held = None;
            self.free.push(place);
        }
    }
}

/// A request's place in the list, left when it is dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    shard: usize,
    /// None for a request that found no place.
    place: Option<usize>,
}

impl Entry {
    /// Lists a request that begins now.
    pub(crate) fn open(label: Label) -> Self {
        let shard = own_shard();
        let place = lock(shard).take(label);
        if place.is_none() {
            UNLISTED.fetch_add(1, Ordering::Relaxed);
        }
        Self { shard, place }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        match self.place {
            Some(place) => lock(self.shard).leave(place),
            None => {
                UNLISTED.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

/// A request in flight.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its route.
    pub label: Label,
    /// How long ago it began.
    pub age: Duration,
}

/// The requests in flight at one moment.
#[derive(Debug, Clone)]
pub struct InFlight {
    /// The oldest first.
    pub requests: Vec<Request>,
    /// How many there are besides, beyond what is listed.
    pub unlisted: u64,
}

/// Lists the requests in flight of the whole process.
pub fn list() -> InFlight {
    let now = Instant::now();
    let mut requests = Vec::new();
    for shard in 0..SHARDS {
        let shard = lock(shard);
        let held = shard.places.iter().flatten();
        requests.extend(held.map(|&(label, since)| Request {
            label,
            age: now.saturating_duration_since(since),
        }));
    }
    requests.sort_by_key(|request| std::cmp::Reverse(request.age));
    InFlight {
        requests,
        unlisted: UNLISTED.load(Ordering::Relaxed),
    }
}

fn own_shard() -> usize {
    SHARD.with(|own| {
        if own.get() == usize::MAX {
            own.set(NEXT_SHARD.fetch_add(1, Ordering::Relaxed) % SHARDS);
        }
        own.get()
    })
}

fn lock(shard: usize) -> MutexGuard<'static, Shard> {
    // A panic cannot leave a shard half written, so a poisoned one is as good as another.
    let shard = TABLE.get(shard).unwrap_or(&TABLE[0]);
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
