//! The metrics of the process itself, read from `/proc` when they are asked for. A figure that
//! cannot be read is left out rather than shown as zero.

use std::{fmt, fs};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

/// Ticks in a second as `/proc` counts them: 100 on every Linux, as user programs see it.
const TICKS_PER_SECOND: f64 = 100.0;

/// Collects the process metrics at each reading.
#[derive(Debug)]
pub(super) struct Process {
    started: Option<f64>,
}

impl Process {
    pub(super) fn new() -> Self {
        Self {
            started: start_seconds(),
        }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let gauges = [
            (
                "process_start_time",
                "When the process started, in seconds since 1970",
                Some(Unit::Seconds),
                self.started,
            ),
            (
                "process_resident_memory",
                "Memory of the process that is in RAM",
                Some(Unit::Bytes),
                status_line("VmRSS:").map(|kibibytes| kibibytes * 1024.0),
            ),
            (
                "process_threads",
                "Threads of the process",
                None,
                status_line("Threads:"),
            ),
            (
                "process_open_fds",
                "Open file descriptors of the process",
                None,
                open_descriptors(),
            ),
            (
                "process_max_fds",
                "The most file descriptors that the process may open",
                None,
                max_descriptors(),
            ),
        ];
        for (name, help, unit, value) in gauges {
            let Some(value) = value else { continue };
            let gauge = ConstGauge::new(value);
            let kind = gauge.metric_type();
            gauge.encode(encoder.encode_descriptor(name, help, unit.as_ref(), kind)?)?;
        }
        let Some(seconds) = cpu_seconds() else {
            return Ok(());
        };
        let counter = ConstCounter::new(seconds);
        let kind = counter.metric_type();
        let help = "CPU time of the process, in user and system mode";
        counter.encode(encoder.encode_descriptor(
            "process_cpu",
            help,
            Some(&Unit::Seconds),
            kind,
        )?)
    }
}

/// A number of `/proc/self/status`.
fn status_line(label: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(label))?;
    line.split_whitespace().next()?.parse().ok()
}

fn open_descriptors() -> Option<f64> {
    // One of them is the folder that is being read.
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    u32::try_from(open.saturating_sub(1)).ok().map(f64::from)
}

fn max_descriptors() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn cpu_seconds() -> Option<f64> {
    let fields = stat_fields()?;
    let user: f64 = fields.get(11)?.parse().ok()?;
    let system: f64 = fields.get(12)?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

/// The start of the machine plus that of the process after it.
fn start_seconds() -> Option<f64> {
    let ticks: f64 = stat_fields()?.get(19)?.parse().ok()?;
    let machine = fs::read_to_string("/proc/stat").ok()?;
    let boot = machine
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?;
    let boot: f64 = boot.trim().parse().ok()?;
    Some(boot + ticks / TICKS_PER_SECOND)
}

/// The fields of `/proc/self/stat` from the third, the state, on: the name of the program before
/// it may hold spaces and brackets.
fn stat_fields() -> Option<Vec<String>> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, after) = stat.rsplit_once(')')?;
    Some(after.split_whitespace().map(str::to_owned).collect())
}
