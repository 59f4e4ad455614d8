//! Which instance takes a call.
//!
//! By default the power of two choices on peak EWMA: two instances are drawn in proportion to
//! their weights, and the one that would answer sooner takes the call. `load` says how that is
//! estimated, `health` when an instance that fails is left out and how it comes back. With
//! `balancer: consistentHash` the key of the call decides (`ring`).
//!
//! Sources: M. Mitzenmacher, The Power of Two Choices in Randomized Load Balancing (1996);
//! Finagle's and Linkerd's `PeakEwma`; go-zero's `p2c`; Envoy's outlier detection and slow start.

mod health;
mod load;
mod ring;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tenon_core::config::BalancerConfig;
use tenon_discovery::Instance;
use tenon_resilience::Random;
use tokio::time::Instant;

use self::{health::Health, load::Load, ring::Ring};
pub use self::{
    health::{Outcome, State, settings as ejection_settings},
    ring::HashKey,
};

/// How often two instances are drawn anew because one of them cannot take the call, before all
/// are looked at.
const DRAWS_MAX: usize = 8;
/// Of two instances the first one drawn takes the call unless the other's load is smaller by
/// this factor: below it the difference is noise, and weights alone decide.
const CLEARLY_BETTER: f32 = 1.5;

/// What is reached at an instance: a connection, a pool.
pub trait Target: Send + Sync {
    /// Whether a call can go there now. One that cannot may begin to change that.
    fn usable(&self) -> bool;
}

/// The instances of one service, and what is known of each.
pub struct Balancer<T> {
    /// Whether the key of a call decides.
    by_key: AtomicBool,
    set: ArcSwap<Set<T>>,
    changing: Mutex<()>,
    random: Random,
    /// Time is counted in milliseconds from here.
    start: Instant,
    ejections: AtomicU64,
}

/// An instance.
pub struct Node<T> {
    address: Arc<str>,
    target: T,
    load: Load,
    health: Health,
}

/// The instances at one time. What is drawn from is laid out once, for many calls.
struct Set<T> {
    source: Arc<[Instance]>,
    listed: Vec<Instance>,
    nodes: Vec<Arc<Node<T>>>,
    /// The sums of the weights up to and with each node.
    sums: Vec<u64>,
    /// By what the calls in flight of each node are multiplied: the mean weight over its own.
    shares: Vec<f32>,
    ring: Ring,
}

/// An instance that was picked.
pub struct Pick<T> {
    /// The instance.
    pub node: Arc<Node<T>>,
    /// It was left out, and this call, or something in its place, shall show how it is now.
    pub is_probe: bool,
}

/// An instance as it is now, for people.
pub struct View<T> {
    /// The instance.
    pub node: Arc<Node<T>>,
    /// Its share of calls beside the others.
    pub weight: u32,
    /// Whether it takes calls.
    pub state: State,
    /// It came, or came back, a short time ago, and is spared.
    pub is_starting: bool,
    /// How many calls are in flight there.
    pub in_flight: u32,
    /// How long its answers take, as it is estimated; `None` when it was never asked.
    pub latency: Option<Duration>,
}

impl<T: Target> Balancer<T> {
    /// A balancer without instances. Draws follow from `seed`.
    pub fn new(policy: BalancerConfig, seed: u64) -> Self {
        Self {
            by_key: AtomicBool::new(policy == BalancerConfig::ConsistentHash),
            set: ArcSwap::from_pointee(Set::empty()),
            changing: Mutex::new(()),
            random: Random::seeded(seed),
            start: Instant::now(),
            ejections: AtomicU64::new(0),
        }
    }

    /// How instances are chosen now.
    pub fn policy(&self) -> BalancerConfig {
        match self.by_key.load(Relaxed) {
            true => BalancerConfig::ConsistentHash,
            false => BalancerConfig::P2c,
        }
    }

    /// Chooses in another way from now on. What is known of the instances stays.
    pub fn set_policy(&self, policy: BalancerConfig) {
        let by_key = policy == BalancerConfig::ConsistentHash;
        self.by_key.store(by_key, Relaxed);
    }

    /// Takes over a list. What is known of an instance stays while its address does; one that is
    /// no longer listed is forgotten here, and whoever still calls it holds it until that is
    /// over. `make` makes what is reached at a new one; one that it cannot make is passed over.
    pub fn follow(&self, list: &Arc<[Instance]>, make: impl Fn(&Instance) -> Option<T>) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.set.load_full();
        if Arc::ptr_eq(&before.source, list) {
            return;
        }
        let is_first = before.nodes.is_empty();
        let member = |instance: &Instance| {
            let mut known = before.nodes.iter();
            if let Some(node) = known.find(|node| node.address == instance.address) {
                return Some((instance.clone(), node.clone()));
            }
            let health = match is_first {
                // When all begin at once, holding back serves nobody.
                true => Health::settled(),
                false => Health::fresh(self.now()),
            };
            let node = Node {
                address: instance.address.clone(),
                target: make(instance)?,
                load: Load::default(),
                health,
            };
            Some((instance.clone(), Arc::new(node)))
        };
        let (listed, nodes) = list.iter().filter_map(member).unzip();
        self.set
            .store(Arc::new(Set::new(list.clone(), listed, nodes)));
    }

    /// Whether `list` is the one that calls are balanced over.
    pub fn follows(&self, list: &Arc<[Instance]>) -> bool {
        Arc::ptr_eq(&self.set.load().source, list)
    }

    /// The instance for a call, among those that are usable; `None` when there is none. `key`
    /// counts with `consistentHash` only.
    pub fn pick(&self, key: Option<&HashKey>) -> Option<Pick<T>> {
        self.pick_but(key, None)
    }

    /// The same for a call that failed at `avoided`: another one, if there is one.
    pub fn pick_but(&self, key: Option<&HashKey>, avoided: Option<&Node<T>>) -> Option<Pick<T>> {
        let set = self.set.load();
        let now = self.now();
        let pick = |avoided: Option<&Node<T>>| match (self.policy(), key) {
            (BalancerConfig::ConsistentHash, Some(key)) => {
                let mut order = set.ring.order(key).filter(|at| !set.is(*at, avoided));
                order.find_map(|at| set.nodes[at].offer(now))
            }
            _ => set.pick(now, &self.random, avoided),
        };
        let picked = pick(avoided);
        match avoided {
            Some(_) => picked.or_else(|| pick(None)),
            None => picked,
        }
    }

    /// The instances in the order in which the key prefers them; without a key, as they are
    /// listed.
    pub fn in_order(&self, key: Option<&HashKey>) -> Vec<Arc<Node<T>>> {
        let set = self.set.load();
        match key {
            Some(key) => set
                .ring
                .order(key)
                .map(|at| set.nodes[at].clone())
                .collect(),
            None => set.nodes.clone(),
        }
    }

    /// Takes note of how a call to the instance ended, and leaves it out when that is due; says
    /// whether it was.
    pub fn ended(&self, node: &Node<T>, outcome: Outcome) -> bool {
        let now = self.now();
        if !node.health.record(now, outcome) {
            return false;
        }
        let set = self.set.load();
        let out = set.nodes.iter().filter(|node| node.health.is_out(now));
        // Invariant: at most half of the instances are left out. When most fail, the fault is
        // rarely theirs, and what is left would not carry the calls of all.
        if (out.count() + 1) * 2 > set.nodes.len() {
            return false;
        }
        node.health.eject(now, self.random.unit() as f32);
        self.ejections.fetch_add(1, Relaxed);
        true
    }

    /// Lets an instance take calls again, few at first: a probe of it succeeded, or it was
    /// connected anew.
    pub fn admit(&self, node: &Node<T>) {
        node.health.admit(self.now());
    }

    /// Leaves the instance out for longer: a probe of it failed.
    pub fn reject(&self, node: &Node<T>) {
        node.health.eject(self.now(), self.random.unit() as f32);
    }

    /// Counts a call in flight at the instance until the guard is dropped.
    pub fn begin(&self, node: Arc<Node<T>>) -> InFlight<T> {
        node.load.begin();
        InFlight {
            node,
            begun: Instant::now(),
            start: self.start,
            answered: false,
        }
    }

    /// The instances as they are listed, and how each does.
    pub fn view(&self) -> Vec<View<T>> {
        let now = self.now();
        let set = self.set.load();
        let view = |(instance, node): (&Instance, &Arc<Node<T>>)| View {
            weight: instance.weight,
            state: node.health.state(now),
            is_starting: node.health.is_starting(),
            in_flight: node.load.in_flight(),
            latency: node.load.latency(now),
            node: node.clone(),
        };
        set.listed.iter().zip(&set.nodes).map(view).collect()
    }

    /// How many instances there are.
    pub fn len(&self) -> usize {
        self.set.load().nodes.len()
    }

    /// Whether there is no instance.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many instances are left out now.
    pub fn ejected(&self) -> usize {
        let now = self.now();
        let set = self.set.load();
        set.nodes
            .iter()
            .filter(|node| node.health.is_out(now))
            .count()
    }

    /// How often an instance was left out, since the start.
    pub fn ejections(&self) -> u64 {
        self.ejections.load(Relaxed)
    }

    fn now(&self) -> u32 {
        millis(self.start)
    }
}

impl<T> Set<T> {
    fn empty() -> Self {
        Self {
            source: Arc::from([]),
            listed: Vec::new(),
            nodes: Vec::new(),
            sums: Vec::new(),
            shares: Vec::new(),
            ring: Ring::default(),
        }
    }

    fn new(source: Arc<[Instance]>, listed: Vec<Instance>, nodes: Vec<Arc<Node<T>>>) -> Self {
        let mut sum = 0;
        let sums = listed.iter().map(|instance| {
            sum += u64::from(instance.weight);
            sum
        });
        let sums: Vec<_> = sums.collect();
        let mean = sum as f32 / listed.len().max(1) as f32;
        let share = |instance: &Instance| mean / (instance.weight.max(1) as f32);
        Self {
            shares: listed.iter().map(share).collect(),
            ring: Ring::new(&listed),
            source,
            listed,
            nodes,
            sums,
        }
    }

    fn is(&self, at: usize, node: Option<&Node<T>>) -> bool {
        node.is_some_and(|node| std::ptr::eq(&*self.nodes[at], node))
    }

    /// A node in proportion to the weights.
    fn draw(&self, random: &Random) -> Option<usize> {
        let all = *self.sums.last()?;
        // The high half of the product (Lemire, 2019): even enough for sums of weights.
        let at = ((u128::from(random.next()) * u128::from(all)) >> 64) as u64;
        let drawn = self.sums.partition_point(|sum| *sum <= at);
        (drawn < self.nodes.len()).then_some(drawn)
    }
}

impl<T: Target> Set<T> {
    fn pick(&self, now: u32, random: &Random, avoided: Option<&Node<T>>) -> Option<Pick<T>> {
        let mut first: Option<usize> = None;
        for _ in 0..DRAWS_MAX {
            let Some(drawn) = self.draw(random) else {
                break;
            };
            let node = &self.nodes[drawn];
            if first == Some(drawn) || self.is(drawn, avoided) {
                continue;
            }
            match first {
                None if !node.health.takes_share(now, random) => continue,
                // It has the part that it is drawn first with, and no more for being idle.
                Some(first) if node.health.is_starting() => {
                    return Some(Pick::of(&self.nodes[first]));
                }
                _ => {}
            }
            match (node.health.state(now), first) {
                (State::Due, _) if node.health.claim(now) => {
                    return Some(Pick::probe(node));
                }
                (State::In, None) if node.target.usable() => first = Some(drawn),
                (State::In, Some(first)) if node.target.usable() => {
                    return Some(Pick::of(&self.nodes[self.better(now, first, drawn)]));
                }
                _ => {}
            }
        }
        match first {
            Some(only) => Some(Pick::of(&self.nodes[only])),
            None => self.any(now, avoided),
        }
    }

    fn better(&self, now: u32, first: usize, second: usize) -> usize {
        let load = |at: usize| self.nodes[at].load.now(now, self.shares[at]);
        match load(first) > load(second) * CLEARLY_BETTER {
            true => second,
            false => first,
        }
    }

    /// The least loaded of those that take calls; of those that were left out, when there is no
    /// other: a doubtful answer is better than none.
    fn any(&self, now: u32, avoided: Option<&Node<T>>) -> Option<Pick<T>> {
        let usable = |is_in: bool| {
            let nodes = (0..self.nodes.len()).filter(move |at| {
                let node = &self.nodes[*at];
                let counts = self.listed[*at].weight > 0 && !self.is(*at, avoided);
                counts && (node.health.state(now) == State::In) == is_in && node.target.usable()
            });
            nodes.min_by(|a, b| {
                let load = |at: usize| self.nodes[at].load.now(now, self.shares[at]);
                load(*a).total_cmp(&load(*b))
            })
        };
        let at = usable(true).or_else(|| usable(false))?;
        Some(Pick::of(&self.nodes[at]))
    }
}

impl<T> Node<T> {
    /// `host:port`.
    pub fn address(&self) -> &Arc<str> {
        &self.address
    }

    /// What is reached there.
    pub fn target(&self) -> &T {
        &self.target
    }
}

impl<T: Target> Node<T> {
    /// The node for a call that prefers it to all others.
    fn offer(self: &Arc<Self>, now: u32) -> Option<Pick<T>> {
        match self.health.state(now) {
            State::In if self.target.usable() => Some(Pick::of(self)),
            State::Due if self.health.claim(now) => Some(Pick::probe(self)),
            _ => None,
        }
    }
}

impl<T> Pick<T> {
    fn of(node: &Arc<Node<T>>) -> Self {
        Self {
            node: node.clone(),
            is_probe: false,
        }
    }

    fn probe(node: &Arc<Node<T>>) -> Self {
        Self {
            node: node.clone(),
            is_probe: true,
        }
    }
}

/// A call in flight.
pub struct InFlight<T> {
    node: Arc<Node<T>>,
    begun: Instant,
    start: Instant,
    answered: bool,
}

impl<T> InFlight<T> {
    /// The instance.
    pub fn node(&self) -> &Arc<Node<T>> {
        &self.node
    }

    /// The answer has begun: how long that took is what the instance is measured by. What it
    /// streams afterwards may last for hours.
    pub fn answered(&mut self) {
        if !std::mem::replace(&mut self.answered, true) {
            self.node
                .load
                .took(millis(self.start), self.begun.elapsed());
        }
    }
}

impl<T> Drop for InFlight<T> {
    fn drop(&mut self) {
        if !self.answered {
            // Failed or given up: it would have taken this long at least.
            self.node
                .load
                .took_at_least(millis(self.start), self.begun.elapsed());
        }
        self.node.load.end();
    }
}

/// Milliseconds since `start`; they wrap after 49 days, which the differences bear.
fn millis(start: Instant) -> u32 {
    start.elapsed().as_millis() as u32
}
