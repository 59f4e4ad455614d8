//! The CPU sampler: a timer on the CPU time of each thread, whose signal handler unwinds the
//! thread's stack into its ring, and a collector that empties the rings into sessions.
//!
//! One sampler serves up to [`SESSIONS_MAX`] sessions at once, each with a window of its own, so
//! that a scraper that always profiles does not refuse the person who wants to. It runs only while
//! there is a session. The design is Go's since 1.18 (per-thread timers) with framehop for
//! unwinding, because Rust is built without frame pointers.

mod loaded;
mod registers;
mod signal;
mod slot;
mod snapshot;
mod threads;
mod timer;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime},
};

use framehop::Unwinder;

use self::{
    signal::Info,
    slot::{Kind, Record, SLOTS_MAX, Slot},
    snapshot::{Published, StackUnwinder},
    timer::Timer,
};
use crate::{
    image::Image,
    label::Label,
    refusal::{Refusal, SESSIONS_MAX},
    stacks::{Stack, Taken, ThreadStack},
};

/// Different stacks a session keeps, some 50 MB at worst; a service has hundreds to thousands.
const STACKS_MAX: usize = 100_000;
/// How often rings are emptied and threads looked for: a thread that lives shorter is missed.
const TICK: Duration = Duration::from_millis(50);
/// How long threads are waited for that are asked where they are. One that runs answers in
/// microseconds, one in an uninterruptible call not at all.
const ANSWER_TIME: Duration = Duration::from_millis(100);
/// Names of the threads that profiles and snapshots leave out: those that make them.
pub(crate) const OWN_THREAD: &str = "pprof";

static SAMPLER: Mutex<Sampler> = Mutex::new(Sampler::new());
static TICKER: Condvar = Condvar::new();

/// A window in which samples are collected. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Session {
    id: u64,
}

impl Session {
    /// Starts to collect. `hz` counts only for the first of sessions at the same time.
    pub(crate) fn start(hz: u32) -> Result<Self, Refusal> {
        let mut sampler = lock();
        let id = sampler.open(hz)?;
        if !sampler.collecting {
            let collector = thread::Builder::new().name(OWN_THREAD.to_owned());
            if let Err(cause) = collector.spawn(collect) {
                sampler.close(id);
                return Err(cause.into());
            }
            sampler.collecting = true;
        }
        Ok(Self { id })
    }

    /// Ends the window and gives what was collected in it.
    pub(crate) fn finish(self) -> Option<Taken> {
        lock().close(self.id)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        lock().close(self.id);
    }
}

/// Asks every thread where it is. Takes some milliseconds, at most [`ANSWER_TIME`]: not for an
/// async worker.
pub(crate) fn where_threads_are() -> Result<(Vec<ThreadStack>, Vec<Arc<Image>>), Refusal> {
    lock().ask_all()
}

/// What is loaded at this moment.
pub(crate) fn images() -> Vec<Arc<Image>> {
    loaded::loaded().images
}

/// How many threads there are.
pub(crate) fn thread_count() -> usize {
    threads::list().map_or(0, |threads| threads.len())
}

/// The collector's thread: lives as long as there are sessions.
fn collect() {
    let mut sampler = lock();
    loop {
        if sampler.sessions.is_empty() {
            sampler.collecting = false;
            return;
        }
        sampler.tick();
        let woken = TICKER.wait_timeout(sampler, TICK);
        sampler = woken.unwrap_or_else(PoisonError::into_inner).0;
    }
}

fn lock() -> MutexGuard<'static, Sampler> {
    // After a panic of a collector the next session still gets a sampler, with what there is.
    SAMPLER.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Sampler {
    sessions: Vec<Window>,
    next_id: u64,
    period: Duration,
    collecting: bool,
    threads: BTreeMap<i32, Tracked>,
    /// Names that threads had, by the number that stacks keep.
    names: Vec<String>,
    /// Threads without a timer, because the kernel refused one or the table was full.
    missed: usize,
    free: Vec<usize>,
    made: usize,
    images: Vec<Arc<Image>>,
    unwinder: Option<StackUnwinder>,
    generation: (u64, u64),
    published: Published,
}

/// A session's samples so far.
struct Window {
    id: u64,
    began: SystemTime,
    since: Instant,
    stacks: HashMap<Arc<Stack>, u64>,
    lost: u64,
    threads: usize,
}

/// A thread that has a slot.
struct Tracked {
    index: usize,
    slot: &'static Slot,
    timer: Option<Timer>,
    name: usize,
    /// A new thread gives itself its name a moment after it began.
    is_named: bool,
}

impl Sampler {
    const fn new() -> Self {
        Self {
            sessions: Vec::new(),
            next_id: 0,
            period: Duration::ZERO,
            collecting: false,
            threads: BTreeMap::new(),
            names: Vec::new(),
            missed: 0,
            free: Vec::new(),
            made: 0,
            images: Vec::new(),
            unwinder: None,
            generation: (0, 0),
            published: Published::new(),
        }
    }

    fn open(&mut self, hz: u32) -> Result<u64, Refusal> {
        if self.sessions.len() >= SESSIONS_MAX {
            return Err(Refusal::Full);
        }
        if !signal::install()? {
            return Err(Refusal::Foreign);
        }
        if self.sessions.is_empty() {
            self.period = Duration::from_secs(1) / hz.max(1);
            self.look_at_code();
            self.missed = 0;
            if let Some(refused) = self.look_at_threads(true).unwrap_or_else(Some) {
                self.stop();
                return Err(Refusal::System(refused));
            }
        } else {
            // What came before belongs to the others.
            self.gather();
        }
        self.next_id += 1;
        self.sessions.push(Window {
            id: self.next_id,
            began: SystemTime::now(),
            since: Instant::now(),
            stacks: HashMap::new(),
            lost: 0,
            threads: 0,
        });
        Ok(self.next_id)
    }

    fn close(&mut self, id: u64) -> Option<Taken> {
        let place = self.sessions.iter().position(|window| window.id == id)?;
        self.gather();
        let window = self.sessions.swap_remove(place);
        let taken = Taken {
            began: window.began,
            duration: window.since.elapsed(),
            period: self.period,
            stacks: window.stacks.into_iter().collect(),
            threads: self.names.clone(),
            threads_seen: window.threads,
            threads_missed: self.missed,
            lost: window.lost,
            images: self.images.clone(),
        };
        if self.sessions.is_empty() {
            self.stop();
        }
        Some(taken)
    }

    /// No timers, no work in handlers.
    fn stop(&mut self) {
        for tracked in self.threads.values_mut() {
            tracked.timer = None;
            tracked.slot.drain(|_| {});
            tracked.slot.own(0);
            self.free.push(tracked.index);
        }
        self.threads.clear();
        self.names.clear();
        self.images.clear();
        self.unwinder = None;
        self.published.withdraw();
        TICKER.notify_all();
    }

    fn tick(&mut self) {
        if loaded::generation() != self.generation {
            self.look_at_code();
            self.republish();
        }
        // A failure to list threads leaves those that are known; the next tick tries again.
        let _ = self.look_at_threads(true);
        self.gather();
        self.published.sweep();
    }

    fn look_at_code(&mut self) {
        let loaded = loaded::loaded();
        let mut unwinder = StackUnwinder::new();
        for module in loaded.modules {
            unwinder.add_module(module);
        }
        self.unwinder = Some(unwinder);
        self.generation = loaded.generation;
        // What was unloaded keeps its names for the samples that it has.
        for image in loaded.images {
            let is_known = self
                .images
                .iter()
                .any(|known| known.code == image.code && known.name == image.name);
            if !is_known {
                self.images.push(image);
            }
        }
    }

    fn republish(&mut self) {
        let unwinder = self.unwinder.clone().unwrap_or_default();
        // Without /proc the old stacks go on.
        let _ = self.published.renew(unwinder);
    }

    /// Gives slots, and timers if `timed`, to threads that came, and takes them from threads that
    /// went. Tells why if the kernel refused a timer to every one of them.
    fn look_at_threads(&mut self, timed: bool) -> io::Result<Option<io::Error>> {
        let present = threads::list()?;
        self.forget_threads(&present);
        let known = &self.threads;
        let new: Vec<i32> = present
            .into_iter()
            .filter(|tid| !known.contains_key(tid))
            .collect();
        let mut names = Vec::new();
        for &tid in &new {
            let name = threads::name(tid);
            if name != OWN_THREAD {
                names.push((tid, name));
            }
        }
        if !names.is_empty() {
            // Before the timers, so that the first sample finds the thread's stack.
            self.republish();
        }
        let mut refused = None;
        let (mut started, mut missed) = (0, 0);
        for (tid, name) in names {
            match self.track(tid, &name, timed) {
                Ok(()) => started += 1,
                Err(cause) if is_gone(&cause) => {}
                Err(cause) => {
                    missed += 1;
                    refused = Some(cause);
                }
            }
        }
        self.missed = self.missed.max(missed);
        let known = self.threads.len();
        for window in &mut self.sessions {
            window.threads = window.threads.max(known);
        }
        Ok(refused.filter(|_| started == 0 && known == 0))
    }

    fn track(&mut self, tid: i32, name: &str, timed: bool) -> io::Result<()> {
        let name = self.name_number(name);
        let (index, slot) = self.take_slot().ok_or(io::ErrorKind::StorageFull)?;
        slot.own(tid);
        let timer = match timed.then(|| self.start_timer(tid, index)).transpose() {
            Ok(timer) => timer,
            Err(cause) => {
                slot.own(0);
                self.free.push(index);
                return Err(cause);
            }
        };
        let tracked = Tracked {
            index,
            slot,
            timer,
            name,
            is_named: false,
        };
        self.threads.insert(tid, tracked);
        Ok(())
    }

    fn start_timer(&self, tid: i32, index: usize) -> io::Result<Timer> {
        // Spread over the period by the number of the thread: Knuth's multiplicative hash.
        let part = f64::from(tid.cast_unsigned().wrapping_mul(2_654_435_769)) / f64::from(u32::MAX);
        Timer::start(tid, index, self.period, self.period.mul_f64(part))
    }

    fn take_slot(&mut self) -> Option<(usize, &'static Slot)> {
        if let Some(index) = self.free.pop() {
            return Some((index, slot::slot(index)?));
        }
        // The last place is for the test of the ring.
        if self.made + 1 >= SLOTS_MAX {
            return None;
        }
        let slot = slot::create(self.made)?;
        self.made += 1;
        Some((self.made - 1, slot))
    }

    fn forget_threads(&mut self, present: &[i32]) {
        let known = &self.threads;
        let gone: Vec<i32> = known
            .keys()
            .filter(|tid| !present.contains(tid))
            .copied()
            .collect();
        let unnamed: Vec<i32> = known
            .iter()
            .filter(|(_, tracked)| !tracked.is_named)
            .map(|(&tid, _)| tid)
            .collect();
        for tid in unnamed.into_iter().filter(|tid| !gone.contains(tid)) {
            let name = threads::name(tid);
            if name == OWN_THREAD {
                self.let_go(tid);
                continue;
            }
            let number = self.name_number(&name);
            if let Some(tracked) = self.threads.get_mut(&tid) {
                tracked.name = number;
                tracked.is_named = true;
            }
        }
        for tid in gone {
            self.let_go(tid);
        }
    }

    /// Takes what a thread left in its ring, and the slot back.
    fn let_go(&mut self, tid: i32) {
        let Some(tracked) = self.threads.remove(&tid) else {
            return;
        };
        drain_into(&mut self.sessions, &tracked);
        tracked.slot.own(0);
        self.free.push(tracked.index);
    }

    /// Empties all rings into the sessions.
    fn gather(&mut self) {
        for tracked in self.threads.values() {
            drain_into(&mut self.sessions, tracked);
        }
    }

    fn name_number(&mut self, name: &str) -> usize {
        if let Some(known) = self.names.iter().position(|known| known == name) {
            return known;
        }
        self.names.push(name.to_owned());
        self.names.len() - 1
    }

    fn ask_all(&mut self) -> Result<(Vec<ThreadStack>, Vec<Arc<Image>>), Refusal> {
        if !signal::install()? {
            return Err(Refusal::Foreign);
        }
        let idle = self.sessions.is_empty();
        if idle || loaded::generation() != self.generation {
            self.look_at_code();
        }
        self.look_at_threads(!idle)?;
        // Stacks of threads that came since.
        self.republish();
        let process = std::process::id().cast_signed();
        let mut asked = HashMap::new();
        for (&tid, tracked) in self.threads.iter() {
            let thread = ThreadStack {
                tid,
                name: self.names.get(tracked.name).cloned().unwrap_or_default(),
                state: threads::state(tid),
                label: Label::default(),
                frames: Vec::new(),
            };
            asked.insert(tid, thread);
            ask(process, tid, tracked.index);
        }
        self.await_answers(&mut asked);
        let images = self.images.clone();
        if idle {
            self.stop();
        }
        let mut asked: Vec<_> = asked.into_values().collect();
        asked.sort_by_key(|thread| thread.tid);
        Ok((asked, images))
    }

    fn await_answers(&mut self, asked: &mut HashMap<i32, ThreadStack>) {
        let end = Instant::now() + ANSWER_TIME;
        loop {
            for (tid, tracked) in self.threads.iter() {
                let mut others = Vec::new();
                let lost = tracked
                    .slot
                    .drain(|record| match (record.kind, asked.get_mut(tid)) {
                        (Kind::Where, Some(thread)) => {
                            thread.label = Label::of_number(record.label);
                            thread.frames = record.frames;
                        }
                        _ => others.push(record),
                    });
                deliver(&mut self.sessions, tracked.name, others, lost);
            }
            let waiting = asked.values().any(|thread| thread.frames.is_empty());
            if !waiting || Instant::now() >= end {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Sends a thread the question where it is. One that is gone does not answer.
fn ask(process: i32, tid: i32, slot: usize) {
    let info = Info::question(process, slot);
    // SAFETY: the kernel reads `info`, which is as long as its own type. A process may send itself
    // any such record.
    unsafe {
        libc::syscall(
            libc::SYS_rt_tgsigqueueinfo,
            process,
            tid,
            libc::SIGPROF,
            &raw const info,
        )
    };
}

fn drain_into(sessions: &mut [Window], tracked: &Tracked) {
    let mut records = Vec::new();
    let lost = tracked.slot.drain(|record| {
        if record.kind == Kind::Cpu {
            records.push(record);
        }
    });
    deliver(sessions, tracked.name, records, lost);
}

fn deliver(sessions: &mut [Window], thread: usize, records: Vec<Record>, lost: u64) {
    for window in &mut *sessions {
        window.lost += lost;
    }
    for record in records
        .into_iter()
        .filter(|record| record.kind == Kind::Cpu)
    {
        let stack = Arc::new(Stack {
            thread,
            label: Label::of_number(record.label),
            frames: record.frames.into(),
        });
        for window in &mut *sessions {
            if let Some(weight) = window.stacks.get_mut(&stack) {
                *weight += record.weight;
            } else if window.stacks.len() < STACKS_MAX {
                window.stacks.insert(stack.clone(), record.weight);
            } else {
                window.lost += record.weight;
            }
        }
    }
}

/// Whether the kernel says that the thread ended in the meantime.
fn is_gone(cause: &io::Error) -> bool {
    matches!(cause.raw_os_error(), Some(libc::ESRCH | libc::EINVAL))
}
