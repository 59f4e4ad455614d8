//! The shedder before simulated work: what it refuses, whom first, and how soon it is over.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

use std::{cell::Cell, sync::Arc, time::Duration};

use tenon_resilience::{
    Criticality, Shedder,
    shedder::{FLIGHT_MIN, Reason, Stage},
};
use tokio::{
    sync::Semaphore,
    task::{JoinSet, LocalSet, yield_now},
    time::{Instant, advance, sleep},
};

const SECOND: Duration = Duration::from_secs(1);
/// As many as come.
const ANY: usize = usize::MAX;

fn idle() -> u32 {
    100
}

#[derive(Debug, Default)]
struct Seen {
    asked: usize,
    served: usize,
    refused: Vec<Reason>,
    times: Vec<Duration>,
}

impl Seen {
    fn p99(&mut self) -> Duration {
        self.times.sort();
        self.times[(self.times.len() * 99 / 100).min(self.times.len() - 1)]
    }
}

/// What requests wait for.
#[derive(Clone)]
struct Behind {
    places: Arc<Semaphore>,
    work: Duration,
}

impl Behind {
    fn new(places: usize, work: Duration) -> Self {
        let places = Arc::new(Semaphore::new(places));
        Self { places, work }
    }
}

/// An open loop: so many requests a second, whatever becomes of them.
async fn press(stage: &Arc<Stage>, behind: &Behind, rate: u32, time: Duration) -> Seen {
    let mut requests = JoinSet::new();
    let until = Instant::now() + time;
    let mut seen = Seen::default();
    while Instant::now() < until {
        sleep(Duration::from_millis(10)).await;
        for _ in 0..rate / 100 {
            seen.asked += 1;
            let (stage, behind) = (stage.clone(), behind.clone());
            requests.spawn(async move {
                let came = Instant::now();
                let flight = stage.enter(came, None, ANY).await?;
                let place = behind.places.acquire().await.unwrap();
                sleep(behind.work).await;
                drop(place);
                flight.pass(Instant::now());
                Ok(came.elapsed())
            });
        }
    }
    for outcome in requests.join_all().await {
        match outcome {
            Ok(took) => {
                seen.served += 1;
                seen.times.push(took);
            }
            Err(reason) => seen.refused.push(reason),
        }
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn a_slow_dependency_is_given_what_it_can_do_and_waits_stay_bounded() {
    let shedder = Shedder::with_cpu(idle);
    let stage = Arc::new(shedder.stage(Criticality::Normal, 3 * SECOND));
    // 1,600 a second at its best.
    let behind = Behind::new(8, Duration::from_millis(5));
    let fair = press(&stage, &behind, 1000, 10 * SECOND).await;
    assert_eq!(fair.served, fair.asked, "shed below capacity");
    let mut over = press(&stage, &behind, 10_000, 20 * SECOND).await;
    let rate = over.served / 20;
    let p99 = over.p99();
    println!("10,000 a second against 1,600: {rate} served a second, p99 {p99:?}");
    assert!(rate > 1500, "{rate}");
    assert!(over.refused.iter().all(|reason| *reason == Reason::Slow));
    // A quarter of the route's time, and what came before the queue had stood for so long.
    assert!(p99 < 3 * SECOND, "{p99:?}");
    // What is left of the queue is done within the patience; then all is as before.
    sleep(SECOND).await;
    let after = press(&stage, &behind, 1000, 5 * SECOND).await;
    assert_eq!(
        after.served, after.asked,
        "still shedding after the overload"
    );
    assert_eq!(stage.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_black_hole_holds_few_and_a_burst_is_no_overload() {
    let shedder = Shedder::with_cpu(idle);
    let stage = Arc::new(shedder.stage(Criticality::Normal, 3 * SECOND));
    // A burst of 500 against an idle service is let in, all of it.
    let burst: Vec<_> = futures(&stage, 500).await;
    assert!(burst.iter().all(Result::is_ok));
    sleep(Duration::from_millis(300)).await;
    drop(burst);
    // Nothing ends any more: after a quarter of the route's time nobody new is let in.
    let held = futures(&stage, 500).await;
    let mut refused = None;
    for tenth in 0..30 {
        if stage.enter(Instant::now(), None, ANY).await.is_err() {
            refused.get_or_insert(tenth);
        }
        sleep(Duration::from_millis(100)).await;
    }
    println!(
        "a black hole is noticed after {:?} tenths of a second",
        refused
    );
    assert!((7..10).contains(&refused.unwrap()), "{refused:?}");
    drop(held);
    let probes = futures(&stage, FLIGHT_MIN).await;
    assert!(
        probes.iter().all(Result::is_ok),
        "nothing may find out that it is over"
    );
}

async fn futures(
    stage: &Stage,
    count: usize,
) -> Vec<Result<tenon_resilience::shedder::Flight<'_>, Reason>> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(stage.enter(Instant::now(), None, ANY).await);
    }
    all
}

#[tokio::test(start_paused = true)]
async fn a_short_cpu_sheds_what_is_above_the_best_and_places_are_a_limit_by_themselves() {
    fn busy() -> u32 {
        BUSY.with(Cell::get)
    }
    thread_local!(static BUSY: Cell<u32> = const { Cell::new(0) });
    let shedder = Shedder::with_cpu(busy);
    let of = |criticality| Arc::new(shedder.stage(criticality, 3 * SECOND));
    let stages = Criticality::ALL.map(of);
    // 2,000 a second, 50 ms each: 100 in flight, which is the best there is.
    let behind = Behind::new(1000, Duration::from_millis(50));
    let mut shed = Vec::new();
    for stage in &stages {
        BUSY.set(0);
        let calm = press(stage, &behind, 2000, 2 * SECOND).await;
        assert!(calm.refused.is_empty(), "{} refused", calm.refused.len());
        BUSY.set(920);
        let busy = press(stage, &behind, 2000, 2 * SECOND).await;
        assert!(busy.refused.iter().all(|reason| *reason == Reason::Cpu));
        shed.push(busy.refused.len());
    }
    println!("shed of 4,000 at 920 permille: sheddable, normal, critical {shed:?}");
    assert!(
        shed[0] > 100 && shed[1] > 100,
        "a fifth of the best is too much"
    );
    assert!(shed[0] < 2000 && shed[1] < 2000, "more than the rule says");
    assert_eq!(shed[2], 0, "shed although 950 is its threshold");
    shedder.set(false, 900);
    let all = futures(&stages[0], 1000).await;
    assert!(all.iter().all(Result::is_ok), "shed although it is off");
    let one_more = stages[0].enter(Instant::now(), None, 1000).await;
    assert_eq!(one_more.unwrap_err(), Reason::InFlight);
}

/// One worker thread whose handlers compute for 2 ms each, moved by hand: a request's wait is
/// what ran before it.
#[tokio::test(start_paused = true)]
async fn a_queue_before_the_threads_is_shed_by_criticality() {
    println!("{}", queue_before_the_threads(false).await);
}

/// The same where the listener tells since when each could be read.
#[tokio::test(start_paused = true)]
async fn a_queue_that_the_listener_knows_is_shed_by_criticality() {
    println!("{}", queue_before_the_threads(true).await);
}

/// Answers what is to be shown of it.
async fn queue_before_the_threads(known: bool) -> String {
    let shedder = Shedder::with_cpu(idle);
    let of = |criticality| Arc::new(shedder.stage(criticality, 3 * SECOND));
    let stages = Criticality::ALL.map(of);
    let local = LocalSet::new();
    let counts = local
        .run_until(async {
            let mut refused = [0_usize; 3];
            let mut served = [0_usize; 3];
            let mut longest = Duration::ZERO;
            for _round in 0..60 {
                let mut batch = JoinSet::new();
                let ready = known.then(Instant::now);
                // Requests that were ready at the same time run one after another.
                for request in 0..90 {
                    let class = request % 3;
                    let stage = stages[class].clone();
                    batch.spawn_local(async move {
                        let came = Instant::now();
                        let entered = stage.enter(came, ready, ANY).await;
                        let waited = ready.unwrap_or(came).elapsed();
                        match entered {
                            Ok(flight) => {
                                advance_without_yielding(Duration::from_millis(2)).await;
                                flight.pass(Instant::now());
                                (class, Ok(waited))
                            }
                            Err(reason) => (class, Err(reason)),
                        }
                    });
                }
                while let Some(done) = batch.join_next().await {
                    match done.unwrap() {
                        (class, Ok(waited)) => {
                            served[class] += 1;
                            longest = longest.max(waited);
                        }
                        (class, Err(reason)) => {
                            assert_eq!(reason, Reason::Wait);
                            refused[class] += 1;
                        }
                    }
                }
                yield_now().await;
            }
            (served, refused, longest)
        })
        .await;
    let (served, refused, longest) = counts;
    assert!(
        refused[0] > refused[1] && refused[1] > refused[2],
        "{refused:?}"
    );
    assert!(served[2] > served[0], "{served:?}");
    format!(
        "sheddable, normal, critical: served {served:?}, refused {refused:?}; longest wait of the served {longest:?}"
    )
}

/// The clock moves as if the thread had computed.
async fn advance_without_yielding(time: Duration) {
    advance(time).await;
}
