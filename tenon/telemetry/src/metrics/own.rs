//! What the process knows of itself beside its requests: the tokio runtime, the log, and changes of
//! its configuration.

use tenon_core::Reload;
use tokio::runtime::Handle;

use super::{Figure, Metrics};
use crate::logs;

impl Metrics {
    /// Shows how busy a tokio runtime is, by what it tells without being built specially: tasks
    /// alive, tasks that wait for a worker, and the time that workers were busy. The busy ratio is
    /// `rate(tokio_workers_busy_seconds_total[1m]) / tokio_workers`.
    pub fn observe_runtime(&self, runtime: &Handle) {
        let gauge = |name, help, read: fn(&tokio::runtime::RuntimeMetrics) -> usize| {
            let metrics = runtime.metrics();
            self.read(Figure::Gauge, (name, help), &[], move || {
                read(&metrics) as f64
            });
        };
        gauge(
            "tokio_workers",
            "Threads that run the tasks of the process",
            |metrics| metrics.num_workers(),
        );
        gauge(
            "tokio_alive_tasks",
            "Tasks that have not ended",
            |metrics| metrics.num_alive_tasks(),
        );
        gauge(
            "tokio_global_queue_depth",
            "Tasks in the common queue, which wait for a worker",
            |metrics| metrics.global_queue_depth(),
        );
        let metrics = runtime.metrics();
        self.read(
            Figure::Counter,
            (
                "tokio_workers_busy_seconds",
                "How long workers ran tasks, all workers together",
            ),
            &[],
            move || {
                let workers = 0..metrics.num_workers();
                let busy = workers.map(|worker| metrics.worker_total_busy_duration(worker));
                busy.map(|time| time.as_secs_f64()).sum()
            },
        );
    }

    /// Shows how often the configuration file was taken or refused, and when it was last sound.
    pub fn observe_reload(&self, reload: &Reload) {
        const NAME: (&str, &str) = (
            "config_reloads",
            "Changed configuration files, by whether they were taken or refused",
        );
        let kept = reload.clone();
        self.read(Figure::Counter, NAME, &[("outcome", "taken")], move || {
            kept.stats().taken as f64
        });
        let kept = reload.clone();
        self.read(
            Figure::Counter,
            NAME,
            &[("outcome", "refused")],
            move || kept.stats().refused as f64,
        );
        let kept = reload.clone();
        let last = (
            "config_last_success_timestamp_seconds",
            "When the configuration file was last read and sound, in seconds since 1970; 0 without one",
        );
        self.read(Figure::Gauge, last, &[], move || {
            kept.stats().last_success_seconds as f64
        });
    }

    /// Shows how many lines of the log were not written, and why.
    pub(super) fn observe_log(&self) {
        const NAME: (&str, &str) = (
            "log_lines_dropped",
            "Log lines that were not written: `queue` because the output did not keep up or failed, \
             `repeats` because their place in the code repeated itself",
        );
        self.read(Figure::Counter, NAME, &[("reason", "queue")], || {
            logs::stats().dropped as f64
        });
        self.read(Figure::Counter, NAME, &[("reason", "repeats")], || {
            logs::stats().suppressed as f64
        });
    }
}
