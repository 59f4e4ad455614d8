//! The open loop: calls are due at times fixed beforehand, whether or not earlier ones were
//! answered, and their latency runs from the time when they were due. A server that stalls is so
//! charged with every call that had to wait meanwhile.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::anyhow;
use hdrhistogram::Histogram;
use tokio::{sync::mpsc, task::JoinSet};

use super::{Caller, Sample, histogram, nanoseconds};
use crate::process::{self, Process};

/// The finest step of the pacer. Waking it for every call would cost more than the calls.
const STEP: Duration = Duration::from_micros(200);

/// What an open loop adds to a sample.
pub(crate) struct Paced {
    /// Calls answered inside the window, from the time they were due.
    pub(crate) sample: Sample,
    /// Calls that were due but not answered when the window ended.
    pub(crate) backlog: u64,
}

/// Calls at `rate` a second in all, as a Poisson process, spread over the callers in turn.
pub(crate) async fn open<C: Caller>(
    callers: Vec<C>,
    process: &Process,
    rate: f64,
    window: Duration,
) -> anyhow::Result<(Vec<C>, Paced)> {
    let mut queues = Vec::with_capacity(callers.len());
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    let until = began + window;
    for caller in callers {
        // Never longer than the schedule, which is finite.
        let (queue, due) = mpsc::unbounded_channel();
        queues.push(queue);
        tasks.spawn(answer(caller, due, until));
    }
    let (server, client) = (process.cpu()?, process::own_cpu()?);
    let schedule = schedule(rate, window);
    let planned = schedule.len() as u64;
    let pacer = thread::spawn(move || pace(&schedule, began, &queues));
    tokio::time::sleep_until(until.into()).await;
    let mut sample = Sample {
        operations: 0,
        elapsed: began.elapsed(),
        server: process.cpu()?.saturating_sub(server),
        client: process::own_cpu()?.saturating_sub(client),
        latency: histogram()?,
    };
    pacer.join().map_err(|_| anyhow!("the pacer panicked"))?;
    let mut callers = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        let (caller, latency, in_time) = ended??;
        // All calls count for latency, those after the window as well: they were due in it.
        sample.latency.add(latency)?;
        sample.operations += in_time;
        callers.push(caller);
    }
    let backlog = planned - sample.operations;
    Ok((callers, Paced { sample, backlog }))
}

type Answered<C> = anyhow::Result<(C, Histogram<u64>, u64)>;

/// Makes the calls of one caller, one after the other.
async fn answer<C: Caller>(
    mut caller: C,
    mut due: mpsc::UnboundedReceiver<Instant>,
    until: Instant,
) -> Answered<C> {
    let mut latency = histogram()?;
    let mut in_time = 0;
    while let Some(intended) = due.recv().await {
        caller.call().await?;
        let now = Instant::now();
        latency.saturating_record(nanoseconds(now - intended));
        in_time += u64::from(now <= until);
    }
    Ok((caller, latency, in_time))
}

/// When each call is due, counted from the beginning: the same in every run.
pub(crate) fn schedule(rate: f64, window: Duration) -> Arc<[Duration]> {
    let mut random: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut at = 0.0;
    let mut times = Vec::new();
    loop {
        // xorshift64 (Marsaglia 2003), of which 53 bits make a number in (0, 1].
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let uniform = ((random >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        at += -uniform.ln() / rate;
        if at >= window.as_secs_f64() {
            return times.into();
        }
        times.push(Duration::from_secs_f64(at));
    }
}

/// Hands every call to its caller when it is due; a thread of its own, because timers of the
/// runtime are no finer than a millisecond.
pub(crate) fn pace(
    schedule: &[Duration],
    began: Instant,
    queues: &[mpsc::UnboundedSender<Instant>],
) {
    for (number, at) in schedule.iter().enumerate() {
        let due = began + *at;
        let now = Instant::now();
        if due > now {
            thread::sleep((due - now).max(STEP));
        }
        // A caller that failed tells so itself.
        let _ = queues
            .get(number % queues.len())
            .map(|queue| queue.send(due));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_keeps_its_rate_and_repeats() {
        let once = schedule(1000.0, Duration::from_secs(10));
        assert!((9_700..10_300).contains(&once.len()), "{}", once.len());
        assert!(once.is_sorted());
        assert_eq!(once, schedule(1000.0, Duration::from_secs(10)));
    }
}
