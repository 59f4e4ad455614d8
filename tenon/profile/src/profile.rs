//! A profile with names: what every format is written from.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    image::Image,
    stacks::Taken,
    symbols::{self, Function, Knowledge, Names},
    trim,
};

/// What a number of a profile counts, and its unit.
pub(crate) type ValueType = (&'static str, &'static str);

/// A profile before it is written.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    pub(crate) types: Vec<ValueType>,
    pub(crate) default_type: &'static str,
    pub(crate) samples: Vec<Sample>,
    pub(crate) locations: Vec<Location>,
    pub(crate) functions: Vec<Function>,
    pub(crate) images: Vec<Arc<Image>>,
    pub(crate) known: Vec<Knowledge>,
    pub(crate) period_type: Option<ValueType>,
    pub(crate) period: i64,
    pub(crate) time_nanos: i64,
    pub(crate) duration_nanos: i64,
    pub(crate) comments: Vec<String>,
}

/// A stack with what was counted of it.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// Numbers of locations, the leaf first.
    pub(crate) locations: Vec<usize>,
    /// One a type.
    pub(crate) values: Vec<i64>,
    pub(crate) labels: Vec<(&'static str, String)>,
}

/// An address and the functions there.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    pub(crate) image: Option<usize>,
    pub(crate) address: u64,
    /// Numbers of functions with their lines, the innermost first.
    pub(crate) lines: Vec<(usize, u32)>,
}

/// What of a profile is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// With the frames of the runtime below the service's code.
    pub(crate) full: bool,
    /// Inlined functions count for the function that they were inlined into.
    pub(crate) without_inlined: bool,
}

/// Stacks with their numbers, before names are looked up.
pub(crate) struct Counted {
    /// Leaf first; addresses within the calling instruction.
    pub(crate) frames: Vec<u64>,
    pub(crate) values: Vec<i64>,
    pub(crate) labels: Vec<(&'static str, String)>,
}

impl Profile {
    /// A profile without samples.
    pub(crate) fn empty(types: &[ValueType]) -> Self {
        Self {
            types: types.to_vec(),
            time_nanos: nanos_since_epoch(SystemTime::now()),
            ..Self::default()
        }
    }

    /// A CPU profile of what a session took. Looks names up, which takes its time.
    pub(crate) fn of_cpu(taken: Taken, view: View) -> Self {
        let period = i64::try_from(taken.period.as_nanos()).unwrap_or(i64::MAX);
        let stacks = taken.stacks.iter().map(|(stack, weight)| {
            let count = i64::try_from(*weight).unwrap_or(i64::MAX);
            let mut labels = Vec::new();
            if let Some(thread) = taken.threads.get(stack.thread) {
                labels.push(("thread", thread.clone()));
            }
            if let Some(route) = stack.label.name() {
                labels.push(("route", route.to_owned()));
            }
            Counted {
                frames: stack.frames.to_vec(),
                values: vec![count, count.saturating_mul(period)],
                labels,
            }
        });
        let mut profile = Self::empty(&[("samples", "count"), ("cpu", "nanoseconds")]);
        profile.default_type = "cpu";
        profile.period_type = Some(("cpu", "nanoseconds"));
        profile.period = period;
        profile.time_nanos = nanos_since_epoch(taken.began);
        profile.duration_nanos = i64::try_from(taken.duration.as_nanos()).unwrap_or(i64::MAX);
        profile
            .comments
            .push(format!("threads: {}", taken.threads_seen));
        if taken.threads_missed > 0 {
            profile
                .comments
                .push(format!("threads without a timer: {}", taken.threads_missed));
        }
        if taken.lost > 0 {
            profile
                .comments
                .push(format!("periods lost for want of room: {}", taken.lost));
        }
        profile.name(stacks.collect(), taken.images.clone(), view);
        profile
    }

    /// Adds stacks, with the names of their functions.
    pub(crate) fn name(&mut self, stacks: Vec<Counted>, images: Vec<Arc<Image>>, view: View) {
        let mut addresses: Vec<u64> = stacks
            .iter()
            .flat_map(|stack| &stack.frames)
            .copied()
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        let names = symbols::look_up(&images, &addresses);
        let of_program = |address: &u64| symbols::image_of(&images, *address) == Some(0);
        let asked = addresses.iter().any(of_program);
        let locations = self.add_locations(&addresses, &images, &names);
        self.images = images;
        self.known = names.known;
        for stack in stacks {
            let found = stack
                .frames
                .iter()
                .filter_map(|address| locations.get(address));
            self.samples.push(Sample {
                locations: found.copied().collect(),
                values: stack.values,
                labels: stack.labels,
            });
        }
        // Of an idle program nothing is asked, and its file was not read.
        if asked && self.known.first().is_some_and(|program| !program.functions) {
            self.comments.push(
                "no symbols: set strip = false and debug = \"limited\" in the release profile"
                    .to_owned(),
            );
        }
        if !view.full {
            trim::to_handlers(self);
        }
        if view.without_inlined {
            for location in &mut self.locations {
                // The last is the function that all others were inlined into.
                let keep = location.lines.len().saturating_sub(1);
                location.lines.drain(..keep);
            }
        }
    }

    fn add_locations(
        &mut self,
        addresses: &[u64],
        images: &[Arc<Image>],
        names: &Names,
    ) -> HashMap<u64, usize> {
        let mut functions: HashMap<Function, usize> = HashMap::new();
        let mut numbers = HashMap::new();
        for &address in addresses {
            let mut lines = Vec::new();
            for (function, line) in names.places.get(&address).into_iter().flatten() {
                let number = match functions.entry(function.clone()) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(new) => {
                        self.functions.push(function.clone());
                        *new.insert(self.functions.len() - 1)
                    }
                };
                lines.push((number, *line));
            }
            let image = symbols::image_of(images, address);
            self.locations.push(Location {
                image,
                address,
                lines,
            });
            numbers.insert(address, self.locations.len() - 1);
        }
        numbers
    }
}

fn nanos_since_epoch(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
