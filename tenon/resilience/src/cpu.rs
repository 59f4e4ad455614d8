//! How busy the CPU is that this process may use, in permille.
//!
//! Source: go-zero's `core/stat`: a sample each 250 ms, smoothed with beta 0.95. Inside a cgroup
//! with a quota (v2, else v1) it is what the whole cgroup used of its quota; without a quota it
//! is what this process used of all cores, so that a neighbour's work is not taken for ours.
//!
//! One thread per process samples, from the first question on.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// How often is looked.
const INTERVAL: Duration = Duration::from_millis(250);
/// How much of the old value a sample leaves: it takes three seconds to come half way.
const BETA: f64 = 0.95;
/// One busy CPU for the whole interval.
const FULL: f64 = 1000.0;
/// Ticks in a second as `/proc` counts them: 100 on every Linux, as user programs see it.
const TICKS_PER_SECOND: f64 = 100.0;

static PERMILLE: AtomicU32 = AtomicU32::new(0);
static SAMPLER: OnceLock<bool> = OnceLock::new();

/// The share of the CPU in use, smoothed: 0 to 1000. Zero where it cannot be told.
pub fn permille() -> u32 {
    start();
    PERMILLE.load(Relaxed)
}

/// Starts the sampler, if it does not run already.
pub(crate) fn start() {
    SAMPLER.get_or_init(|| {
        let thread = thread::Builder::new().name("tenon-cpu".to_owned());
        let source = Source::find();
        let started = thread.spawn(move || sample(&source));
        if let Err(cause) = &started {
            tracing::warn!(%cause, "the use of the CPU is not known; shedding goes by queues alone");
        }
        started.is_ok()
    });
}

fn sample(source: &Source) {
    let mut smoothed = 0.0;
    let mut last = (Instant::now(), source.used());
    loop {
        thread::sleep(INTERVAL);
        let now = (Instant::now(), source.used());
        if let ((began, Some(before)), (ended, Some(after))) = (last, now) {
            let available = (ended - began).as_secs_f64() * source.cores;
            let share = (after - before) / available.max(f64::EPSILON) * FULL;
            smoothed = smooth(smoothed, share);
            PERMILLE.store(smoothed as u32, Relaxed);
        }
        last = now;
    }
}

fn smooth(old: f64, sample: f64) -> f64 {
    old * BETA + sample.clamp(0.0, FULL) * (1.0 - BETA)
}

/// Where seconds of CPU time are read, and how many cores they are a share of.
#[derive(Debug, PartialEq)]
struct Source {
    /// `cpu.stat` of a cgroup v2 or `cpuacct.usage` of a cgroup v1; without one, this process.
    file: Option<PathBuf>,
    cores: f64,
}

impl Source {
    fn find() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from) as f64;
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self::of(&own, Path::new("/sys/fs/cgroup"), cores)
    }

    /// The nearest group of ours with a quota.
    fn of(own: &str, root: &Path, cores: f64) -> Self {
        let process = Self { file: None, cores };
        let line = |wanted: &dyn Fn(&str) -> bool| {
            own.lines().find_map(|line| {
                let mut parts = line.splitn(3, ':').skip(1);
                let controllers = parts.next()?;
                wanted(controllers).then(|| parts.next())?
            })
        };
        let v1 = line(&|controllers| controllers.split(',').any(|name| name == "cpu"));
        if let Some(path) = v1 {
            let folder = ["cpu", "cpu,cpuacct"].map(|name| root.join(name));
            let groups = folder.iter().flat_map(|folder| groups(folder, path));
            return groups
                .into_iter()
                .find_map(|group| Self::v1(&group))
                .unwrap_or(process);
        }
        let v2 = line(&str::is_empty).unwrap_or("/");
        let mut groups = groups(root, v2).into_iter();
        groups.find_map(|group| Self::v2(&group)).unwrap_or(process)
    }

    fn v1(group: &Path) -> Option<Self> {
        let quota: f64 = number(&group.join("cpu.cfs_quota_us"))?;
        let period: f64 = number(&group.join("cpu.cfs_period_us"))?;
        let file = group.join("cpuacct.usage");
        (quota > 0.0 && file.exists()).then(|| Self {
            file: Some(file),
            cores: quota / period,
        })
    }

    fn v2(group: &Path) -> Option<Self> {
        let limit = fs::read_to_string(group.join("cpu.max")).ok()?;
        let (quota, period) = limit.trim().split_once(' ')?;
        let cores = quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?;
        let file = group.join("cpu.stat");
        if !file.exists() {
            return None;
        }
        Some(Self {
            file: Some(file),
            cores,
        })
    }

    /// Seconds of CPU time so far.
    fn used(&self) -> Option<f64> {
        let Some(file) = &self.file else {
            return process();
        };
        let text = fs::read_to_string(file).ok()?;
        match text
            .lines()
            .find_map(|line| line.strip_prefix("usage_usec "))
        {
            Some(micros) => Some(micros.trim().parse::<f64>().ok()? / 1e6),
            None => Some(text.trim().parse::<f64>().ok()? / 1e9),
        }
    }
}

/// A group and those around it, innermost first. In a container the path is often not there, and
/// the root is the container's own group.
fn groups(root: &Path, path: &str) -> Vec<PathBuf> {
    let inner = root.join(path.trim_start_matches('/'));
    let around = inner
        .ancestors()
        .take_while(|group| group.starts_with(root));
    around.map(Path::to_owned).collect()
}

fn number(file: &Path) -> Option<f64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// The CPU time of this process, in user and system mode.
fn process() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program stands in brackets and may hold anything.
    let (_, after) = stat.rsplit_once(')')?;
    let mut times = after.split_whitespace().skip(11);
    let user: f64 = times.next()?.parse().ok()?;
    let system: f64 = times.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, file: &str, text: &str) {
        let file = root.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    #[test]
    fn the_nearest_quota_counts_and_without_one_the_process() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(root, "pods/cpu.max", "150000 100000\n");
        write(root, "pods/cpu.stat", "usage_usec 2500000\nuser_usec 1\n");
        write(root, "pods/one/cpu.max", "max 100000\n");
        write(root, "pods/one/cpu.stat", "usage_usec 1\n");
        let found = Source::of("0::/pods/one\n", root, 8.0);
        assert_eq!(found.cores, 1.5);
        assert_eq!(found.used(), Some(2.5));
        let free = Source::of("0::/elsewhere\n", root, 8.0);
        assert_eq!((free.file.is_none(), free.cores), (true, 8.0));
        assert!(free.used().is_some(), "this process has used some time");
    }

    #[test]
    fn the_older_cgroups_are_read_too() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(root, "cpu,cpuacct/docker/a/cpu.cfs_quota_us", "50000\n");
        write(root, "cpu,cpuacct/docker/a/cpu.cfs_period_us", "100000\n");
        write(root, "cpu,cpuacct/docker/a/cpuacct.usage", "3000000000\n");
        let own = "12:memory:/docker/a\n4:cpu,cpuacct:/docker/a\n0::/\n";
        let found = Source::of(own, root, 8.0);
        assert_eq!((found.cores, found.used()), (0.5, Some(3.0)));
        write(root, "cpu,cpuacct/docker/a/cpu.cfs_quota_us", "-1\n");
        assert!(Source::of(own, root, 8.0).file.is_none());
    }

    #[test]
    fn a_busy_cpu_shows_half_after_three_and_a_half_seconds() {
        let after = |samples: usize| (0..samples).fold(0.0, |old, _| smooth(old, 1200.0));
        assert!((480.0..520.0).contains(&after(13)), "{}", after(13));
        assert!(after(45) >= 900.0 && after(44) < 900.0);
    }
}
