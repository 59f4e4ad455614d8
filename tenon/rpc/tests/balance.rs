//! The balancer over instances that are simulated on paused time, with seeds.

#![expect(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use proptest::prelude::*;
use tenon_core::config::BalancerConfig;
use tenon_discovery::Instance;
use tenon_rpc::balance::{Balancer, HashKey, InFlight, Outcome, Target};

/// An instance of the simulation: reachable or not.
#[derive(Clone)]
struct Up(Arc<AtomicBool>);

impl Up {
    fn set(&self, up: bool) {
        self.0.store(up, Ordering::Relaxed);
    }
}

impl Target for Up {
    fn usable(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

fn list(weights: &[u32]) -> Arc<[Instance]> {
    let weights = weights.iter().enumerate();
    weights
        .map(|(at, weight)| Instance {
            address: format!("10.0.0.{at}:9101").into(),
            weight: *weight,
        })
        .collect()
}

fn balancer(policy: BalancerConfig, list: &Arc<[Instance]>, seed: u64) -> Balancer<Up> {
    let balancer = Balancer::new(policy, seed);
    balancer.follow(list, |_| Some(Up(Arc::new(AtomicBool::new(true)))));
    balancer
}

fn number(address: &str) -> usize {
    let (host, _) = address.split_once(':').unwrap();
    host.rsplit('.').next().unwrap().parse().unwrap()
}

/// Callers in a closed loop: each makes its next call when the last one ended. Time is the
/// paused clock of tokio, which moves from one end of a call to the next.
struct Simulation<'a> {
    balancer: &'a Balancer<Up>,
    /// How long a call at each instance takes, and whether it fails.
    answers: Box<dyn Fn(usize) -> (Duration, Outcome) + 'a>,
    calls: BTreeMap<usize, u32>,
    failed: u32,
}

impl<'a> Simulation<'a> {
    fn of(balancer: &'a Balancer<Up>, answers: impl Fn(usize) -> (Duration, Outcome) + 'a) -> Self {
        Self {
            balancer,
            answers: Box::new(answers),
            calls: BTreeMap::new(),
            failed: 0,
        }
    }

    async fn run(&mut self, callers: usize, calls: u32) {
        let start = tokio::time::Instant::now();
        let mut under_way: Vec<Option<(InFlight<Up>, Outcome)>> = Vec::new();
        under_way.resize_with(callers, || None);
        let mut ends = BinaryHeap::new();
        for caller in 0..callers {
            ends.push(Reverse((start, caller)));
        }
        for _ in 0..calls + u32::try_from(callers).unwrap() {
            let Reverse((at, caller)) = ends.pop().unwrap();
            let now = tokio::time::Instant::now();
            tokio::time::advance(at.saturating_duration_since(now)).await;
            if let Some((mut flight, outcome)) = under_way[caller].take() {
                if outcome == Outcome::Success {
                    flight.answered();
                } else {
                    self.failed += 1;
                }
                self.balancer.ended(flight.node(), outcome);
            }
            let pick = self.balancer.pick(None).unwrap();
            if pick.is_probe {
                self.balancer.admit(&pick.node);
            }
            let instance = number(pick.node.address());
            *self.calls.entry(instance).or_default() += 1;
            let (takes, outcome) = (self.answers)(instance);
            under_way[caller] = Some((self.balancer.begin(pick.node), outcome));
            ends.push(Reverse((at + takes, caller)));
        }
    }

    fn share(&self, instance: usize) -> f64 {
        let all: u32 = self.calls.values().sum();
        f64::from(*self.calls.get(&instance).unwrap_or(&0)) / f64::from(all)
    }
}

fn paused<F: Future>(work: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(work)
}

/// How often a pick is made to measure it.
const ROUNDS: u32 = if cfg!(debug_assertions) {
    5_000
} else {
    1_000_000
};

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

proptest! {
    // A failure prints its seed; nothing is kept in files.
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Instances that answer alike get calls in proportion to their weights, at rest and under
    /// load.
    #[test]
    fn calls_follow_weights(
        weights in prop::collection::vec(20_u32..200, 2..7),
        callers in prop::sample::select(vec![1_usize, 8, 64]),
        seed: u64,
    ) {
        paused(async {
            let list = list(&weights);
            let balancer = balancer(BalancerConfig::P2c, &list, seed);
            let mut simulation = Simulation::of(&balancer, |_| (millis(5), Outcome::Success));
            simulation.run(callers, 6_000).await;
            let all: u32 = weights.iter().sum();
            for (at, weight) in weights.iter().enumerate() {
                let expected = f64::from(*weight) / f64::from(all);
                let share = simulation.share(at);
                prop_assert!(
                    (share - expected).abs() < 0.12,
                    "{share:.3} instead of {expected:.3} with {callers} callers of {weights:?}"
                );
            }
            Ok(())
        })?;
    }

    /// One instance that is ten times slower than the others gets little.
    #[test]
    fn a_slow_instance_gets_little(
        instances in 2_usize..8,
        callers in prop::sample::select(vec![1_usize, 8, 64]),
        seed: u64,
    ) {
        paused(async {
            let list = list(&vec![100; instances]);
            let balancer = balancer(BalancerConfig::P2c, &list, seed);
            let takes = |at| (if at == 0 { millis(100) } else { millis(10) }, Outcome::Success);
            let mut simulation = Simulation::of(&balancer, takes);
            simulation.run(callers, 4_000).await;
            let share = simulation.share(0);
            let even = 1.0 / instances as f64;
            prop_assert!(share < even * 0.35, "{share:.3} of {even:.3}");
            Ok(())
        })?;
    }

    /// However many fail, somebody takes the call, and at most half are left out.
    #[test]
    fn never_all_are_left_out(
        fails in prop::collection::vec(any::<bool>(), 1..9),
        seed: u64,
    ) {
        paused(async {
            let list = list(&vec![100; fails.len()]);
            let balancer = balancer(BalancerConfig::P2c, &list, seed);
            let answers = |at: usize| match fails[at] {
                true => (millis(1), Outcome::Failure),
                false => (millis(5), Outcome::Success),
            };
            let mut simulation = Simulation::of(&balancer, answers);
            for _ in 0..40 {
                simulation.run(4, 25).await;
                prop_assert!(balancer.ejected() * 2 <= fails.len());
                prop_assert!(balancer.pick(None).is_some());
            }
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn the_spread_follows_latency() {
    let list = list(&[100, 100, 100]);
    for callers in [1, 8, 64] {
        let balancer = balancer(BalancerConfig::P2c, &list, 42);
        let takes = [millis(50), millis(10), millis(5)];
        let mut simulation = Simulation::of(&balancer, |at| (takes[at], Outcome::Success));
        simulation.run(callers, 10_000).await;
        let shares: Vec<_> = (0..3)
            .map(|at| format!("{:.1} %", simulation.share(at) * 100.0))
            .collect();
        println!(
            "{callers} callers, answers after 50, 10 and 5 ms: {}",
            shares.join(", ")
        );
        assert!(simulation.share(0) < simulation.share(1));
        assert!(simulation.share(0) < 0.12);
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_fails_fast_attracts_nobody() {
    let list = list(&[100, 100, 100]);
    let balancer = balancer(BalancerConfig::P2c, &list, 7);
    let answers = |at| match at {
        0 => (millis(1), Outcome::Failure),
        _ => (millis(20), Outcome::Success),
    };
    let mut simulation = Simulation::of(&balancer, answers);
    simulation.run(16, 10_000).await;
    println!(
        "{} of 10,000 calls failed, {} times left out, in {:?}",
        simulation.failed,
        balancer.ejections(),
        millis(20) * 10_000 / 16,
    );
    // Five before it is left out, and a few at each return, which comes after twice the time.
    assert!(simulation.failed < 100, "{}", simulation.failed);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_reachable_gets_nothing_and_comes_back_slowly() {
    let list = list(&[100, 100]);
    let balancer = balancer(BalancerConfig::P2c, &list, 3);
    let nodes = balancer.in_order(None);
    nodes[0].target().set(false);
    let mut simulation = Simulation::of(&balancer, |_| (millis(5), Outcome::Success));
    simulation.run(4, 500).await;
    assert_eq!(simulation.share(1), 1.0);
    nodes[0].target().set(true);
    balancer.admit(&nodes[0]);
    let mut first = Simulation::of(&balancer, |_| (millis(5), Outcome::Success));
    first.run(4, 400).await;
    let mut later = Simulation::of(&balancer, |_| (millis(5), Outcome::Success));
    later.run(4, 16_000).await;
    let mut settled = Simulation::of(&balancer, |_| (millis(5), Outcome::Success));
    settled.run(4, 4_000).await;
    let [first, settled] = [first.share(0), settled.share(0)];
    println!("share in the first half second {first:.2}, settled {settled:.2}");
    assert!(first < 0.25, "{first}");
    assert!((settled - 0.5).abs() < 0.1, "{settled}");
}

#[tokio::test(start_paused = true)]
async fn a_list_may_change_under_calls() {
    let balancer = balancer(BalancerConfig::P2c, &list(&[100, 100]), 1);
    let leaving = balancer.in_order(None)[0].clone();
    let mut flight = balancer.begin(leaving.clone());
    let fewer: Arc<[Instance]> = list(&[100, 100])[1..].to_vec().into();
    balancer.follow(&fewer, |_| Some(Up(Arc::new(AtomicBool::new(true)))));
    assert!(balancer.follows(&fewer));
    for _ in 0..100 {
        assert_eq!(number(balancer.pick(None).unwrap().node.address()), 1);
    }
    // What is in flight there ends as ever.
    flight.answered();
    balancer.ended(&leaving, Outcome::Success);
    // An instance that comes later is spared at first.
    balancer.follow(&list(&[100, 100]), |_| {
        Some(Up(Arc::new(AtomicBool::new(true))))
    });
    let share = |picks: usize| {
        let new = (0..picks).filter(|_| number(balancer.pick(None).unwrap().node.address()) == 0);
        new.count() as f64 / picks as f64
    };
    let (at_first, settled) = (share(1000), {
        tokio::time::advance(Duration::from_secs(10)).await;
        share(1000)
    });
    println!("share of a new instance at first {at_first:.2}, settled {settled:.2}");
    assert!(at_first < 0.2 && settled > 0.4);
    // Nothing at all is told as such.
    balancer.follow(&Arc::from([]), |_| {
        Some(Up(Arc::new(AtomicBool::new(true))))
    });
    assert!(balancer.pick(None).is_none());
}

#[tokio::test(start_paused = true)]
async fn keys_stay_and_move_on_only_past_what_is_gone() {
    let balancer = balancer(BalancerConfig::ConsistentHash, &list(&[100; 5]), 1);
    let keys: Vec<_> = (0..500_u32)
        .map(|key| HashKey::new(key.to_be_bytes()))
        .collect();
    let owners = || {
        let owner = |key| number(balancer.pick(Some(key)).unwrap().node.address());
        keys.iter().map(owner).collect::<Vec<_>>()
    };
    let before = owners();
    assert_eq!(before, owners());
    balancer.in_order(None)[2].target().set(false);
    let after = owners();
    let moved = before
        .iter()
        .zip(&after)
        .filter(|(before, after)| before != after);
    assert!(
        moved
            .clone()
            .all(|(before, after)| *before == 2 && *after != 2)
    );
    println!(
        "{} of 500 keys moved when 1 of 5 instances went",
        moved.count()
    );
}

/// What the balancer costs a call. The figure means something alone and optimized:
/// `cargo test --release -p tenon-rpc --test balance -- --nocapture cost`.
#[test]
fn cost_of_a_pick() {
    for instances in [1_usize, 3, 10, 100] {
        let list = list(&vec![100; instances]);
        let measure = |policy, key: Option<&HashKey>| {
            let balancer = balancer(policy, &list, 5);
            let rounds = ROUNDS;
            let started = std::time::Instant::now();
            for _ in 0..rounds {
                let pick = balancer.pick(key).unwrap();
                let mut flight = balancer.begin(pick.node);
                flight.answered();
                balancer.ended(flight.node(), Outcome::Success);
            }
            started.elapsed().as_nanos() / u128::from(rounds)
        };
        let key = HashKey::new("T1");
        let p2c = measure(BalancerConfig::P2c, None);
        let hashed = measure(BalancerConfig::ConsistentHash, Some(&key));
        let targets: Vec<_> = (0..instances)
            .map(|_| Arc::new(Up(Arc::new(AtomicBool::new(true)))))
            .collect();
        let next = std::sync::atomic::AtomicUsize::new(0);
        let rounds = ROUNDS;
        let started = std::time::Instant::now();
        for _ in 0..rounds {
            let at = next.fetch_add(1, Ordering::Relaxed) % targets.len();
            let target = std::hint::black_box(targets[at].clone());
            assert!(target.usable());
        }
        let turn = started.elapsed().as_nanos() / u128::from(rounds);
        println!(
            "{instances} instances: p2c {p2c} ns, consistentHash {hashed} ns, in turn {turn} ns a call"
        );
    }
}
