//! Load on a server: closed loops, in which every caller waits for its answer before it asks
//! again, for CPU per operation; and open ones, whose calls are due at times fixed beforehand, for
//! latency.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::{
    Plan,
    machine::micros,
    process::{self, Process},
};

pub(crate) mod http;
pub(crate) mod open;
pub(crate) mod steady;

/// One that calls a server and checks what it is answered.
pub(crate) trait Caller: Send + 'static {
    /// Calls once. Whatever is not the answer that the server owes is an error, and ends the run.
    fn call(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// What was measured in one window.
pub(crate) struct Sample {
    /// Calls that were answered inside the window.
    pub(crate) operations: u64,
    /// The window.
    pub(crate) elapsed: Duration,
    /// The CPU time of the server in it.
    pub(crate) server: Duration,
    /// The CPU time of the callers in it.
    pub(crate) client: Duration,
    /// Nanoseconds from call to answer.
    pub(crate) latency: Histogram<u64>,
}

impl Sample {
    /// Calls a second.
    pub(crate) fn rate(&self) -> f64 {
        self.operations as f64 / self.elapsed.as_secs_f64()
    }

    /// Microseconds of the server's CPU time for one call.
    pub(crate) fn server_cpu(&self) -> f64 {
        micros(self.server) / self.operations as f64
    }

    /// Microseconds of the callers' CPU time for one call.
    pub(crate) fn client_cpu(&self) -> f64 {
        micros(self.client) / self.operations as f64
    }

    /// Microseconds of CPU time on both sides for one call.
    pub(crate) fn cpu(&self) -> f64 {
        self.server_cpu() + self.client_cpu()
    }

    /// A quantile of the latency, in microseconds.
    pub(crate) fn quantile(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1000.0
    }
}

/// What all callers of a run share.
#[derive(Default)]
pub(crate) struct Gauge {
    stop: AtomicBool,
    counts: AtomicBool,
    done: AtomicU64,
}

impl Gauge {
    /// Ends the run after the calls in flight.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Nanoseconds up to a minute, with an error below one per cent.
pub(crate) fn histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000_000, 2)?)
}

/// A closed loop of all callers, as long as the plan says; gives them back with the sample.
pub(crate) async fn closed<C: Caller>(
    callers: Vec<C>,
    process: &Process,
    plan: &Plan,
) -> anyhow::Result<(Vec<C>, Sample)> {
    closed_for(callers, process, plan.warm_up, plan.window).await
}

/// [`closed`] with other times.
pub(crate) async fn closed_for<C: Caller>(
    callers: Vec<C>,
    process: &Process,
    warm_up: Duration,
    window: Duration,
) -> anyhow::Result<(Vec<C>, Sample)> {
    let gauge = Arc::new(Gauge::default());
    let mut tasks = start(callers, &gauge)?;
    let measured = async {
        tokio::time::sleep(warm_up).await;
        let (server, client) = (process.cpu()?, process::own_cpu()?);
        let (began, done) = (Instant::now(), gauge.done.load(Ordering::Relaxed));
        gauge.counts.store(true, Ordering::Relaxed);
        tokio::time::sleep(window).await;
        gauge.counts.store(false, Ordering::Relaxed);
        Ok::<_, anyhow::Error>(Sample {
            operations: gauge.done.load(Ordering::Relaxed) - done,
            elapsed: began.elapsed(),
            server: process.cpu()?.saturating_sub(server),
            client: process::own_cpu()?.saturating_sub(client),
            latency: histogram()?,
        })
    };
    let mut sample = tokio::select! {
        // A caller that ends before it was told to has failed: the others would wait in vain.
        Some(early) = tasks.join_next() => {
            early??;
            anyhow::bail!("a caller ended before its time");
        }
        sample = measured => sample?,
    };
    gauge.stop();
    let mut callers = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        let (caller, latency) = ended??;
        sample.latency.add(latency)?;
        callers.push(caller);
    }
    Ok((callers, sample))
}

type Ended<C> = anyhow::Result<(C, Histogram<u64>)>;

/// Starts every caller of a closed loop; they run until the gauge says stop.
pub(crate) fn start<C: Caller>(
    callers: Vec<C>,
    gauge: &Arc<Gauge>,
) -> anyhow::Result<JoinSet<Ended<C>>> {
    let mut tasks = JoinSet::new();
    for mut caller in callers {
        let gauge = gauge.clone();
        let mut latency = histogram()?;
        tasks.spawn(async move {
            while !gauge.stop.load(Ordering::Relaxed) {
                let began = Instant::now();
                caller.call().await?;
                gauge.done.fetch_add(1, Ordering::Relaxed);
                if gauge.counts.load(Ordering::Relaxed) {
                    latency.saturating_record(nanoseconds(began.elapsed()));
                }
            }
            Ok((caller, latency))
        });
    }
    Ok(tasks)
}

/// As the histograms hold it.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
