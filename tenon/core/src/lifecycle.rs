//! The life of a process: starting, ready, draining, stopped.
//!
//! On the first SIGTERM or interrupt, readiness flips first; the doors then stop accepting and
//! end what is in flight within their grace. A second signal ends the process at once.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Where a process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Not yet ready to be sent requests.
    Starting,
    /// Serving.
    Ready,
    /// Told to stop; ends what is in flight.
    Draining,
}

/// A handle on the life of the process, shared by its doors. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    stage: Arc<watch::Sender<Stage>>,
    drain: CancellationToken,
    kill: CancellationToken,
}

impl Lifecycle {
    /// A process that is starting.
    pub fn new() -> Self {
        Self {
            stage: Arc::new(watch::Sender::new(Stage::Starting)),
            drain: CancellationToken::new(),
            kill: CancellationToken::new(),
        }
    }

    /// The doors are open. Has no effect once draining began.
    pub fn ready(&self) {
        self.stage
            .send_if_modified(|stage| advance(stage, Stage::Ready));
    }

    /// Readiness flips and the doors stop accepting. May be called more than once.
    pub fn drain(&self) {
        self.stage
            .send_if_modified(|stage| advance(stage, Stage::Draining));
        self.drain.cancel();
    }

    /// Ends what is still in flight.
    pub fn kill(&self) {
        self.drain();
        self.kill.cancel();
    }

    /// Where the process stands.
    pub fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Tells of each change of the stage.
    pub fn stages(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    /// Resolves when the process was told to stop.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// Resolves when what is in flight must end.
    pub async fn killed(&self) {
        self.kill.cancelled().await;
    }

    /// Drains on the first SIGTERM or interrupt and kills on the second.
    ///
    /// # Errors
    /// The signal handlers cannot be installed.
    pub fn on_signals(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let lifecycle = self.clone();
        tokio::spawn(async move {
            for last in [false, true] {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if last {
                    lifecycle.kill()
                } else {
                    lifecycle.drain()
                }
            }
        });
        Ok(())
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

/// A stage only ever moves on.
fn advance(stage: &mut Stage, to: Stage) -> bool {
    let moves = *stage < to;
    if moves {
        *stage = to;
    }
    moves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stages_only_move_on() {
        let life = Lifecycle::new();
        assert_eq!(life.stage(), Stage::Starting);
        life.ready();
        assert_eq!(life.stage(), Stage::Ready);
        life.drain();
        life.ready();
        assert_eq!(life.stage(), Stage::Draining);
        life.draining().await;
        life.kill();
        life.killed().await;
    }
}
