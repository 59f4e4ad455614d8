//! Consistent hashing: calls of one key go to one instance, and when the list changes, only the
//! keys of what came or went move.
//!
//! Source: Karger et al., Consistent Hashing and Random Trees (1997); points in proportion to
//! the weight, 100 for the usual one, as go-zero has it.

use std::sync::Arc;

use tenon_core::Context;
use tenon_discovery::Instance;

/// The most points of one instance: a weight above counts as this.
const POINTS_MAX: u32 = 1000;

/// The key by which a client with `balancer: consistentHash` chooses the instance, as a value of
/// the call's [`Context`]. Calls with equal keys go to one instance while it can be reached.
///
/// ```
/// use tenon_core::Context;
/// use tenon_rpc::HashKey;
///
/// let cx = Context::background().with_value(HashKey::new("questionnaire-17"));
/// assert!(HashKey::of(&cx).is_some());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HashKey(u64);

impl HashKey {
    /// A key. Only its hash is kept, so that it may be something that no log may show.
    pub fn new(key: impl AsRef<[u8]>) -> Self {
        Self(hash(key.as_ref()))
    }

    /// The key of a call.
    pub fn of(cx: &Context) -> Option<Arc<Self>> {
        cx.value()
    }
}

/// The points of all instances, in order.
#[derive(Debug, Default)]
pub(super) struct Ring {
    points: Vec<(u64, u32)>,
    nodes: usize,
}

impl Ring {
    pub(super) fn new(list: &[Instance]) -> Self {
        let mut points = Vec::new();
        for (at, instance) in (0_u32..).zip(list) {
            for point in 0..instance.weight.min(POINTS_MAX) {
                let place = format!("{}#{point}", instance.address);
                points.push((hash(place.as_bytes()), at));
            }
        }
        // The address decides between points of one hash, whatever the order of the list.
        points.sort_unstable_by_key(|(hash, at)| (*hash, &list[*at as usize].address));
        Self {
            points,
            nodes: list.len(),
        }
    }

    /// The nodes as the key meets them on its way round, each once.
    pub(super) fn order(&self, key: &HashKey) -> impl Iterator<Item = usize> {
        let start = self.points.partition_point(|(hash, _)| *hash < key.0);
        let (before, after) = self.points.split_at(start);
        let mut met = vec![false; self.nodes];
        let way = after.iter().chain(before).map(|(_, at)| *at as usize);
        way.filter(move |at| !std::mem::replace(&mut met[*at], true))
    }
}

/// The same in every process and release, unlike the hashes of the standard library: FNV-1a (64
/// bits), its bits then spread by the last step of MurmurHash3, which the ring needs.
fn hash(bytes: &[u8]) -> u64 {
    let mut hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(weights: &[u32]) -> Vec<Instance> {
        let weights = weights.iter().enumerate();
        weights
            .map(|(at, weight)| Instance {
                address: format!("10.0.0.{at}:9101").into(),
                weight: *weight,
            })
            .collect()
    }

    fn owners(list: &[Instance], keys: u32) -> Vec<Arc<str>> {
        let ring = Ring::new(list);
        let owner = |key: u32| {
            let at = ring.order(&HashKey::new(key.to_be_bytes())).next().unwrap();
            list[at].address.clone()
        };
        (0..keys).map(owner).collect()
    }

    proptest! {
        #[test]
        fn only_the_keys_of_what_left_move(
            weights in prop::collection::vec(1_u32..300, 2..12),
            leaving in any::<prop::sample::Index>(),
        ) {
            let all = list(&weights);
            let mut fewer = all.clone();
            let left = fewer.remove(leaving.index(all.len()));
            for (before, after) in owners(&all, 500).iter().zip(owners(&fewer, 500)) {
                prop_assert!(*before == left.address || *before == after);
            }
        }

        #[test]
        fn the_order_of_the_list_does_not_matter(
            weights in prop::collection::vec(1_u32..300, 2..12),
        ) {
            let all = list(&weights);
            let mut reversed = all.clone();
            reversed.reverse();
            prop_assert_eq!(owners(&all, 200), owners(&reversed, 200));
        }
    }

    #[test]
    fn keys_follow_weights() {
        let all = list(&[100, 100, 200]);
        let keys = 20_000;
        let owners = owners(&all, keys);
        for (instance, expected) in all.iter().zip([0.25, 0.25, 0.5]) {
            let own = owners.iter().filter(|owner| **owner == instance.address);
            let share = own.count() as f64 / f64::from(keys);
            println!("{}: {share:.3}, by weight {expected}", instance.address);
            // A hundred points leave a tenth of spread; three times that is a fault.
            assert!((share / expected - 1.0).abs() < 0.3);
        }
    }

    #[test]
    fn a_key_meets_every_instance_once() {
        let all = list(&[100, 1, 50, 0]);
        let ring = Ring::new(&all);
        let mut met: Vec<_> = ring.order(&HashKey::new("T1")).collect();
        met.sort_unstable();
        assert_eq!(met, [0, 1, 2], "one of weight 0 gets no key");
    }
}
