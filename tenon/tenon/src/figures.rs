//! The queues of a service's rooms, as its metrics show them.

use tenon_auth::password::Passwords;
use tenon_telemetry::{Figure, Metrics};

/// What a store did and how many writes wait for it.
#[cfg(feature = "store")]
pub(crate) fn store(metrics: &Metrics, service: &str, db: &tenon_store::Db) {
    use tenon_store::Stats;
    const WRITES: (&str, &str) = (
        "store_writes",
        "Writes and batch rows that ended, by whether they are kept or ended in an error",
    );
    let add = |kind,
               name: (&'static str, &'static str),
               outcome: Option<&str>,
               read: fn(Stats) -> u64| {
        let db = db.clone();
        let labels = [
            ("service", service),
            ("outcome", outcome.unwrap_or_default()),
        ];
        let labels = labels
            .get(..1 + usize::from(outcome.is_some()))
            .unwrap_or_default();
        metrics.read(kind, name, labels, move || read(db.stats()) as f64);
    };
    let (counter, gauge) = (Figure::Counter, Figure::Gauge);
    add(counter, WRITES, Some("kept"), |stats| stats.kept);
    add(counter, WRITES, Some("refused"), |stats| stats.refused);
    let name = ("store_commits", "Transactions committed to the disk");
    add(counter, name, None, |stats| stats.commits);
    let name = (
        "store_replays",
        "Transactions run again because an interrupted write had taken them down",
    );
    add(counter, name, None, |stats| stats.replays);
    let name = (
        "store_interrupted",
        "Writes and reads stopped because their caller left or their time ran out",
    );
    add(counter, name, None, |stats| stats.interrupted);
    let name = ("store_checkpoints", "Checkpoints made while running");
    add(counter, name, None, |stats| stats.checkpoints);
    let name = (
        "store_write_queue_length",
        "Writes that wait for the writer",
    );
    add(gauge, name, None, |stats| stats.waiting);
}

/// How busy the pool is that hashes passwords.
pub(crate) fn passwords(metrics: &Metrics, service: &str, passwords: &Passwords) {
    let labels = [("service", service)];
    let pool = passwords.clone();
    let name = ("password_pool_running", "Passwords that are hashed now");
    metrics.read(Figure::Gauge, name, &labels, move || pool.running() as f64);
    let pool = passwords.clone();
    let name = (
        "password_pool_queue_length",
        "Passwords that wait to be hashed",
    );
    metrics.read(Figure::Gauge, name, &labels, move || pool.waiting() as f64);
}
