//! The text of a heap dump of jemalloc, `heap_v2`, and what its samples stand for.

use std::collections::HashMap;

/// Objects and bytes, allocated and in use, as pprof orders them: `alloc_objects`, `alloc_space`,
/// `inuse_objects`, `inuse_space`.
pub(crate) type Amounts = [i64; 4];

/// A dump by stack.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Dump {
    /// One allocation in so many bytes was sampled.
    pub(crate) period: u64,
    /// Stacks, leaf first with addresses within the calling instruction, and what they stand for.
    pub(crate) stacks: HashMap<Vec<u64>, Amounts>,
    /// The text itself.
    pub(crate) text: String,
}

impl Dump {
    /// Reads a dump.
    ///
    /// # Errors
    /// It is not `heap_v2`.
    #[cfg_attr(
        not(any(test, feature = "heap-profiling")),
        expect(dead_code, reason = "only jemalloc writes dumps")
    )]
    pub(crate) fn parse(text: String) -> Result<Self, String> {
        let mut lines = text.lines();
        let period = lines
            .next()
            .and_then(|line| line.strip_prefix("heap_v2/")?.parse().ok())
            .ok_or("the dump of jemalloc is not heap_v2")?;
        let mut stacks = HashMap::new();
        let mut stack: Option<Vec<u64>> = None;
        for line in lines {
            if let Some(frames) = line.strip_prefix("@ ") {
                stack = Some(frames.split(' ').filter_map(address).collect());
            } else if let Some(counts) = line.trim_start().strip_prefix("t*: ") {
                // The first counts are of the whole and stand before any stack.
                if let (Some(frames), Some(amounts)) = (stack.take(), amounts(counts, period)) {
                    let sum: &mut Amounts = stacks.entry(frames).or_default();
                    for (sum, amount) in sum.iter_mut().zip(amounts) {
                        *sum = sum.saturating_add(amount);
                    }
                }
            } else if line.starts_with("MAPPED_LIBRARIES") {
                break;
            }
        }
        Ok(Self {
            period,
            stacks,
            text,
        })
    }

    /// What came since an earlier dump. In use may be negative: what was freed.
    pub(crate) fn since(&self, before: Option<&Self>) -> Vec<(Vec<u64>, Amounts)> {
        let mut stacks = self.stacks.clone();
        for (frames, amounts) in before.iter().flat_map(|before| &before.stacks) {
            let now = stacks.entry(frames.clone()).or_default();
            for (now, before) in now.iter_mut().zip(amounts) {
                *now = now.saturating_sub(*before);
            }
        }
        let mut stacks: Vec<_> = stacks.into_iter().collect();
        stacks.retain(|(_, amounts)| amounts.iter().any(|amount| *amount != 0));
        stacks.sort();
        stacks
    }
}

/// jemalloc has return addresses throughout; one less lies within the call.
fn address(text: &str) -> Option<u64> {
    let address = u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()?;
    address.checked_sub(1)
}

/// `18: 1181003 [7747: 817103]`: objects and bytes in use, and in brackets ever allocated.
fn amounts(counts: &str, period: u64) -> Option<Amounts> {
    let (in_use, allocated) = counts.split_once(" [")?;
    let pair = |text: &str| {
        let (objects, bytes) = text.split_once(": ")?;
        Some((objects.parse().ok()?, bytes.parse().ok()?))
    };
    let (objects, bytes) = unbias(pair(in_use)?, period);
    let (all_objects, all_bytes) = unbias(pair(allocated.trim_end_matches(']'))?, period);
    Some([all_objects, all_bytes, objects, bytes])
}

/// A small object is sampled seldom and a large one nearly always, so each sample stands for
/// `1 / (1 - exp(-size / period))` of its kind: as jeprof and Go do it.
fn unbias((objects, bytes): (u64, u64), period: u64) -> (i64, i64) {
    if objects == 0 || period == 0 {
        return (0, 0);
    }
    let size = bytes as f64 / objects as f64;
    let scale = 1.0 / (1.0 - (-size / period as f64).exp());
    let scaled = |number: u64| (number as f64 * scale).round() as i64;
    (scaled(objects), scaled(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "heap_v2/524288\n  t*: 18: 1181003 [7747: 817103]\n  t0: 1: 2 [3: 4]\n\
                        @ 0x1001 0x2001\n  t*: 2: 2097152 [4: 4194304]\n  t1: 2: 2097152 [4: 4194304]\n\
                        @ 0x3001\n  t*: 1: 100 [0: 0]\n\nMAPPED_LIBRARIES:\n@ 0x9\n t*: 1: 1 [1: 1]\n";

    #[test]
    fn samples_stand_for_more_the_smaller_their_objects_are() {
        let dump = Dump::parse(TEXT.to_owned()).unwrap();
        assert_eq!(dump.period, 524_288);
        assert_eq!(dump.stacks.len(), 2);
        // Two megabytes in two objects: exp(-2) of such objects are missed.
        let scale = 1.0 / (1.0 - (-2.0_f64).exp());
        let [all_objects, all_bytes, objects, bytes] = dump.stacks[&vec![0x1000, 0x2000]];
        assert_eq!(objects, (2.0 * scale).round() as i64);
        assert_eq!(bytes, (2_097_152.0 * scale).round() as i64);
        assert_eq!(all_objects, (4.0 * scale).round() as i64);
        assert_eq!(all_bytes, (4_194_304.0 * scale).round() as i64);
        // A hundred bytes: one sample in more than five thousand objects.
        assert_eq!(dump.stacks[&vec![0x3000]][2], 5243);
    }

    #[test]
    fn the_difference_of_two_dumps_is_what_came_between() {
        let before = Dump::parse(TEXT.to_owned()).unwrap();
        let later = TEXT.replace(
            "@ 0x3001\n  t*: 1: 100 [0: 0]",
            "@ 0x4001\n  t*: 1: 1000000000 [1: 1000000000]",
        );
        let after = Dump::parse(later).unwrap();
        let since = after.since(Some(&before));
        assert_eq!(since.len(), 2);
        assert_eq!(since[0].0, [0x3000]);
        assert_eq!(since[0].1[2], -5243);
        assert_eq!(
            since[1],
            (vec![0x4000], [1, 1_000_000_000, 1, 1_000_000_000])
        );
        assert!(Dump::parse("nothing".to_owned()).is_err());
    }
}
