//! Which instance of a service gets a request: the less busy of two taken at random, among those
//! that are not known to be dead.
//!
//! Source: M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (2001). An
//! instance that cannot be connected is ejected at once, one that breaks off several requests in
//! a row after the last of them; it comes back when a connection to it was made beside the
//! requests, so that none of them pays for the trial. When all are ejected, all are tried.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU32, AtomicU64, AtomicUsize,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use http::{
    Uri,
    uri::{Authority, Scheme},
};
use tenon_core::Live;
use tenon_discovery::{Instance, Instances};
use tokio::time::Instant;
use tower::Service as _;

use crate::forward::Connector;

/// How long an ejected instance is left alone before the first trial, doubled up to
/// [`LONGEST_PAUSE`] with each that fails: a process that restarts is back within seconds.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long a trial may take to connect; as long as a request's connection may.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Requests in a row that an instance breaks off before it is ejected: one alone may be the
/// request's own doing.
const BROKEN_MAX: u32 = 3;

/// The instances of one service, as discovery knows them now.
pub(crate) struct Targets {
    instances: Instances,
    /// How an ejected instance is tried: by all that a request's connection takes.
    connector: Connector,
    known: Live<Known>,
    turn: AtomicU64,
    started: Instant,
}

/// What was made of one list of instances.
struct Known {
    list: Arc<[Instance]>,
    targets: Vec<Arc<Target>>,
    /// Whether all have the same weight, as they do nearly always.
    equal: bool,
    /// Whether they are another source's, until this one has answered.
    inherited: bool,
}

struct Target {
    authority: Authority,
    weight: u32,
    in_flight: AtomicUsize,
    /// The turn in which it was last chosen, for ties.
    chosen: AtomicU64,
    broken: AtomicU32,
    /// Until when it is ejected, in milliseconds from the start; zero when it is not.
    ejected_until: AtomicU64,
    ejections: AtomicU32,
    trying: AtomicBool,
}

impl Targets {
    pub(crate) fn new(instances: Instances, connector: Connector) -> Self {
        let known = Known::of(instances.now(), &[]);
        Self {
            instances,
            connector,
            known: Live::new(known),
            turn: AtomicU64::new(0),
            started: Instant::now(),
        }
    }

    /// The instances of another source of the same service. Those known before serve until it
    /// has answered.
    pub(crate) fn after(before: &Self, instances: Instances, connector: Connector) -> Self {
        let old = before.current();
        let list = instances.now();
        let inherited = list.is_empty();
        let list = if inherited { old.list.clone() } else { list };
        let known = Known {
            inherited,
            ..Known::of(list, &old.targets)
        };
        Self {
            instances,
            connector,
            known: Live::new(known),
            turn: AtomicU64::new(0),
            started: before.started,
        }
    }

    /// An instance that was not tried yet, if there is one.
    pub(crate) fn pick(&self, tried: &[Lease]) -> Option<Lease> {
        let known = self.current();
        let untried = |target: &&Arc<Target>| {
            target.weight > 0 && !tried.iter().any(|lease| Arc::ptr_eq(&lease.0, target))
        };
        let mut candidates: Vec<&Arc<Target>> = Vec::with_capacity(known.targets.len());
        for target in known.targets.iter().filter(untried) {
            if self.lives(target) {
                candidates.push(target);
            }
        }
        if candidates.is_empty() {
            candidates.extend(known.targets.iter().filter(untried));
        }
        let turn = self.turn.fetch_add(1, Relaxed) + 1;
        let target = if known.equal {
            equal(&candidates, turn)?
        } else {
            weighted(&candidates, turn)?
        };
        target.chosen.store(turn, Relaxed);
        Some(Lease::new(target.clone()))
    }

    /// Where the instances are told.
    pub(crate) fn instances(&self) -> &Instances {
        &self.instances
    }

    /// How many instances are known, and how many of them are ejected.
    pub(crate) fn count(&self) -> (usize, usize) {
        let known = self.current();
        let ejected = known.targets.iter();
        let ejected = ejected.filter(|target| target.ejected_until.load(Relaxed) > 0);
        (known.targets.len(), ejected.count())
    }

    /// The instance could not be connected: nothing else will be, until a trial succeeds.
    pub(crate) fn unreachable(&self, lease: &Lease) {
        self.eject(&lease.0);
    }

    /// The instance had a request and broke off.
    pub(crate) fn broke_off(&self, lease: &Lease) {
        if lease.0.broken.fetch_add(1, Relaxed) + 1 >= BROKEN_MAX {
            self.eject(&lease.0);
        }
    }

    /// The instance answered.
    pub(crate) fn answered(&self, lease: &Lease) {
        let target = &lease.0;
        if target.broken.load(Relaxed) > 0 {
            target.broken.store(0, Relaxed);
        }
        if target.ejected_until.load(Relaxed) > 0 {
            target.readmit();
        }
    }

    fn eject(&self, target: &Target) {
        let before = target.ejections.fetch_add(1, Relaxed).min(8);
        let pause = (FIRST_PAUSE * 2_u32.pow(before)).min(LONGEST_PAUSE);
        let until = self.now() + u64::try_from(pause.as_millis()).unwrap_or(u64::MAX / 2);
        target.broken.store(0, Relaxed);
        target.ejected_until.store(until.max(1), Release);
        tracing::warn!(instance = %target.authority, pause_ms = pause.as_millis(), "ejected");
    }

    /// Whether the instance may be asked. One whose pause is over is tried, once at a time.
    fn lives(&self, target: &Arc<Target>) -> bool {
        let until = target.ejected_until.load(Acquire);
        if until == 0 {
            return true;
        }
        if self.now() >= until && !target.trying.swap(true, Relaxed) {
            let pause = self.next_pause(target);
            let connector = self.connector.clone();
            tokio::spawn(try_again(target.clone(), connector, pause, self.started));
        }
        false
    }

    fn next_pause(&self, target: &Target) -> Duration {
        let before = target.ejections.load(Relaxed).min(8);
        (FIRST_PAUSE * 2_u32.pow(before)).min(LONGEST_PAUSE)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX / 2)
    }

    fn current(&self) -> Arc<Known> {
        let known = self.known.load();
        let list = self.instances.now();
        if Arc::ptr_eq(&known.list, &list) || known.inherited && list.is_empty() {
            return known;
        }
        // Two requests may do this at once; both make the same of it, from the same targets.
        self.known.store(Known::of(list, &known.targets));
        self.known.load()
    }
}

/// One connection beside the requests: who takes it is alive again.
async fn try_again(
    target: Arc<Target>,
    mut connector: Connector,
    pause: Duration,
    started: Instant,
) {
    let uri = Uri::builder()
        .scheme(Scheme::HTTP)
        .authority(target.authority.clone())
        .path_and_query("/")
        .build();
    let connect = async { connector.call(uri?).await };
    match tokio::time::timeout(CONNECT_TIMEOUT, connect).await {
        Ok(Ok(_connection)) => {
            target.readmit();
            tracing::info!(instance = %target.authority, "readmitted");
        }
        _ => {
            target.ejections.fetch_add(1, Relaxed);
            let until = started.elapsed() + pause;
            let until = u64::try_from(until.as_millis()).unwrap_or(u64::MAX / 2);
            target.ejected_until.store(until, Release);
        }
    }
    target.trying.store(false, Relaxed);
}

impl Known {
    /// Instances that stay keep their standing.
    fn of(list: Arc<[Instance]>, before: &[Arc<Target>]) -> Self {
        let targets = list.iter().filter_map(|instance| {
            // Discovery gives host:port; what is not cannot be asked.
            let authority: Authority = instance.address.parse().ok()?;
            let same = before
                .iter()
                .find(|target| target.authority == authority && target.weight == instance.weight);
            Some(same.cloned().unwrap_or_else(|| {
                Arc::new(Target {
                    authority,
                    weight: instance.weight,
                    in_flight: AtomicUsize::new(0),
                    chosen: AtomicU64::new(0),
                    broken: AtomicU32::new(0),
                    ejected_until: AtomicU64::new(0),
                    ejections: AtomicU32::new(0),
                    trying: AtomicBool::new(false),
                })
            }))
        });
        let targets: Vec<_> = targets.collect();
        let equal = list.windows(2).all(|two| two[0].weight == two[1].weight);
        Self {
            list,
            targets,
            equal,
            inherited: false,
        }
    }
}

impl Target {
    fn readmit(&self) {
        self.ejections.store(0, Relaxed);
        self.ejected_until.store(0, Release);
    }

    fn busy(&self) -> usize {
        self.in_flight.load(Relaxed)
    }
}

/// The less busy of two; of two alike, the one that waited longer for its turn.
fn equal<'a>(candidates: &[&'a Arc<Target>], turn: u64) -> Option<&'a Arc<Target>> {
    let (one, other) = two(candidates, turn)?;
    let of = |target: &Target| (target.busy(), target.chosen.load(Relaxed));
    Some(if of(other) < of(one) { other } else { one })
}

/// One by its weight, unless another of them is less busy for its weight.
fn weighted<'a>(candidates: &[&'a Arc<Target>], turn: u64) -> Option<&'a Arc<Target>> {
    let total: u64 = candidates.iter().map(|one| u64::from(one.weight)).sum();
    let at = |random: u64| {
        let mut left = random.checked_rem(total)?;
        candidates.iter().copied().find(|one| {
            let weight = u64::from(one.weight);
            let found = left < weight;
            left = left.saturating_sub(weight);
            found
        })
    };
    let one = at(mixed(turn))?;
    let other = at(mixed(!turn))?;
    let busier =
        one.busy() as u64 * u64::from(other.weight) > other.busy() as u64 * u64::from(one.weight);
    Some(if busier { other } else { one })
}

/// Two different candidates, or one twice where there is only one; the first in order first.
fn two<'a>(
    candidates: &[&'a Arc<Target>],
    turn: u64,
) -> Option<(&'a Arc<Target>, &'a Arc<Target>)> {
    let count = candidates.len();
    if count < 2 {
        let only = candidates.first()?;
        return Some((only, only));
    }
    let random = mixed(turn);
    let first = (random % count as u64) as usize;
    let step = 1 + ((random >> 32) % (count as u64 - 1)) as usize;
    let second = (first + step) % count;
    let (first, second) = (first.min(second), first.max(second));
    Some((candidates[first], candidates[second]))
}

/// Spreads the turns over all numbers (the finaliser of SplitMix64, Steele and others, 2014): no
/// secret hangs on it, so that a counter is random enough, and tests can be told what comes.
fn mixed(turn: u64) -> u64 {
    let mut x = turn.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// One request at an instance; dropped when its answer has ended.
pub(crate) struct Lease(Arc<Target>);

impl Lease {
    fn new(target: Arc<Target>) -> Self {
        target.in_flight.fetch_add(1, Relaxed);
        Self(target)
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.0.authority
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tenon_core::config::Plaintext;
    use tokio::sync::watch;

    use super::*;

    fn fixed(weights: &[u32]) -> Targets {
        let list = weights.iter().enumerate().map(|(at, weight)| Instance {
            address: format!("127.0.0.1:{}", at + 1).into(),
            weight: *weight,
        });
        Targets::new(Instances::fixed(list), connector())
    }

    fn connector() -> Connector {
        Connector::new("one", None, Plaintext::Loopback)
    }

    fn port(lease: &Lease) -> u16 {
        lease.authority().port_u16().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn idle_instances_take_turns_and_a_busy_one_is_spared() {
        let targets = fixed(&[100, 100]);
        let turns: Vec<u16> = (0..4).map(|_| port(&targets.pick(&[]).unwrap())).collect();
        assert_eq!(turns, [1, 2, 1, 2]);
        let held: Vec<Lease> = (0..3).map(|_| targets.pick(&[]).unwrap()).collect();
        let busy = held.iter().filter(|lease| port(lease) == 1).count();
        assert!((1..=2).contains(&busy));
    }

    #[tokio::test(start_paused = true)]
    async fn weights_share_out_and_zero_gets_none() {
        let targets = fixed(&[300, 100, 0]);
        let mut counts = [0; 3];
        for _ in 0..4000 {
            counts[port(&targets.pick(&[]).unwrap()) as usize - 1] += 1;
        }
        assert!((2850..3150).contains(&counts[0]), "{counts:?}");
        assert_eq!(counts[2], 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_ejected_get_nothing_unless_all_are() {
        let targets = fixed(&[100, 100]);
        let first = targets.pick(&[]).unwrap();
        targets.unreachable(&first);
        for _ in 0..10 {
            assert_ne!(port(&targets.pick(&[]).unwrap()), port(&first));
        }
        let second = targets.pick(&[]).unwrap();
        assert_eq!(targets.count(), (2, 1));
        targets.unreachable(&second);
        assert!(
            targets.pick(&[]).is_some(),
            "all are ejected, so all are tried"
        );
        let tried = [first, second];
        assert!(targets.pick(&tried).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn three_broken_requests_in_a_row_eject_and_an_answer_forgives() {
        let targets = fixed(&[100]);
        let lease = targets.pick(&[]).unwrap();
        for _ in 0..2 {
            targets.broke_off(&lease);
        }
        targets.answered(&lease);
        for _ in 0..2 {
            targets.broke_off(&lease);
        }
        assert_eq!(targets.count(), (1, 0));
        targets.broke_off(&lease);
        assert_eq!(targets.count(), (1, 1));
        targets.answered(&lease);
        assert_eq!(targets.count(), (1, 0));
    }

    #[tokio::test]
    async fn a_new_list_is_taken_and_who_stays_keeps_its_standing() {
        let list = |ports: &[u16]| -> Arc<[Instance]> {
            let address = |port: &u16| Instance::new(format!("127.0.0.1:{port}"));
            ports.iter().map(address).collect()
        };
        let (sender, receiver) = watch::channel(list(&[1, 2]));
        let targets = Targets::new(Instances::followed(receiver), connector());
        let first = targets.pick(&[]).unwrap();
        targets.unreachable(&first);
        sender.send_replace(list(&[1, 3]));
        assert_eq!(targets.count(), (2, 1));
        for _ in 0..10 {
            assert_eq!(port(&targets.pick(&[]).unwrap()), 3);
        }
        sender.send_replace(list(&[]));
        assert!(targets.pick(&[]).is_none());
    }

    #[tokio::test]
    async fn a_new_source_that_has_not_answered_yet_leaves_the_old_instances() {
        let (sender, receiver) = watch::channel(Arc::from([]));
        let targets = Targets::after(&fixed(&[100]), Instances::followed(receiver), connector());
        assert_eq!(port(&targets.pick(&[]).unwrap()), 1);
        sender.send_replace(Arc::from([Instance::new("127.0.0.1:7")]));
        assert_eq!(port(&targets.pick(&[]).unwrap()), 7);
        sender.send_replace(Arc::from([]));
        assert!(targets.pick(&[]).is_none());
    }
}
