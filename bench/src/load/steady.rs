//! A closed loop that goes on while turns of it are measured. Connections that come and go
//! between turns, and caches that cool, would differ by more than what is looked for.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::anyhow;
use tokio::task::JoinSet;

use super::{Caller, Ended, Gauge};
use crate::{machine::micros, process::Process};

/// Callers that call until they are told to stop.
pub(crate) struct Steady<C> {
    gauge: Arc<Gauge>,
    tasks: JoinSet<Ended<C>>,
}

/// What was measured in one turn, or in several.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Turn {
    /// Calls that were answered in it.
    pub(crate) operations: u64,
    /// How long it was.
    pub(crate) elapsed: Duration,
    /// The CPU time of the server in it.
    pub(crate) server: Duration,
}

impl Turn {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            operations: self.operations + other.operations,
            elapsed: self.elapsed + other.elapsed,
            server: self.server + other.server,
        }
    }

    /// Calls that the server answers in a second of its CPU time.
    pub(crate) fn per_cpu_second(&self) -> f64 {
        self.operations as f64 / self.server.as_secs_f64()
    }

    /// Microseconds of the server's CPU time for one call.
    pub(crate) fn server_cpu(&self) -> f64 {
        micros(self.server) / self.operations as f64
    }

    /// Calls a second.
    pub(crate) fn rate(&self) -> f64 {
        self.operations as f64 / self.elapsed.as_secs_f64()
    }
}

impl<C: Caller> Steady<C> {
    /// Begins.
    pub(crate) fn start(callers: Vec<C>) -> anyhow::Result<Self> {
        let gauge = Arc::new(Gauge::default());
        let tasks = super::start(callers, &gauge)?;
        Ok(Self { gauge, tasks })
    }

    /// Lets the load go on for so long.
    pub(crate) async fn pass(&mut self, time: Duration) -> anyhow::Result<()> {
        tokio::select! {
            // A caller that ends before it was told to has failed.
            Some(early) = self.tasks.join_next() => {
                early??;
                Err(anyhow!("a caller ended before its time"))
            }
            () = tokio::time::sleep(time) => Ok(()),
        }
    }

    /// Measures a turn.
    pub(crate) async fn turn(
        &mut self,
        process: &Process,
        window: Duration,
    ) -> anyhow::Result<Turn> {
        let (began, server) = (Instant::now(), process.cpu()?);
        let done = self.gauge.done.load(Ordering::Relaxed);
        self.pass(window).await?;
        Ok(Turn {
            operations: self.gauge.done.load(Ordering::Relaxed) - done,
            elapsed: began.elapsed(),
            server: process.cpu()?.saturating_sub(server),
        })
    }

    /// Ends after the calls in flight.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        self.gauge.stop();
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        Ok(())
    }
}
