//! The threads that read, each with a connection of its own, and keyed reads on the caller's
//! thread.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rusqlite::InterruptHandle;
use tenon_core::{Context, Result};
use tokio::sync::oneshot;

use crate::{
    Rx,
    engine::{Engine, Fault},
    shared::{Shared, awaited, panicked, poll_once},
};

/// How long a read may hold the caller's own thread. Longer ones are moved to a reader thread.
const INLINE: Duration = Duration::from_millis(1);

/// A read with the way back to its caller.
pub(crate) trait ReadWork: Send {
    fn cx(&self) -> &Context;
    fn leash(&self) -> &Arc<Leash>;
    /// Runs the closure; its result waits for [`ReadWork::finish`].
    fn run(&mut self, rx: &mut Rx);
    fn finish(self: Box<Self>, verdict: Result<()>);
}

/// By which the caller stops a read that it no longer waits for.
#[derive(Default)]
pub(crate) struct Leash {
    abandoned: Arc<AtomicBool>,
    running: Mutex<Option<Arc<InterruptHandle>>>,
}

impl Leash {
    /// Stops the statement that runs, also in the few steps that no progress handler sees.
    pub(crate) fn pull(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        // While the lock is held the connection cannot go on to another caller's statement.
        if let Some(handle) = running.as_ref() {
            handle.interrupt();
        }
    }

    fn tie(&self, handle: Option<Arc<InterruptHandle>>) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = handle;
    }
}

/// Pulls the leash unless the read came to its end.
pub(crate) struct Hold(pub(crate) Arc<Leash>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.pull();
    }
}

pub(crate) struct Read<F, T> {
    pub(crate) cx: Context,
    pub(crate) closure: F,
    pub(crate) leash: Arc<Leash>,
    pub(crate) result: Option<Result<T>>,
    pub(crate) reply: oneshot::Sender<Result<T>>,
}

impl<F, T> ReadWork for Read<F, T>
where
    F: AsyncFn(&mut Rx) -> Result<T> + Send + 'static,
    T: Send + 'static,
{
    fn cx(&self) -> &Context {
        &self.cx
    }

    fn leash(&self) -> &Arc<Leash> {
        &self.leash
    }

    fn run(&mut self, rx: &mut Rx) {
        let result = poll_once((self.closure)(rx)).unwrap_or_else(|| Err(awaited()));
        self.result = Some(match rx.failure() {
            Some(error) if result.is_ok() => Err(error.clone()),
            _ => result,
        });
    }

    fn finish(self: Box<Self>, verdict: Result<()>) {
        let result = verdict.and(self.result.unwrap_or_else(|| Err(awaited())));
        let _ = self.reply.send(result);
    }
}

/// Serves reads until the queue is closed and empty.
pub(crate) fn serve(shared: &Shared, mut engine: Box<Engine>) {
    while let Some(reads) = shared.reads.take(1, |_| false) {
        for read in reads {
            engine = serve_one(shared, engine, read);
        }
    }
}

fn serve_one(shared: &Shared, engine: Box<Engine>, mut read: Box<dyn ReadWork>) -> Box<Engine> {
    let leash = read.leash().clone();
    if let Err(error) = read.cx().check() {
        read.finish(Err(error));
        return engine;
    }
    if leash.abandoned.load(Ordering::Relaxed) {
        return engine;
    }
    let cx = read.cx().clone();
    let watch = engine.watch().clone();
    let mut rx = Rx::new(engine, cx.clone());
    watch.begin(&cx, Duration::ZERO);
    watch.heed(&leash.abandoned);
    leash.tie(Some(rx.engine().interrupt_handle()));
    // One transaction, so that all statements of the closure see one state.
    let begun = rx.engine().control("BEGIN");
    let verdict = match begun {
        Ok(()) => catch_unwind(AssertUnwindSafe(|| read.run(&mut rx))).map_err(|_| panicked()),
        Err(error) => Err(error),
    };
    leash.tie(None);
    watch.end();
    let mut engine = rx.into_engine();
    if engine.take_fault() == Some(Fault::Interrupted) {
        shared.counters.interrupted.add(1);
    }
    if !engine.is_idle()
        && let Err(error) = engine.control("ROLLBACK")
    {
        tracing::error!(cause = error.cause_chain(), "a read could not be ended");
    }
    read.finish(verdict);
    engine
}

/// Tries a keyed read on the caller's own thread. `None` when no connection is free or it takes
/// longer than a keyed read should: a thread has to do it.
///
/// A thread costs a keyed read 30 to 40 µs of CPU, ten times the read. What is risked instead is
/// that a page must come from the disk while the caller's thread waits, for a tenth of a
/// millisecond. A query that took long goes to the threads at once for a while: counting a table
/// is one step to the engine, in which it cannot be stopped.
pub(crate) fn inline<T>(
    shared: &Shared,
    cx: &Context,
    sql: &'static str,
    query: impl FnOnce(&mut Engine) -> Result<T>,
) -> Option<Result<T>> {
    if shared.is_slow(sql) {
        return None;
    }
    let mut engine = shared.borrow_inline()?;
    let began = Instant::now();
    let watch = engine.watch().clone();
    watch.begin(cx, Duration::ZERO);
    watch.limit(INLINE);
    let outcome = query(&mut engine);
    let gave_up = engine.take_fault() == Some(Fault::Interrupted) && watch.reason().is_none();
    watch.end();
    shared.give_back(engine);
    if gave_up || began.elapsed() > INLINE * 4 {
        shared.remember_slow(sql);
    }
    (!gave_up).then_some(outcome)
}
