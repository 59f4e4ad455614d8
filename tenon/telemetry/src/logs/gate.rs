//! Which lines are written: those of the level, and of lines that one place in the code repeats
//! only so many a second.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
    time::Instant,
};

use tenon_core::config::LogLevel;
use tracing::{
    Event, Metadata, Subscriber, callsite, level_filters::LevelFilter, subscriber::Interest,
};
use tracing_subscriber::{Layer, layer::Context};

/// Libraries that speak of every frame at `debug`; they do so only at `trace` here.
const TALKATIVE: [&str; 6] = ["h2", "hyper", "hyper_util", "tower", "tonic", "rustls"];

/// What is never thinned: one line a request, decisions about access, and what operators change,
/// for these are counted and looked for one by one.
const WHOLE: [&str; 4] = ["access", "security", "reload", "admin"];

/// Decides about each line. Cheap to clone: all clones are one.
#[derive(Clone)]
pub(super) struct Gate {
    inner: Arc<Inner>,
}

struct Inner {
    level: AtomicU8,
    repeats_max: AtomicU32,
    started: Instant,
    /// Places in the code, of which there are as many as the program has.
    sites: RwLock<HashMap<callsite::Identifier, Arc<Site>>>,
    suppressed: AtomicU64,
}

/// A place that logs.
struct Site {
    metadata: &'static Metadata<'static>,
    /// The second that is counted.
    second: AtomicU64,
    lines: AtomicU32,
    /// Lines that were not written and not told of yet.
    suppressed: AtomicU64,
}

/// A place that repeated itself.
pub(super) struct Repeated {
    pub(super) file: &'static str,
    pub(super) line: u32,
    pub(super) count: u64,
}

impl Gate {
    pub(super) fn new(level: LogLevel, repeats_max: u32) -> Self {
        Self {
            inner: Arc::new(Inner {
                level: AtomicU8::new(level as u8),
                repeats_max: AtomicU32::new(repeats_max),
                started: Instant::now(),
                sites: RwLock::default(),
                suppressed: AtomicU64::new(0),
            }),
        }
    }

    pub(super) fn level(&self) -> LogLevel {
        match self.inner.level.load(Ordering::Relaxed) {
            0 => LogLevel::Error,
            1 => LogLevel::Warn,
            2 => LogLevel::Info,
            3 => LogLevel::Debug,
            _ => LogLevel::Trace,
        }
    }

    pub(super) fn set_level(&self, level: LogLevel) {
        self.inner.level.store(level as u8, Ordering::Relaxed);
        // Every place in the code has remembered whether it is of interest.
        callsite::rebuild_interest_cache();
    }

    pub(super) fn set_repeats_max(&self, repeats_max: u32) {
        self.inner.repeats_max.store(repeats_max, Ordering::Relaxed);
    }

    /// Lines that were not written since the start.
    pub(super) fn suppressed(&self) -> u64 {
        self.inner.suppressed.load(Ordering::Relaxed)
    }

    /// The places that repeated themselves since this was asked the last time.
    pub(super) fn repeated(&self) -> Vec<Repeated> {
        let sites = self.inner.sites.read();
        let sites = sites.unwrap_or_else(PoisonError::into_inner);
        let told = |site: &Arc<Site>| {
            let count = site.suppressed.swap(0, Ordering::Relaxed);
            (count > 0).then(|| Repeated {
                file: site.metadata.file().unwrap_or("unknown"),
                line: site.metadata.line().unwrap_or(0),
                count,
            })
        };
        sites.values().filter_map(told).collect()
    }

    fn takes(&self, metadata: &Metadata<'_>) -> bool {
        let level = filter(self.level());
        let own = if level == LevelFilter::DEBUG && is_talkative(metadata.target()) {
            LevelFilter::INFO
        } else {
            level
        };
        *metadata.level() <= own
    }

    /// Whether this line of a place is still within what it may write in a second.
    fn admits(&self, metadata: &'static Metadata<'static>) -> bool {
        let limit = self.inner.repeats_max.load(Ordering::Relaxed);
        if limit == 0 || WHOLE.contains(&metadata.target()) {
            return true;
        }
        let site = self.site(metadata);
        let second = self.inner.started.elapsed().as_secs();
        if site.second.swap(second, Ordering::Relaxed) != second {
            site.lines.store(0, Ordering::Relaxed);
        }
        let admitted = site.lines.fetch_add(1, Ordering::Relaxed) < limit;
        if !admitted {
            site.suppressed.fetch_add(1, Ordering::Relaxed);
            self.inner.suppressed.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }

    fn site(&self, metadata: &'static Metadata<'static>) -> Arc<Site> {
        let key = metadata.callsite();
        let known = self.inner.sites.read();
        if let Some(site) = known.unwrap_or_else(PoisonError::into_inner).get(&key) {
            return site.clone();
        }
        let mut sites = self
            .inner
            .sites
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let new = || {
            Arc::new(Site {
                metadata,
                second: AtomicU64::new(0),
                lines: AtomicU32::new(0),
                suppressed: AtomicU64::new(0),
            })
        };
        sites.entry(key).or_insert_with(new).clone()
    }
}

/// A filter for all there is: one that belongs to a layer must not decide by the event.
impl<S: Subscriber> Layer<S> for Gate {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        match self.takes(metadata) {
            true => Interest::always(),
            false => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.takes(metadata)
    }

    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.admits(event.metadata())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(filter(self.level()))
    }
}

fn is_talkative(target: &str) -> bool {
    let library = target.split("::").next().unwrap_or(target);
    TALKATIVE.contains(&library)
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
