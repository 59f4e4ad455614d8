//! What one thread writes its samples into: a ring that its signal handler fills and the collector
//! empties, without a lock and without an allocation.

use std::{
    cell::UnsafeCell,
    ptr,
    sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, AtomicUsize, Ordering},
};

use framehop::{CacheNative, MustNotAllocateDuringUnwind};

/// Frames kept of a stack, from the leaf. Deeper ones are cut; async stacks are 30 to 60 deep.
pub(super) const DEPTH_MAX: usize = 128;

/// Words of a ring: 62 of the deepest samples, which is a quarter of a second at the highest rate,
/// where the collector comes by every 50 ms.
const RING_WORDS: usize = 8192;

/// Threads that can be sampled at once: eight times the largest pool of blocking threads. The
/// table is one page of pointers for each 512 of them; slots are made when they are needed.
pub(super) const SLOTS_MAX: usize = 4096;

/// A record's words before its frames: kind, depth and weight in one, the label in the next.
const HEAD_WORDS: usize = 2;

/// Why a sample was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The thread's CPU timer expired.
    Cpu,
    /// Somebody asked where the thread is.
    Where,
}

/// A sample as the collector reads it.
pub(super) struct Record {
    pub(super) kind: Kind,
    /// How many periods it stands for.
    pub(super) weight: u64,
    pub(super) label: u32,
    /// Leaf first; addresses within the calling instruction.
    pub(super) frames: Vec<u64>,
}

/// A thread's ring and cache. Slots are used again by other threads and never freed, so that a
/// signal that arrives late finds memory that is still a slot.
pub(super) struct Slot {
    /// The thread that owns it; 0 for none.
    tid: AtomicI32,
    words: Box<[AtomicU64]>,
    /// Words written, by the owner alone.
    head: AtomicUsize,
    /// Words read, by the collector alone.
    tail: AtomicUsize,
    /// Periods whose sample found no room.
    lost: AtomicU64,
    cache: UnsafeCell<CacheNative<MustNotAllocateDuringUnwind>>,
}

// SAFETY: everything but `cache` is atomic. `cache` is touched by the signal handler of the thread
// whose id is in `tid` alone, which cannot run twice at once: its signal is blocked meanwhile.
unsafe impl Sync for Slot {}

static TABLE: [AtomicPtr<Slot>; SLOTS_MAX] = [const { AtomicPtr::new(ptr::null_mut()) }; SLOTS_MAX];

/// The slot of this number. May be called in a signal handler with any number.
pub(super) fn slot(index: usize) -> Option<&'static Slot> {
    let slot = TABLE.get(index)?.load(Ordering::Acquire);
    // SAFETY: a pointer in the table came from `Box::leak` and is never freed.
    unsafe { slot.as_ref() }
}

/// Makes a slot at a place of the table that has none yet.
pub(super) fn create(index: usize) -> Option<&'static Slot> {
    let place = TABLE.get(index)?;
    // Zeroed by the allocator, so that its pages are touched only when they are written.
    let words = vec![0_u64; RING_WORDS].into_boxed_slice();
    let words = Box::into_raw(words) as *mut [AtomicU64];
    let slot = Box::leak(Box::new(Slot {
        tid: AtomicI32::new(0),
        // SAFETY: an AtomicU64 has the size, alignment and bytes of a u64, and the box was ours.
        words: unsafe { Box::from_raw(words) },
        head: AtomicUsize::new(0),
        tail: AtomicUsize::new(0),
        lost: AtomicU64::new(0),
        cache: UnsafeCell::new(CacheNative::new_in()),
    }));
    place.store(slot, Ordering::Release);
    Some(slot)
}

impl Slot {
    /// Gives the slot to a thread, or to none with 0.
    pub(super) fn own(&self, tid: i32) {
        self.tid.store(tid, Ordering::Release);
    }

    /// Whether this thread owns it.
    pub(super) fn is_of(&self, tid: i32) -> bool {
        self.tid.load(Ordering::Acquire) == tid
    }

    /// The owner's cache of unwind rules.
    ///
    /// # Safety
    /// Only in the signal handler of the thread that owns the slot, and once in it.
    #[expect(
        clippy::mut_from_ref,
        reason = "exclusive by the rule above, which no type can say"
    )]
    pub(super) unsafe fn cache(&self) -> &mut CacheNative<MustNotAllocateDuringUnwind> {
        // SAFETY: the caller is the only one who reaches the cell.
        unsafe { &mut *self.cache.get() }
    }

    /// Begins a record, if the deepest one would find room. Only for the owner's handler.
    pub(super) fn begin(&self, kind: Kind, weight: u64) -> Option<Writer<'_>> {
        let start = self.head.load(Ordering::Relaxed);
        let used = start.wrapping_sub(self.tail.load(Ordering::Acquire));
        if RING_WORDS - used < HEAD_WORDS + DEPTH_MAX {
            if kind == Kind::Cpu {
                self.lost.fetch_add(weight, Ordering::Relaxed);
            }
            return None;
        }
        Some(Writer {
            slot: self,
            start,
            depth: 0,
            kind,
            weight,
        })
    }

    /// Takes every record that is there, and the periods lost since the last time. Only for the
    /// collector.
    pub(super) fn drain(&self, mut take: impl FnMut(Record)) -> u64 {
        let head = self.head.load(Ordering::Acquire);
        let mut at = self.tail.load(Ordering::Relaxed);
        while at != head {
            let first = self.word(at).load(Ordering::Relaxed);
            let depth = (first & 0xff) as usize;
            let label = self.word(at.wrapping_add(1)).load(Ordering::Relaxed);
            let frames = (0..depth.min(DEPTH_MAX))
                .map(|frame| {
                    self.word(at.wrapping_add(HEAD_WORDS + frame))
                        .load(Ordering::Relaxed)
                })
                .collect();
            take(Record {
                kind: if first & 0x100 == 0 {
                    Kind::Cpu
                } else {
                    Kind::Where
                },
                weight: first >> 16,
                label: u32::try_from(label).unwrap_or(0),
                frames,
            });
            at = at.wrapping_add(HEAD_WORDS + depth);
        }
        self.tail.store(at, Ordering::Release);
        self.lost.swap(0, Ordering::Relaxed)
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the remainder is below the length of the ring"
    )]
    fn word(&self, at: usize) -> &AtomicU64 {
        &self.words[at % RING_WORDS]
    }
}

/// A record being written. It is there for the collector once it is finished.
pub(super) struct Writer<'a> {
    slot: &'a Slot,
    start: usize,
    depth: usize,
    kind: Kind,
    weight: u64,
}

impl Writer<'_> {
    /// Adds a frame; whether there is room for another.
    pub(super) fn push(&mut self, address: u64) -> bool {
        if self.depth < DEPTH_MAX {
            let place = self.start.wrapping_add(HEAD_WORDS + self.depth);
            self.slot.word(place).store(address, Ordering::Relaxed);
            self.depth += 1;
        }
        self.depth < DEPTH_MAX
    }

    /// Hands the record to the collector.
    pub(super) fn finish(self, label: u32) {
        let kind = match self.kind {
            Kind::Cpu => 0,
            Kind::Where => 0x100,
        };
        let first = self.depth as u64 | kind | self.weight << 16;
        self.slot.word(self.start).store(first, Ordering::Relaxed);
        let second = self.slot.word(self.start.wrapping_add(1));
        second.store(u64::from(label), Ordering::Relaxed);
        let end = self.start.wrapping_add(HEAD_WORDS + self.depth);
        self.slot.head.store(end, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_out_as_they_went_in_and_a_full_ring_counts_what_it_loses() {
        let slot = create(SLOTS_MAX - 1).unwrap();
        let write = |weight| {
            let Some(mut writer) = slot.begin(Kind::Cpu, weight) else {
                return false;
            };
            for address in 0..200 {
                writer.push(address);
            }
            writer.finish(7);
            true
        };
        // Several times around, so that records lie over the end of the ring.
        for _ in 0..20 {
            let mut written = 0;
            while write(3) {
                written += 1;
            }
            assert!(written >= 62, "{written}");
            let mut seen = 0;
            let lost = slot.drain(|record| {
                seen += 1;
                assert_eq!(
                    (record.kind, record.weight, record.label),
                    (Kind::Cpu, 3, 7)
                );
                assert_eq!(record.frames, (0..DEPTH_MAX as u64).collect::<Vec<_>>());
            });
            assert_eq!((seen, lost), (written, 3));
        }
    }
}
