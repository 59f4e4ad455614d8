//! The life of a process: starting, ready, draining, stopped.
//!
//! On the first SIGTERM or interrupt, readiness flips first; the doors then stop accepting and
//! end what is in flight within their grace. In between they may be held open ([`Hold`]), until
//! callers know that they should go elsewhere. A second signal ends the process at once.

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
    holds: Arc<watch::Sender<usize>>,
}

/// Keeps the doors of a process that drains open until it is dropped.
#[derive(Debug)]
pub struct Hold {
    holds: Arc<watch::Sender<usize>>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.holds.send_modify(|holds| *holds -= 1);
    }
}

impl Lifecycle {
    /// A process that is starting.
    pub fn new() -> Self {
        Self {
            stage: Arc::new(watch::Sender::new(Stage::Starting)),
            drain: CancellationToken::new(),
            kill: CancellationToken::new(),
            holds: Arc::new(watch::Sender::new(0)),
        }
    }

    /// The doors are open. Has no effect once draining began.
    pub fn ready(&self) {
        self.stage
            .send_if_modified(|stage| advance(stage, Stage::Ready));
    }

    /// Readiness flips, and the doors stop accepting as soon as nobody holds them open. May be
    /// called more than once.
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

    /// Keeps the doors open also while the process drains, until the hold is dropped.
    pub fn hold(&self) -> Hold {
        self.holds.send_modify(|holds| *holds += 1);
        Hold {
            holds: self.holds.clone(),
        }
    }

    /// Resolves when the doors must stop accepting: the process drains and nobody holds them
    /// open, or what is in flight must end.
    pub async fn closing(&self) {
        let let_go = async {
            self.drain.cancelled().await;
            // The sender lives as long as `self`.
            let _ = self.holds.subscribe().wait_for(|holds| *holds == 0).await;
        };
        tokio::select! {
            () = let_go => {}
            () = self.kill.cancelled() => {}
        }
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

    #[tokio::test(start_paused = true)]
    async fn doors_that_are_held_close_when_they_are_let_go() {
        use std::time::Duration;
        let life = Lifecycle::new();
        let holds = [life.hold(), life.hold()];
        life.drain();
        assert_eq!(life.stage(), Stage::Draining);
        let patience = Duration::from_secs(3600);
        for hold in holds {
            let still = tokio::time::timeout(patience, life.closing()).await;
            assert!(still.is_err(), "the doors are held open");
            drop(hold);
        }
        life.closing().await;
        // Killed, a process waits for nobody.
        let life = Lifecycle::new();
        let _hold = life.hold();
        life.kill();
        life.closing().await;
    }
}
