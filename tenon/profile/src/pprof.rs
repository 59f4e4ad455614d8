//! The format of pprof, `profile.proto`, gzipped: what `go tool pprof`, Pyroscope, Parca and
//! speedscope read. The messages are written by hand with prost, so that no compiler of protobuf
//! is needed; numbers are those of google/pprof.

use std::{collections::HashMap, io::Write};

use flate2::{Compression, write::GzEncoder};
use prost::Message;

use crate::profile::{Profile, ValueType};

/// The messages of `profile.proto`, as google/pprof describes them.
#[expect(
    missing_docs,
    reason = "google/pprof describes the fields of its messages"
)]
pub mod proto {
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Profile {
        #[prost(message, repeated, tag = "1")]
        pub sample_type: Vec<ValueType>,
        #[prost(message, repeated, tag = "2")]
        pub sample: Vec<Sample>,
        #[prost(message, repeated, tag = "3")]
        pub mapping: Vec<Mapping>,
        #[prost(message, repeated, tag = "4")]
        pub location: Vec<Location>,
        #[prost(message, repeated, tag = "5")]
        pub function: Vec<Function>,
        #[prost(string, repeated, tag = "6")]
        pub string_table: Vec<String>,
        #[prost(int64, tag = "9")]
        pub time_nanos: i64,
        #[prost(int64, tag = "10")]
        pub duration_nanos: i64,
        #[prost(message, optional, tag = "11")]
        pub period_type: Option<ValueType>,
        #[prost(int64, tag = "12")]
        pub period: i64,
        #[prost(int64, repeated, tag = "13")]
        pub comment: Vec<i64>,
        #[prost(int64, tag = "14")]
        pub default_sample_type: i64,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub struct ValueType {
        #[prost(int64, tag = "1")]
        pub kind: i64,
        #[prost(int64, tag = "2")]
        pub unit: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Sample {
        #[prost(uint64, repeated, tag = "1")]
        pub location_id: Vec<u64>,
        #[prost(int64, repeated, tag = "2")]
        pub value: Vec<i64>,
        #[prost(message, repeated, tag = "3")]
        pub label: Vec<Label>,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub struct Label {
        #[prost(int64, tag = "1")]
        pub key: i64,
        #[prost(int64, tag = "2")]
        pub str: i64,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub struct Mapping {
        #[prost(uint64, tag = "1")]
        pub id: u64,
        #[prost(uint64, tag = "2")]
        pub memory_start: u64,
        #[prost(uint64, tag = "3")]
        pub memory_limit: u64,
        #[prost(uint64, tag = "4")]
        pub file_offset: u64,
        #[prost(int64, tag = "5")]
        pub filename: i64,
        #[prost(int64, tag = "6")]
        pub build_id: i64,
        #[prost(bool, tag = "7")]
        pub has_functions: bool,
        #[prost(bool, tag = "8")]
        pub has_filenames: bool,
        #[prost(bool, tag = "9")]
        pub has_line_numbers: bool,
        #[prost(bool, tag = "10")]
        pub has_inline_frames: bool,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Location {
        #[prost(uint64, tag = "1")]
        pub id: u64,
        #[prost(uint64, tag = "2")]
        pub mapping_id: u64,
        #[prost(uint64, tag = "3")]
        pub address: u64,
        #[prost(message, repeated, tag = "4")]
        pub line: Vec<Line>,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub struct Line {
        #[prost(uint64, tag = "1")]
        pub function_id: u64,
        #[prost(int64, tag = "2")]
        pub line: i64,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub struct Function {
        #[prost(uint64, tag = "1")]
        pub id: u64,
        #[prost(int64, tag = "2")]
        pub name: i64,
        #[prost(int64, tag = "3")]
        pub system_name: i64,
        #[prost(int64, tag = "4")]
        pub filename: i64,
    }
}

/// The profile as bytes.
pub(crate) fn write(profile: &Profile) -> Vec<u8> {
    let bytes = encode(profile).encode_to_vec();
    let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
    match zipped.write_all(&bytes).and_then(|()| zipped.finish()) {
        Ok(zipped) => zipped,
        // Memory takes every byte. And readers take the bare bytes as well.
        Err(_) => bytes,
    }
}

fn encode(profile: &Profile) -> proto::Profile {
    let mut strings = Strings::new();
    let types = profile
        .types
        .iter()
        .map(|kind| strings.value_type(*kind))
        .collect();
    let sample = profile.samples.iter().map(|sample| proto::Sample {
        location_id: sample
            .locations
            .iter()
            .map(|&location| id(location))
            .collect(),
        value: sample.values.clone(),
        label: sample
            .labels
            .iter()
            .map(|(key, value)| proto::Label {
                key: strings.number(key),
                str: strings.number(value),
            })
            .collect(),
    });
    let sample = sample.collect();
    let location = profile
        .locations
        .iter()
        .enumerate()
        .map(|(number, location)| proto::Location {
            id: id(number),
            mapping_id: location.image.map_or(0, id),
            address: location.address,
            line: location
                .lines
                .iter()
                .map(|&(function, line)| proto::Line {
                    function_id: id(function),
                    line: line.into(),
                })
                .collect(),
        });
    let location = location.collect();
    let function = profile
        .functions
        .iter()
        .enumerate()
        .map(|(number, function)| proto::Function {
            id: id(number),
            name: strings.number(&function.name),
            system_name: strings.number(&function.system_name),
            filename: strings.number(&function.file),
        });
    proto::Profile {
        sample_type: types,
        sample,
        location,
        function: function.collect(),
        mapping: mappings(profile, &mut strings),
        time_nanos: profile.time_nanos,
        duration_nanos: profile.duration_nanos,
        period_type: profile.period_type.map(|kind| strings.value_type(kind)),
        period: profile.period,
        comment: profile
            .comments
            .iter()
            .map(|comment| strings.number(comment))
            .collect(),
        default_sample_type: strings.number(profile.default_type),
        string_table: strings.table,
    }
}

/// The first is the program. `has_functions` false asks the reader to look names up itself.
fn mappings(profile: &Profile, strings: &mut Strings) -> Vec<proto::Mapping> {
    let images = profile.images.iter().enumerate();
    images
        .map(|(number, image)| {
            let known = profile.known.get(number).copied().unwrap_or_default();
            proto::Mapping {
                id: id(number),
                memory_start: image.code.start,
                memory_limit: image.code.end,
                file_offset: image.code_offset,
                filename: strings.number(&image.name),
                build_id: strings.number(&image.build_id),
                has_functions: known.functions,
                has_filenames: known.lines,
                has_line_numbers: known.lines,
                has_inline_frames: known.lines,
            }
        })
        .collect()
}

/// Ids begin at 1: 0 is "none".
fn id(number: usize) -> u64 {
    number as u64 + 1
}

/// The table of strings, of which the first is empty.
struct Strings {
    table: Vec<String>,
    numbers: HashMap<String, i64>,
}

impl Strings {
    fn new() -> Self {
        let mut strings = Self {
            table: Vec::new(),
            numbers: HashMap::new(),
        };
        strings.number("");
        strings
    }

    fn number(&mut self, text: &str) -> i64 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let number = i64::try_from(self.table.len()).unwrap_or(0);
        self.table.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }

    fn value_type(&mut self, (kind, unit): ValueType) -> proto::ValueType {
        proto::ValueType {
            kind: self.number(kind),
            unit: self.number(unit),
        }
    }
}
