//! Watching the file: its content is read each second, and at once on SIGHUP.
//!
//! The content and not the time of change is compared, because a mounted volume, an editor and a
//! copy each treat times and inodes in their own way.

use std::{future::pending, sync::atomic::Ordering, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{MissedTickBehavior, interval, sleep},
};

use super::{Change, File, Reload, lock};

/// How often the file is read: an operator who waits for a change should not wonder.
const EACH: Duration = Duration::from_secs(1);

/// A file may be read while it is written; a changed one is read again after this time, until two
/// readings agree.
const SETTLE: Duration = Duration::from_millis(100);

/// How often a file may differ from its last reading before it is taken as it is.
const SETTLE_MAX: u32 = 20;

/// A larger file is no configuration.
const BYTES_MAX: u64 = 4 << 20;

impl Reload {
    /// Watches the file of [`Reload::begin`] until the future is dropped, and takes what it says;
    /// without a file it waits for ever. Every change is logged with its old and new value, and a
    /// bad file with its problem, once for each content.
    pub async fn watch(self) {
        let file = lock(&self.inner.file).clone();
        let Some(File { path, text, .. }) = file else {
            return pending().await;
        };
        let mut hangups = signal(SignalKind::hangup()).ok();
        let mut ticks = interval(EACH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = Ok(text.to_string());
        loop {
            let asked = tokio::select! {
                _ = ticks.tick() => false,
                () = hangup(&mut hangups) => true,
            };
            let mut text = read(&path).await;
            if text == seen && !asked {
                continue;
            }
            for _ in 0..SETTLE_MAX {
                sleep(SETTLE).await;
                let again = read(&path).await;
                if again == text {
                    break;
                }
                text = again;
            }
            self.change(&path, &text, asked);
            seen = text;
        }
    }

    fn change(&self, path: &std::path::Path, text: &Result<String, String>, asked: bool) {
        let outcome = match text {
            Ok(text) => self.take(text).map_err(|problem| problem.to_string()),
            Err(problem) => {
                self.inner.refused.fetch_add(1, Ordering::Relaxed);
                Err(format!("configuration {}: {problem}", path.display()))
            }
        };
        let path = path.display();
        match outcome {
            Ok(outcome) => {
                for Change { key, old, new } in &outcome.applied {
                    tracing::info!(target: "reload", key, old, new, "the configuration changed");
                }
                for Change { key, old, new } in &outcome.needs_restart {
                    tracing::warn!(
                        target: "reload",
                        key,
                        old,
                        new,
                        "this key takes a restart; the old value stays in force"
                    );
                }
                if asked && outcome.applied.is_empty() {
                    tracing::info!(target: "reload", file = %path, "nothing changed");
                }
            }
            Err(problem) => tracing::error!(
                target: "reload",
                problem,
                "the new configuration is refused; the old one stays in force"
            ),
        }
    }
}

async fn hangup(hangups: &mut Option<Signal>) {
    match hangups {
        Some(hangups) => {
            hangups.recv().await;
        }
        None => pending().await,
    }
}

async fn read(path: &std::path::Path) -> Result<String, String> {
    let describe = |cause: std::io::Error| format!("the file could not be read: {cause}");
    let size = tokio::fs::metadata(path).await.map_err(describe)?.len();
    if size > BYTES_MAX {
        return Err(format!(
            "the file has {size} bytes; expected {BYTES_MAX} at most"
        ));
    }
    tokio::fs::read_to_string(path).await.map_err(describe)
}
