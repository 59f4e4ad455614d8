//! The queue before a worker thread under an open loop, in simulated time: what is still served
//! at ten times the load, how long that waits, and how soon all is served again.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

use std::{collections::VecDeque, time::Duration};

use tenon_resilience::{Criticality, Random, Shedder, shedder::Stage};
use tokio::time::{Instant, advance};

/// As many connections as there are callers; each asks again when it has its answer.
const CALLERS: usize = 512;
/// What a request costs the thread when it is served, and when it is refused.
const SERVED: Duration = Duration::from_millis(1);
const REFUSED: Duration = Duration::from_micros(18);
/// What the thread can do.
const PEAK: f64 = 1000.0;
/// The runtime looks at its timers so often while it is busy: the probe of the shedder is late.
const TURN: Duration = Duration::from_millis(40);

fn idle() -> u32 {
    100
}

/// The thread, its queue, and the callers.
struct World {
    stages: [Stage; 3],
    random: Random,
    now: Instant,
    turned: Instant,
    /// When the next request is due at its caller.
    next: Instant,
    count: usize,
    /// When the requests of each caller were due; the first stands in the queue of the thread.
    due: Vec<VecDeque<Instant>>,
    /// The caller, and since when the thread could have read its request.
    queue: VecDeque<(usize, Instant)>,
}

/// What became of one request.
struct Outcome {
    due: Duration,
    took: Duration,
    class: usize,
    served: bool,
}

impl World {
    fn new(shedder: &Shedder) -> Self {
        let now = Instant::now();
        Self {
            stages: Criticality::ALL.map(|class| shedder.stage(class, Duration::from_secs(3))),
            random: Random::seeded(7),
            now,
            turned: now,
            next: now,
            count: 0,
            due: vec![VecDeque::new(); CALLERS],
            queue: VecDeque::new(),
        }
    }

    /// So many times the peak for so long.
    async fn press(&mut self, load: f64, time: Duration) -> Vec<Outcome> {
        let (began, until) = (self.now, self.now + time);
        let mut outcomes = Vec::new();
        self.next = began;
        while self.now < until {
            self.arrive(load);
            let Some((caller, readable)) = self.queue.pop_front() else {
                self.now = self.next;
                self.turn().await;
                continue;
            };
            let class = class(caller);
            let entered = self.stages[class].enter(self.now, Some(readable), usize::MAX);
            let served = match entered.await {
                Ok(flight) => {
                    self.now += SERVED;
                    flight.pass(self.now);
                    true
                }
                Err(_) => {
                    self.now += REFUSED;
                    false
                }
            };
            let due = self.due[caller].pop_front().unwrap();
            outcomes.push(Outcome {
                due: due.saturating_duration_since(began),
                took: self.now - due,
                class,
                served,
            });
            if !self.due[caller].is_empty() {
                self.queue.push_back((caller, self.now));
            }
            if self.now - self.turned >= TURN {
                self.turn().await;
            }
        }
        outcomes
    }

    /// Whatever is due by now, in turn.
    fn arrive(&mut self, load: f64) {
        while self.next <= self.now {
            let caller = self.count % CALLERS;
            self.count += 1;
            self.due[caller].push_back(self.next);
            if self.due[caller].len() == 1 {
                self.queue.push_back((caller, self.next));
            }
            let apart = -(1.0 - self.random.unit()).ln() / (load * PEAK);
            self.next += Duration::from_secs_f64(apart);
        }
    }

    /// The runtime comes to its timers.
    async fn turn(&mut self) {
        advance(self.now - self.turned).await;
        self.turned = self.now;
    }
}

/// Of 20 callers 9 are sheddable, 9 normal, 2 critical.
fn class(caller: usize) -> usize {
    match caller * 7 % 20 {
        0..2 => 2,
        2..11 => 1,
        _ => 0,
    }
}

/// Goodput of the peak, p99 of the served, and what was refused of each class, after the first
/// three seconds, which the shedder needs to notice.
fn figures(outcomes: &[Outcome], time: Duration) -> (f64, Duration, [f64; 3]) {
    let notice = Duration::from_secs(3);
    let settled: Vec<_> = outcomes.iter().filter(|it| it.due >= notice).collect();
    let mut served: Vec<_> = settled
        .iter()
        .filter(|it| it.served)
        .map(|it| it.took)
        .collect();
    served.sort();
    let goodput = served.len() as f64 / (time - notice).as_secs_f64() / PEAK;
    let p99 = served
        .get(served.len() * 99 / 100)
        .copied()
        .unwrap_or_default();
    let refused = [0, 1, 2].map(|class| {
        let own = settled.iter().filter(|it| it.class == class);
        let refused = own.clone().filter(|it| !it.served).count();
        refused as f64 / own.count().max(1) as f64
    });
    (goodput, p99, refused)
}

#[tokio::test(start_paused = true)]
async fn ten_times_the_load_leaves_goodput_and_waits_as_they_were() {
    let shedder = Shedder::with_cpu(idle);
    let mut world = World::new(&shedder);
    let time = Duration::from_secs(10);
    let mut at_peak = Duration::ZERO;
    for load in [1.0, 2.0, 5.0, 10.0] {
        let outcomes = world.press(load, time).await;
        let (goodput, p99, refused) = figures(&outcomes, time);
        println!(
            "{load} times: goodput {goodput:.2} of the peak, p99 {p99:.1?}, refused {refused:.2?}"
        );
        if load == 1.0 {
            at_peak = p99;
            continue;
        }
        assert!(goodput > 0.8, "{goodput} at {load} times");
        assert!(
            p99 < 2 * at_peak,
            "{p99:?} at {load} times, {at_peak:?} at the peak"
        );
        let [sheddable, normal, critical] = refused;
        assert!(sheddable >= normal && normal >= critical, "{refused:?}");
    }
    let after = world.press(0.7, time).await;
    let last = after.iter().filter(|it| !it.served).map(|it| it.due).max();
    println!("after the overload, the last refusal came after {last:.1?}");
    assert!(last.unwrap_or_default() < time / 2, "{last:?}");
}

/// What few callers ask for is no queue, however slow the thread is because of others.
#[tokio::test(start_paused = true)]
async fn a_few_callers_on_a_busy_machine_are_served() {
    let shedder = Shedder::with_cpu(idle);
    let stage = shedder.stage(Criticality::Sheddable, Duration::from_secs(3));
    let mut refused = 0;
    for _ in 0..400 {
        let ready = Instant::now();
        advance(Duration::from_millis(60)).await;
        for _ in 0..4 {
            let entered = stage.enter(Instant::now(), Some(ready), usize::MAX).await;
            refused += usize::from(entered.is_err());
        }
    }
    assert_eq!(refused, 0);
}
