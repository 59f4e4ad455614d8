//! Cuts the runtime's plumbing off below the service's code, as Go does: there a stack starts at
//! the function of its goroutine. Here there are forty frames of tokio and hyper before the first
//! line that somebody wrote.

use std::collections::HashMap;

use crate::profile::{Location, Profile};

/// Where the runtime ends and what it runs begins. Of several in a stack the one nearest to the
/// leaf counts; it goes as well.
const BORDERS: [&str; 3] = [
    // The doors call a service's code through it.
    "tenon_profile::label::run_handler",
    // A task, or a closure on a blocking thread.
    "tokio::runtime::task::core::Core<",
    // A plain thread.
    "std::sys::backtrace::__rust_begin_short_backtrace",
];

/// Cuts every stack of the profile. One that is nothing but runtime stays whole.
pub(crate) fn to_handlers(profile: &mut Profile) {
    let is_border: Vec<bool> = profile
        .functions
        .iter()
        .map(|function| is_border(&function.name))
        .collect();
    let is_border = |number: usize| is_border.get(number).copied().unwrap_or(false);
    // For each location the number of its inlined functions that lie above the border.
    let borders: Vec<Option<usize>> = profile
        .locations
        .iter()
        .map(|location| {
            location
                .lines
                .iter()
                .position(|&(function, _)| is_border(function))
        })
        .collect();
    let mut cut_locations: HashMap<usize, usize> = HashMap::new();
    for sample in &mut profile.samples {
        let cut = sample
            .locations
            .iter()
            .enumerate()
            .find_map(|(depth, &location)| {
                let lines = borders.get(location).copied().flatten()?;
                Some((depth, location, lines))
            });
        let Some((depth, location, lines)) = cut else {
            continue;
        };
        if depth == 0 && lines == 0 {
            continue;
        }
        sample.locations.truncate(depth);
        if lines > 0 {
            let number = *cut_locations
                .entry(location)
                .or_insert_with(|| cut_location(&mut profile.locations, location, lines));
            sample.locations.push(number);
        }
    }
}

fn is_border(name: &str) -> bool {
    // The newer mangling writes the type of a method in brackets.
    let name = name.trim_start_matches('<');
    BORDERS.iter().any(|border| name.starts_with(border))
}

/// A second location at the same address, with the functions above the border only.
fn cut_location(locations: &mut Vec<Location>, number: usize, lines: usize) -> usize {
    if let Some(location) = locations.get(number) {
        let mut location = location.clone();
        location.lines.truncate(lines);
        locations.push(location);
    }
    locations.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{profile::Sample, symbols::Function};

    /// A profile of one sample, whose locations are given leaf first, each with its inline chain.
    fn profile(stack: &[&[&str]]) -> Profile {
        let mut profile = Profile::empty(&[("samples", "count")]);
        for chain in stack {
            let lines = chain.iter().map(|name| {
                profile.functions.push(Function {
                    name: (*name).to_owned(),
                    system_name: String::new(),
                    file: String::new(),
                });
                (profile.functions.len() - 1, 0)
            });
            let lines = lines.collect();
            profile.locations.push(Location {
                image: None,
                address: 0,
                lines,
            });
        }
        profile.samples.push(Sample {
            locations: (0..stack.len()).collect(),
            values: vec![1],
            labels: Vec::new(),
        });
        profile
    }

    fn trimmed(stack: &[&[&str]]) -> Vec<Vec<String>> {
        let mut profile = profile(stack);
        to_handlers(&mut profile);
        let name = |&(function, _): &(usize, u32)| profile.functions[function].name.clone();
        profile.samples[0]
            .locations
            .iter()
            .map(|&location| profile.locations[location].lines.iter().map(name).collect())
            .collect()
    }

    #[test]
    fn a_stack_starts_above_the_border_nearest_to_its_leaf() {
        const CORE: &str = "<tokio::runtime::task::core::Core<F, S>>::poll";
        let stack: &[&[&str]] = &[
            &["leaf"],
            &["inlined", "logic"],
            &["tenon_profile::label::run_handler::<F>"],
            &["hyper::proto"],
            &[CORE],
            &["main"],
        ];
        assert_eq!(trimmed(stack), [vec!["leaf"], vec!["inlined", "logic"]]);
        assert_eq!(
            trimmed(&[&["leaf"], &["task", CORE, "worker"], &["main"]]),
            [["leaf"], ["task"]]
        );
    }

    #[test]
    fn what_is_all_runtime_stays() {
        let stack: &[&[&str]] = &[&["tokio::runtime::task::core::Core<F,S>::poll"], &["main"]];
        assert_eq!(trimmed(stack).len(), 2);
        assert_eq!(trimmed(&[&["epoll_wait"], &["main"]]).len(), 2);
    }
}
