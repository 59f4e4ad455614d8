//! Reads profiles as any reader of the format does, by their numbers alone.

#![allow(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::{
    collections::{BTreeSet, HashMap},
    io::Read as _,
};

use prost::Message;
use tenon_core::config::ProfilingConfig;
use tenon_profile::{Ask, Profiler, proto};

pub(crate) fn profiler() -> Profiler {
    Profiler::new(ProfilingConfig::default()).unwrap()
}

pub(crate) fn ask(path: &str, query: &str) -> Ask {
    Ask {
        method: http::Method::GET,
        path: path.to_owned(),
        query: query.to_owned(),
        body: Vec::new(),
        who: "a test".to_owned(),
    }
}

pub(crate) fn read(body: &[u8]) -> Profile {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(body)
        .read_to_end(&mut bytes)
        .unwrap();
    let raw = proto::Profile::decode(&*bytes).unwrap();
    let locations = raw
        .location
        .iter()
        .map(|location| (location.id, location.clone()))
        .collect();
    let functions = raw
        .function
        .iter()
        .map(|function| (function.id, *function))
        .collect();
    Profile {
        raw,
        locations,
        functions,
    }
}

pub(crate) struct Profile {
    pub(crate) raw: proto::Profile,
    locations: HashMap<u64, proto::Location>,
    functions: HashMap<u64, proto::Function>,
}

#[allow(dead_code, reason = "each test file uses some of them")]
impl Profile {
    pub(crate) fn text(&self, number: i64) -> &str {
        &self.raw.string_table[usize::try_from(number).unwrap()]
    }

    pub(crate) fn types(&self) -> Vec<(&str, &str)> {
        let types = self.raw.sample_type.iter();
        types
            .map(|kind| (self.text(kind.kind), self.text(kind.unit)))
            .collect()
    }

    /// Everything that is referred to is there once, and every leaf has a function or a file.
    pub(crate) fn check_references(&self) {
        let raw = &self.raw;
        assert_eq!(raw.string_table[0], "");
        let distinct: BTreeSet<&String> = raw.string_table.iter().collect();
        assert_eq!(distinct.len(), raw.string_table.len());
        assert_eq!(self.locations.len(), raw.location.len());
        assert_eq!(self.functions.len(), raw.function.len());
        let mappings: HashMap<u64, proto::Mapping> = raw
            .mapping
            .iter()
            .map(|mapping| (mapping.id, *mapping))
            .collect();
        assert_eq!(mappings.len(), raw.mapping.len());
        assert!(!self.locations.contains_key(&0) && !mappings.contains_key(&0));
        for sample in &raw.sample {
            assert_eq!(sample.value.len(), raw.sample_type.len());
            let leaf = &self.locations[&sample.location_id[0]];
            assert!(!leaf.line.is_empty() || leaf.mapping_id != 0, "{leaf:?}");
            for location in sample.location_id.iter().map(|id| &self.locations[id]) {
                for line in &location.line {
                    assert!(!self.text(self.functions[&line.function_id].name).is_empty());
                }
                if let Some(mapping) = mappings.get(&location.mapping_id) {
                    let range = mapping.memory_start..mapping.memory_limit;
                    assert!(range.contains(&location.address), "{location:?}");
                }
            }
        }
    }

    pub(crate) fn total(&self, column: usize) -> i64 {
        self.raw
            .sample
            .iter()
            .map(|sample| sample.value[column])
            .sum()
    }

    /// Names from the leaf to the root, inlined functions as well.
    pub(crate) fn stack(&self, sample: &proto::Sample) -> Vec<&str> {
        let locations = sample.location_id.iter().map(|id| &self.locations[id]);
        let lines = locations.flat_map(|location| &location.line);
        lines
            .map(|line| self.text(self.functions[&line.function_id].name))
            .collect()
    }

    /// The last value of all samples with a function whose name holds this.
    pub(crate) fn cumulative(&self, function: &str) -> i64 {
        let with = self.raw.sample.iter().filter(|sample| {
            self.stack(sample)
                .iter()
                .any(|name| name.contains(function))
        });
        with.map(|sample| sample.value.last().copied().unwrap_or(0))
            .sum()
    }

    fn label(&self, sample: &proto::Sample, key: &str) -> Option<&str> {
        let label = sample
            .label
            .iter()
            .find(|label| self.text(label.key) == key)?;
        Some(self.text(label.str))
    }

    pub(crate) fn labels(&self, key: &str) -> BTreeSet<&str> {
        self.raw
            .sample
            .iter()
            .filter_map(|sample| self.label(sample, key))
            .collect()
    }

    pub(crate) fn of_route(&self, route: &str) -> i64 {
        let samples = self.raw.sample.iter();
        let of_route = samples.filter(|sample| self.label(sample, "route") == Some(route));
        of_route
            .map(|sample| sample.value.last().copied().unwrap_or(0))
            .sum()
    }

    pub(crate) fn stacks_of_route(&self, route: &str) -> Vec<Vec<&str>> {
        let samples = self.raw.sample.iter();
        let of_route = samples.filter(|sample| self.label(sample, "route") == Some(route));
        of_route.map(|sample| self.stack(sample)).collect()
    }
}
