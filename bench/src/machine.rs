//! What the figures were taken on: processor, kernel, disk, and how busy the machine was.

use std::{
    fs::{self, File},
    io::{Seek, Write},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;

/// The load and the stolen time at one moment.
pub(crate) struct Moment {
    load: String,
    /// Ticks of all processors since boot.
    total: u64,
    /// Ticks that the host gave to others.
    steal: u64,
}

impl Moment {
    /// Now.
    pub(crate) fn now() -> anyhow::Result<Self> {
        let load = read("/proc/loadavg")?;
        let stat = read("/proc/stat")?;
        let ticks: Vec<u64> = stat
            .lines()
            .next()
            .unwrap_or_default()
            .split_ascii_whitespace()
            .filter_map(|number| number.parse().ok())
            .collect();
        Ok(Self {
            load: load.split(' ').take(3).collect::<Vec<_>>().join(" "),
            // user, nice, system, idle, iowait, irq, softirq, steal; what follows is in user.
            total: ticks.iter().take(8).sum(),
            steal: ticks.get(7).copied().unwrap_or_default(),
        })
    }
}

/// What stands above the figures.
pub(crate) fn print_header(before: &Moment) -> anyhow::Result<()> {
    let cores = thread::available_parallelism()?;
    let processor = read("/proc/cpuinfo")?;
    let model = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let kernel = read("/proc/sys/kernel/osrelease")?;
    println!("machine  {cores} cores, {model}, kernel {}", kernel.trim());
    let (p50, p99) = fsync()?;
    println!(
        "disk     overwrite of 4 KiB and fdatasync: p50 {:.0} us, p99 {:.0} us",
        micros(p50),
        micros(p99)
    );
    println!("load     {} before", before.load);
    println!("files    {} open files allowed", open_files_max()?);
    Ok(())
}

/// What stands below them.
pub(crate) fn print_footer(before: &Moment) -> anyhow::Result<()> {
    let after = Moment::now()?;
    let total = after.total.saturating_sub(before.total).max(1);
    let stolen = after.steal.saturating_sub(before.steal) as f64 / total as f64;
    println!();
    println!(
        "load     {} before, {} after; {:.1} % stolen by the host meanwhile",
        before.load,
        after.load,
        stolen * 100.0
    );
    Ok(())
}

/// How many files a process may have open.
pub(crate) fn open_files_max() -> anyhow::Result<usize> {
    let limits = read("/proc/self/limits")?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .context("the limit of open files is not told")?;
    let soft = line.split_ascii_whitespace().next().unwrap_or_default();
    Ok(soft.parse().unwrap_or(usize::MAX))
}

/// Median and 99th percentile of overwriting 4 KiB and waiting for the disk.
fn fsync() -> anyhow::Result<(Duration, Duration)> {
    const TIMES: usize = 300;
    let mut file: File = tempfile::tempfile()?;
    let block = [7; 4096];
    let mut times = Vec::with_capacity(TIMES);
    // The first write makes the file grow, which costs more than what a log does later.
    for _ in 0..=TIMES {
        let began = Instant::now();
        file.rewind()?;
        file.write_all(&block)?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    times.remove(0);
    times.sort_unstable();
    let at = |part: usize| times.get(TIMES * part / 100).copied().unwrap_or_default();
    Ok((at(50), at(99)))
}

/// Microseconds, for people.
pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn read(path: &str) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {path}"))
}
