//! Adaptive load shedding: what cannot be done in time is refused before work is spent on it.
//!
//! Three queues can grow, and each has its rule. A request is refused by the first that says so.
//!
//! 1. **The queue before the worker threads** (CPU). Once the module `delay` finds it
//!    standing, the module `admission` refuses the share of all requests that keeps the wait
//!    there at 15 ms, of what is sheddable first and of what is critical last. Sources: the
//!    waiting time as the signal from DAGOR of WeChat, the standing queue of CoDel, the share of
//!    PIE (RFC 8033).
//! 2. **The work that is in flight while the CPU is short.** Source: go-zero's
//!    `core/load/adaptiveshedder.go`: with the CPU at the threshold (900 permille; half way to
//!    1000 for what is critical), or within 1 s of a drop there, a request is refused while
//!    in-flight and its mean (beta 0.9) are above `max pass a second * min RT * factor`, over 5 s
//!    in 50 buckets, where the factor falls from 1 at the threshold to 0.1 at 1000.
//! 3. **The queue before something that this service waits for** (a database, a peer). The CPU
//!    is idle then and the first two see nothing. By Little's law a new request waits
//!    `in flight / passes a second`. It is refused once that is more than its share of the
//!    route's time (an eighth, a quarter, a half), more than twice the work of the service at its
//!    best is in flight, and that has stood for a while: for 200 ms and twice as long as the
//!    work takes, or for the share where that is not known. A burst does not stand, and what
//!    passes while a queue stands is all that can pass.
//!
//! Rule 1 alone holds goodput when handlers compute: on an asynchronous runtime such a handler
//! never leaves its thread, so that rule 2 sees no more in flight than there are threads. Rules 2
//! and 3 count per route, because their times are those of one kind of work.
//!
//! A route with fewer than [`FLIGHT_MIN`] in flight is never shed by rule 3, and one with fewer
//! than 64 never by rule 2.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    Criticality, cpu,
    queue::Queue,
    window::{Ring, Ticks},
};

/// The window, 5 s, in buckets of 100 ms.
const BUCKETS: usize = 50;
const BUCKET: Duration = Duration::from_millis(100);
const BUCKETS_PER_SECOND: f64 = 10.0;
/// How much of the old mean a request that ends leaves.
const FLYING_BETA: f64 = 0.9;
/// The CPU counts as short for so long after a drop for its sake.
const COOL_OFF: Duration = Duration::from_secs(1);
const CPU_MAX: f64 = 1000.0;
/// Even a wholly busy CPU takes this part of what it could.
const FACTOR_MIN: f64 = 0.1;
/// How long a request takes of which nothing is known.
const RT_UNKNOWN: f64 = 1.0;
/// So many in flight on one route are never too many: what a few callers keep busy is no queue,
/// and with all of them lost something must go on asking whether things are well again.
pub const FLIGHT_MIN: usize = 16;
/// How much more than the work at its best may stand in a queue.
const STANDING: f64 = 2.0;
/// How long it must have stood, if the work does not take longer.
const STANDING_MIN: Duration = Duration::from_millis(200);
/// So many in flight on one route are never too many for rule 2: a busy CPU alone is no overload.
const SHORT_MIN: usize = 64;
/// Means are kept in thousandths.
const MILLI: f64 = 1000.0;

/// The part of a route's time that a request may spend waiting, by [`Criticality::index`].
const PATIENCE: [f64; 3] = [0.125, 0.25, 0.5];

/// The shedder of one door. Cheap to clone: clones are one.
#[derive(Debug, Clone)]
pub struct Shedder {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    enabled: AtomicBool,
    threshold: AtomicU32,
    cpu: fn() -> u32,
    ticks: Ticks,
    /// Of the runtime that the door serves on, known with the first request.
    queue: OnceLock<Arc<Queue>>,
    /// Nanoseconds from the start to when the CPU was last short, and to the last drop then, by
    /// [`Criticality::index`].
    short: [AtomicU64; 3],
    dropped: [AtomicU64; 3],
}

impl Shedder {
    /// A shedder with go-zero's threshold of the CPU, 900 permille, unless set otherwise.
    pub fn new() -> Self {
        cpu::start();
        Self::with_cpu(cpu::permille)
    }

    /// A shedder that is told the use of the CPU in permille by `cpu`: for tests.
    pub fn with_cpu(cpu: fn() -> u32) -> Self {
        Self {
            inner: Arc::new(Inner {
                enabled: AtomicBool::new(true),
                threshold: AtomicU32::new(900),
                cpu,
                ticks: Ticks::new(BUCKET),
                queue: OnceLock::new(),
                short: Default::default(),
                dropped: Default::default(),
            }),
        }
    }

    /// Turns it on or off, and sets the threshold of the CPU in permille, at run time.
    pub fn set(&self, enabled: bool, threshold: u32) {
        self.inner.threshold.store(threshold, Relaxed);
        self.inner.enabled.store(enabled, Relaxed);
    }

    /// Whether it is on.
    pub fn is_enabled(&self) -> bool {
        self.inner.enabled.load(Relaxed)
    }

    /// The part of one route, whose requests may take `time`.
    /// Without a time only rule 1 sheds there, and the places are a limit.
    pub fn stage(&self, criticality: Criticality, time: impl Into<Option<Duration>>) -> Stage {
        Stage {
            shedder: self.clone(),
            criticality,
            time: time.into(),
            flying: AtomicUsize::new(0),
            average: AtomicU64::new(0),
            passes: Ring::new(),
            times: Ring::new(),
            looked: AtomicU64::new(0),
            standing: AtomicU64::new(0),
            most: AtomicUsize::new(0),
            allowed_short: none(),
            allowed_slow: none(),
        }
    }
}

/// No limit yet, for each class.
fn none() -> [AtomicUsize; 3] {
    [const { AtomicUsize::new(usize::MAX) }; 3]
}

impl Default for Shedder {
    fn default() -> Self {
        Self::new()
    }
}

impl Inner {
    /// go-zero's rule on when the CPU is short, with its cool-off.
    fn is_short(&self, class: Criticality, cpu: u32, now: u64) -> bool {
        let (short, dropped) = (&self.short[class.index()], &self.dropped[class.index()]);
        if cpu >= threshold(self.threshold.load(Relaxed), class) {
            short.store(now.max(1), Relaxed);
            return true;
        }
        let (short, dropped) = (short.load(Relaxed), dropped.load(Relaxed));
        let recent = |then: u64| then > 0 && now.saturating_sub(then) < COOL_OFF.as_nanos() as u64;
        dropped >= short && recent(short)
    }
}

/// Why a request was shed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// As many are in flight as the route has places.
    InFlight,
    /// It waited too long for a worker thread.
    Wait,
    /// The CPU is short, and enough is in flight.
    Cpu,
    /// It would wait too long for what its route waits for.
    Slow,
}

impl Reason {
    /// As metrics write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InFlight => "in-flight",
            Self::Wait => "wait",
            Self::Cpu => "cpu",
            Self::Slow => "slow",
        }
    }
}

/// The part of a shedder that belongs to one route. It also counts what is in flight there.
#[derive(Debug)]
pub struct Stage {
    shedder: Shedder,
    criticality: Criticality,
    time: Option<Duration>,
    flying: AtomicUsize,
    /// The mean of `flying`, in thousandths.
    average: AtomicU64,
    passes: Ring<BUCKETS>,
    /// Microseconds of the passes.
    times: Ring<BUCKETS>,
    /// The tick in which the two limits below were worked out.
    looked: AtomicU64,
    /// Nanoseconds from the start to when too much began to be in flight; 0 is not now.
    standing: AtomicU64,
    /// How many in flight were no queue when this one began.
    most: AtomicUsize,
    /// How many may be in flight by rules 2 and 3, by [`Criticality::index`].
    allowed_short: [AtomicUsize; 3],
    allowed_slow: [AtomicUsize; 3],
}

impl Stage {
    /// Whom overload hits first.
    pub fn criticality(&self) -> Criticality {
        self.criticality
    }

    /// How many requests are in flight.
    pub fn in_flight(&self) -> usize {
        self.flying.load(Relaxed)
    }

    /// Lets a request in, or sheds it. `readable` is when its bytes were there to be read, where
    /// that is known; what it has waited for a thread is else found out by going once to the end
    /// of the runtime's queue. `places` is how many may be in flight in any case. While nothing
    /// is wrong this does not wait and costs one addition and a few reads.
    ///
    /// # Errors
    /// The reason why it is shed.
    pub async fn enter(
        &self,
        now: Instant,
        readable: Option<Instant>,
        places: usize,
    ) -> Result<Flight<'_>, Reason> {
        self.enter_as(self.criticality, now, readable, places).await
    }

    /// [`Stage::enter`] for a request that matters less than others of its route. One that says
    /// it matters more is treated like the others.
    ///
    /// # Errors
    /// As there.
    pub async fn enter_as(
        &self,
        class: Criticality,
        now: Instant,
        readable: Option<Instant>,
        places: usize,
    ) -> Result<Flight<'_>, Reason> {
        // Counted first: who waits at the end of the queue is in flight, too.
        let flight = self.enter_again(class, now, places)?;
        let class = class.min(self.criticality);
        let shedder = &*self.shedder.inner;
        if !shedder.enabled.load(Relaxed) {
            return Ok(flight);
        }
        let queue = shedder.queue.get_or_init(Queue::current);
        if queue.is_standing(now) {
            match readable {
                Some(readable) => self.check_wait(queue, class, readable, now)?,
                None => {
                    tokio::task::yield_now().await;
                    self.check_wait(queue, class, now, Instant::now())?;
                }
            }
        }
        Ok(flight)
    }

    /// [`Stage::enter_as`] for what another door of this process has let in already: how long it
    /// waited for a thread was judged there, and of what is refused for that a share would else be
    /// taken twice.
    ///
    /// # Errors
    /// As there, but for [`Reason::Wait`].
    pub fn enter_again(
        &self,
        class: Criticality,
        now: Instant,
        places: usize,
    ) -> Result<Flight<'_>, Reason> {
        let class = class.min(self.criticality);
        let flight = self.fly(now);
        if self.flying.load(Relaxed) > places {
            return Err(Reason::InFlight);
        }
        if let (true, Some(time)) = (self.shedder.is_enabled(), self.time) {
            self.check_flight(class, now, time)?;
        }
        Ok(flight)
    }

    /// Counts a request as in flight.
    fn fly(&self, now: Instant) -> Flight<'_> {
        self.flying.fetch_add(1, Relaxed);
        Flight {
            stage: self,
            began: now,
        }
    }

    /// Rule 1.
    fn check_wait(
        &self,
        queue: &Queue,
        class: Criticality,
        since: Instant,
        now: Instant,
    ) -> Result<(), Reason> {
        let wait = now.saturating_duration_since(since);
        if queue.admits(class, wait, now) {
            Ok(())
        } else {
            Err(Reason::Wait)
        }
    }

    /// Rules 2 and 3, by limits that are worked out once in 100 ms.
    fn check_flight(&self, class: Criticality, now: Instant, time: Duration) -> Result<(), Reason> {
        let shedder = &*self.shedder.inner;
        let tick = shedder.ticks.at(now);
        let looked = self.looked.load(Relaxed);
        if looked != tick
            && self
                .looked
                .compare_exchange(looked, tick, Relaxed, Relaxed)
                .is_ok()
        {
            self.look(tick, shedder.ticks.nanos(now), time);
        }
        let flying = self.flying.load(Relaxed);
        if flying <= FLIGHT_MIN {
            return Ok(());
        }
        if flying > self.allowed_slow[class.index()].load(Relaxed) {
            return Err(Reason::Slow);
        }
        let short = self.allowed_short[class.index()].load(Relaxed);
        if flying > short && self.average.load(Relaxed) as f64 / MILLI > short as f64 {
            let now = shedder.ticks.nanos(now);
            shedder.dropped[class.index()].store(now.max(1), Relaxed);
            return Err(Reason::Cpu);
        }
        Ok(())
    }

    fn look(&self, tick: u64, now: u64, time: Duration) {
        let shedder = &*self.shedder.inner;
        let best = self.best(tick);
        let cpu = (shedder.cpu)();
        let queue = self.queue(&best, now);
        for class in Criticality::ALL {
            // Before anything has passed, nobody knows what would be too many.
            let short = if shedder.is_short(class, cpu, now) && best.time.is_some() {
                let threshold = threshold(shedder.threshold.load(Relaxed), class);
                ((best.flight() * factor(cpu, threshold)) as usize).max(SHORT_MIN)
            } else {
                usize::MAX
            };
            let slow = queue.as_ref().map_or(usize::MAX, |queue| {
                let patience = time.mul_f64(PATIENCE[class.index()]);
                self.slow(queue, &best, tick, patience)
            });
            self.allowed_short[class.index()].store(short, Relaxed);
            self.allowed_slow[class.index()].store(slow, Relaxed);
        }
    }

    /// Whether more is in flight than is no queue, as it was when the queue began, and for how
    /// long that has stood.
    fn queue(&self, best: &Best, now: u64) -> Option<Standing> {
        let began = self.standing.load(Relaxed);
        let most = if began == 0 {
            at_least_min(best.flight() * STANDING)
        } else {
            // As it was when the queue began: once it has stood for the whole window, the best
            // time in the window is that of a queue.
            self.most.load(Relaxed)
        };
        if self.flying.load(Relaxed) <= most {
            self.standing.store(0, Relaxed);
            return None;
        }
        if began == 0 {
            self.most.store(most, Relaxed);
            self.standing.store(now.max(1), Relaxed);
            return None;
        }
        Some(Standing {
            most,
            stood: Duration::from_nanos(now.saturating_sub(began)),
        })
    }

    /// Rule 3: how many may be in flight.
    fn slow(&self, queue: &Standing, best: &Best, tick: u64, patience: Duration) -> usize {
        let long = best.time.map_or(patience, |time| {
            let twice = Duration::from_secs_f64(time * 2.0);
            twice.max(STANDING_MIN).min(patience)
        });
        if queue.stood < long {
            return usize::MAX;
        }
        let waits = self.passes_a_second(tick) * patience.as_secs_f64();
        queue.most.max(waits as usize)
    }

    /// What the service can do, over the full buckets of the window.
    fn best(&self, tick: u64) -> Best {
        let mut best = Best {
            pass: 1,
            time: None,
        };
        for tick in tick + 1 - BUCKETS as u64..tick {
            let passes = self.passes.get(tick);
            if passes > 0 {
                best.pass = best.pass.max(passes);
                let mean = self.times.get(tick) as f64 / passes as f64 / 1e6;
                best.time = Some(best.time.map_or(mean, |time| time.min(mean)));
            }
        }
        best
    }

    /// Over the last second, or the last fifth of it if that was better: a service that speeds
    /// up is given more at once, one that slows down less within the second.
    fn passes_a_second(&self, tick: u64) -> f64 {
        let passes = |buckets: u64| -> u64 {
            let last = tick - buckets..tick;
            last.map(|tick| self.passes.get(tick)).sum()
        };
        passes(10).max(5 * passes(2)) as f64
    }

    pub(crate) fn sample(&self, began: Instant, now: Instant) {
        let tick = self.shedder.inner.ticks.at(now);
        let took = now.saturating_duration_since(began);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.passes.add(tick, 1);
        self.times.add(tick, micros);
    }

    pub(crate) fn land(&self) {
        let flying = self.flying.fetch_sub(1, Relaxed) - 1;
        // Two that end at once may lose one of their samples; the mean does not miss it.
        let average = self.average.load(Relaxed) as f64;
        let average = average * FLYING_BETA + flying as f64 * MILLI * (1.0 - FLYING_BETA);
        self.average.store(average as u64, Relaxed);
    }
}

/// What stands in flight: how many would be no queue, and since when there are more.
struct Standing {
    most: usize,
    stood: Duration,
}

/// The best bucket of a window, and the best mean time of one.
#[derive(Debug, PartialEq)]
struct Best {
    pass: u64,
    /// Seconds; nothing is known without a pass.
    time: Option<f64>,
}

impl Best {
    /// What is in flight then: `max pass a second * min RT`.
    fn flight(&self) -> f64 {
        let time = self.time.unwrap_or(RT_UNKNOWN).min(RT_UNKNOWN);
        (self.pass as f64 * time * BUCKETS_PER_SECOND).max(1.0)
    }
}

/// Half way to the whole CPU for what is critical, as go-zero does for its prioritised routes.
fn threshold(normal: u32, criticality: Criticality) -> u32 {
    match criticality {
        Criticality::Critical => (normal + CPU_MAX as u32) / 2,
        Criticality::Normal | Criticality::Sheddable => normal,
    }
}

/// What of the best is taken while the CPU is short.
fn factor(cpu: u32, threshold: u32) -> f64 {
    let room = CPU_MAX - f64::from(threshold);
    let free = CPU_MAX - f64::from(cpu);
    (free / room.max(1.0)).clamp(FACTOR_MIN, 1.0)
}

fn at_least_min(allowed: f64) -> usize {
    // The cast saturates, so that no limit stays none.
    (allowed as usize).max(FLIGHT_MIN)
}

/// A request in flight.
#[derive(Debug)]
#[must_use = "the request is in flight until this is dropped"]
pub struct Flight<'a> {
    stage: &'a Stage,
    began: Instant,
}

impl Flight<'_> {
    /// The request was served: its time is a sample. One that was refused, failed, or whose
    /// caller left is none; just drop this.
    pub fn pass(self, now: Instant) {
        self.stage.sample(self.began, now);
    }

    /// Stays in flight without this, until somebody calls [`Stage::land`]. Answers when it began.
    pub(crate) fn keep(self) -> Instant {
        let began = self.began;
        std::mem::forget(self);
        began
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.stage.land();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn busy() -> u32 {
        950
    }

    proptest! {
        /// go-zero's `maxFlight` and `overloadFactor`, written out over a plain list.
        #[test]
        fn the_limits_are_those_of_the_formula(
            passes in prop::collection::vec((0_u64..100, 1_u64..2_000), 0..120),
            cpu in 0_u32..1200,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let _entered = runtime.enter();
            let shedder = Shedder::with_cpu(busy);
            let stage = shedder.stage(Criticality::Normal, Duration::from_secs(3));
            let first = shedder.inner.ticks.at(Instant::now());
            for (bucket, (count, millis)) in passes.iter().enumerate() {
                let tick = first + bucket as u64;
                stage.passes.add(tick, *count);
                stage.times.add(tick, count * millis * 1000);
            }
            let now = first + passes.len() as u64;
            // The window has 50 buckets, of which the one that is being filled does not count.
            let seen = &passes[passes.len().saturating_sub(49)..];
            let seen: Vec<_> = seen.iter().filter(|(count, _)| *count > 0).collect();
            let most = seen.iter().map(|(count, _)| *count).max().unwrap_or(1) as f64;
            let least = seen.iter().map(|(_, millis)| *millis).min().unwrap_or(1000).min(1000);
            let expected = (most * least as f64 / 1000.0 * 10.0).max(1.0);
            prop_assert!((stage.best(now).flight() - expected).abs() < 1e-6 * expected);
            let last = &passes[passes.len().saturating_sub(10)..];
            let a_second: u64 = last.iter().map(|(count, _)| count).sum();
            let lately: u64 = last.iter().rev().take(2).map(|(count, _)| 5 * count).sum();
            prop_assert_eq!(stage.passes_a_second(now), a_second.max(lately) as f64);
            let expected = ((1000.0 - f64::from(cpu)) / (1000.0 - 900.0)).clamp(0.1, 1.0);
            prop_assert!((factor(cpu, 900) - expected).abs() < 1e-9);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_cpu_counts_as_short_for_a_second_after_a_drop() {
        let shedder = Shedder::with_cpu(busy);
        let inner = &shedder.inner;
        let second = 1_000_000_000;
        let normal = Criticality::Normal;
        assert!(!inner.is_short(normal, 899, second));
        assert!(inner.is_short(normal, 900, 2 * second));
        let after = 2 * second + 1;
        assert!(!inner.is_short(normal, 0, after), "nothing was dropped");
        inner.dropped[normal.index()].store(2 * second + 5, Relaxed);
        assert!(inner.is_short(normal, 0, 3 * second - 1));
        assert!(!inner.is_short(normal, 0, 3 * second));
        assert!(!inner.is_short(Criticality::Critical, 949, 2 * second));
        assert_eq!(threshold(900, Criticality::Critical), 950);
        assert_eq!(threshold(900, Criticality::Sheddable), 900);
    }
}
