//! Readiness: the stage of the process, and what its rooms say of themselves.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use serde::Serialize;
use tenon_core::{Lifecycle, Result, catalogue, lifecycle::Stage, panics};
use tokio::{sync::Mutex, time::Instant};

/// A probe that takes longer than this has failed.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Requests within this time share one round of probes, so that asking often costs little.
const SHARED_FOR: Duration = Duration::from_millis(250);

/// A round that found something missing is asked again sooner: while a process starts, what was
/// missing is there a moment later, and whoever waits for it would wait all that time for nothing.
const MISSING_FOR: Duration = Duration::from_millis(5);

/// The conditions of readiness.
pub(super) struct Readiness {
    life: Lifecycle,
    probes: Vec<Probe>,
    last: Mutex<Option<(Instant, Arc<[Outcome]>)>>,
}

struct Probe {
    name: String,
    check: Box<dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync>,
    /// Its last answer was no, and the log says so.
    missing: AtomicBool,
}

/// What `/readyz` shows.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    status: Status,
    probes: Arc<[Outcome]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Starting,
    Ready,
    Unready,
    Draining,
}

#[derive(Debug, Clone, Serialize)]
struct Outcome {
    name: String,
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

impl Readiness {
    pub(super) fn new(life: Lifecycle) -> Self {
        Self {
            life,
            probes: Vec::new(),
            last: Mutex::new(None),
        }
    }

    pub(super) fn add<F, P>(&mut self, name: String, check: F)
    where
        F: Fn() -> P + Send + Sync + 'static,
        P: Future<Output = Result<()>> + Send + 'static,
    {
        let check = Box::new(move || check().boxed());
        let missing = AtomicBool::new(false);
        self.probes.push(Probe {
            name,
            check,
            missing,
        });
    }

    /// Where the process stands. The probes are asked only while it serves: before and after,
    /// their answer changes nothing.
    pub(super) async fn report(&self) -> Report {
        let none = || Arc::from(Vec::new());
        let (status, probes) = match self.life.stage() {
            Stage::Starting => (Status::Starting, none()),
            Stage::Draining => (Status::Draining, none()),
            Stage::Ready => {
                let outcomes = self.outcomes().await;
                let all = outcomes.iter().all(|outcome| outcome.ready);
                // Draining may have begun while the probes were asked.
                match self.life.stage() {
                    Stage::Draining => (Status::Draining, outcomes),
                    _ if all => (Status::Ready, outcomes),
                    _ => (Status::Unready, outcomes),
                }
            }
        };
        Report { status, probes }
    }

    async fn outcomes(&self) -> Arc<[Outcome]> {
        let mut last = self.last.lock().await;
        if let Some((at, outcomes)) = &*last {
            let all = outcomes.iter().all(|outcome| outcome.ready);
            if at.elapsed() < if all { SHARED_FOR } else { MISSING_FOR } {
                return Arc::clone(outcomes);
            }
        }
        let outcomes: Arc<[Outcome]> = join_all(self.probes.iter().map(Probe::ask)).await.into();
        *last = Some((Instant::now(), Arc::clone(&outcomes)));
        outcomes
    }
}

impl Probe {
    async fn ask(&self) -> Outcome {
        // The call itself may panic too, not only the future it makes.
        let work = panics::contain(async { (self.check)().await });
        let result = match tokio::time::timeout(TIMEOUT, work).await {
            Ok(Ok(result)) => result,
            Ok(Err(panicked)) => Err(catalogue::INTERNAL.error().cause(panicked)),
            Err(_elapsed) => Err(catalogue::DEADLINE_EXCEEDED.error()),
        };
        self.tell(&result);
        Outcome {
            name: self.name.clone(),
            ready: result.is_ok(),
            code: result.err().map(|error| error.code().to_owned()),
        }
    }

    /// One line when it begins to fail and one when it is over, however often somebody asks.
    fn tell(&self, result: &Result<()>) {
        let probe = &self.name;
        match (self.missing.swap(result.is_err(), Relaxed), result) {
            (false, Err(error)) => {
                let (cause, code) = (error.cause_chain(), error.code());
                tracing::warn!(target: "ready", %probe, code, cause, "a probe failed");
            }
            (true, Ok(())) => tracing::info!(target: "ready", %probe, "the probe succeeds again"),
            (true, Err(_)) | (false, Ok(())) => {}
        }
    }
}

impl Report {
    pub(super) fn is_ready(&self) -> bool {
        self.status == Status::Ready
    }

    pub(super) fn to_json(&self) -> String {
        // A struct of texts and booleans always has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}
