//! `/debug/pprof/heap` and `allocs`: what was allocated where, from the samples of jemalloc.
//!
//! With the feature `heap-profiling` jemalloc is the allocator of the program, ready to sample one
//! allocation in 512 KiB, and does so only while somebody asks (or always, by configuration).

mod dump;
#[cfg(feature = "heap-profiling")]
mod jemalloc;

use std::sync::Arc;

pub(crate) use self::dump::Dump;
use crate::{
    image::Image,
    profile::{Counted, Location, Profile, Sample, View},
};

/// Said without the feature.
#[cfg(not(feature = "heap-profiling"))]
pub(crate) const ABSENT: &str =
    "heap profiling is not compiled in: turn the feature heap-profiling of tenon on";

/// Whether the allocator can sample; otherwise why not.
pub(crate) fn available() -> Result<(), &'static str> {
    #[cfg(feature = "heap-profiling")]
    return jemalloc::available();
    #[cfg(not(feature = "heap-profiling"))]
    Err(ABSENT)
}

/// The samples so far. Writes and reads a file in memory: not for an async worker.
pub(crate) fn dump() -> Result<Dump, String> {
    #[cfg(feature = "heap-profiling")]
    return jemalloc::dump();
    #[cfg(not(feature = "heap-profiling"))]
    Err(ABSENT.to_owned())
}

/// Samples from now on, until it is dropped.
#[derive(Debug)]
pub(crate) struct Sampling;

impl Sampling {
    pub(crate) fn start() -> Self {
        #[cfg(feature = "heap-profiling")]
        jemalloc::start();
        Self
    }

    /// Samples for the rest of the process's life, one allocation in 2 MiB, which costs less.
    pub(crate) fn always() {
        #[cfg(feature = "heap-profiling")]
        jemalloc::always();
    }
}

impl Drop for Sampling {
    fn drop(&mut self) {
        #[cfg(feature = "heap-profiling")]
        jemalloc::stop();
    }
}

/// Which question a heap profile answers first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    /// What is held now: `heap`.
    InUse,
    /// What was ever allocated: `allocs`.
    Allocated,
}

/// A dump as a profile, less what an earlier one had already.
pub(crate) fn profile(
    dump: &Dump,
    before: Option<&Dump>,
    first: First,
    images: Vec<Arc<Image>>,
    view: View,
) -> Profile {
    let mut profile = Profile::empty(&[
        ("alloc_objects", "count"),
        ("alloc_space", "bytes"),
        ("inuse_objects", "count"),
        ("inuse_space", "bytes"),
    ]);
    profile.default_type = match first {
        First::InUse => "inuse_space",
        First::Allocated => "alloc_space",
    };
    profile.period_type = Some(("space", "bytes"));
    profile.period = i64::try_from(dump.period).unwrap_or(i64::MAX);
    let stacks = dump
        .since(before)
        .into_iter()
        .map(|(frames, values)| Counted {
            frames,
            values: values.to_vec(),
            labels: Vec::new(),
        });
    profile.name(stacks.collect(), images, view);
    cut_allocator(&mut profile);
    profile
}

/// Where the allocator ends and who asked it begins: of these, within the first frames, the one
/// nearest to the root.
const BORDERS: [&str; 12] = [
    "__rust_alloc",
    "__rust_realloc",
    "__rustc::__rust_",
    "__rustc[",
    "tikv_jemallocator::",
    "alloc::alloc::",
    "alloc::raw_vec::",
    "malloc",
    "calloc",
    "realloc",
    "posix_memalign",
    "prof_backtrace_impl",
];

/// How many functions from the leaf the allocator's may be.
const ALLOCATOR_DEPTH: usize = 32;

/// Takes the allocator's own frames off the leaves, which would all be the same.
fn cut_allocator(profile: &mut Profile) {
    let is_border: Vec<bool> = profile
        .functions
        .iter()
        .map(|function| {
            let name = function.name.trim_start_matches('<');
            BORDERS.iter().any(|border| name.starts_with(border))
        })
        .collect();
    let is_border = |number: usize| is_border.get(number).copied().unwrap_or(false);
    let Profile {
        samples, locations, ..
    } = profile;
    for sample in samples {
        let Some((depth, lines)) = border(sample, locations, is_border) else {
            continue;
        };
        let Some(&number) = sample.locations.get(depth) else {
            continue;
        };
        sample.locations.drain(..=depth);
        if let Some(location) = locations.get(number).filter(|it| lines < it.lines.len()) {
            // The allocator was inlined into who asked it.
            let mut rest = location.clone();
            rest.lines.drain(..lines);
            locations.push(rest);
            sample.locations.insert(0, locations.len() - 1);
        }
    }
}

/// The last border within the first frames: which location, and how many of its functions go.
fn border(
    sample: &Sample,
    locations: &[Location],
    is_border: impl Fn(usize) -> bool,
) -> Option<(usize, usize)> {
    let mut found = None;
    let mut seen = 0;
    for (depth, &number) in sample.locations.iter().enumerate() {
        for (line, &(function, _)) in locations.get(number)?.lines.iter().enumerate() {
            seen += 1;
            if seen > ALLOCATOR_DEPTH {
                return found;
            }
            if is_border(function) {
                found = Some((depth, line + 1));
            }
        }
    }
    found
}
