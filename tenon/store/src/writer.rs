//! The one thread that writes: it takes what waits, runs each write in a savepoint of its own,
//! commits once, and only then acknowledges.
//!
//! Nothing that a closure saw or said inside the transaction is told to anyone before the commit
//! is on the disk: a refusal too may rest on a neighbour's change that is not kept after all.
//!
//! An interrupted change takes the whole transaction down. The interrupted write is then settled,
//! and the others are run again; that is why closures are `AsyncFn`.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use tenon_core::{Context, Error, Result, catalogue};
use tokio::sync::oneshot;

use crate::{
    Tx,
    batch::{self, RowWork},
    engine::{Engine, Fault},
    entries::{STORE_FAILED, STORE_FULL},
    shared::{Shared, awaited, panicked, poll_once},
    stats::Counters,
};

/// How long a statement of a write may run before its caller's absence interrupts it. An
/// interruption costs everyone in the batch a second run.
const PATIENCE: Duration = Duration::from_millis(20);

/// One thing to write.
pub(crate) enum Job {
    /// A closure; `alone` means in a transaction of its own.
    Closure { work: Box<dyn Work>, alone: bool },
    /// A row that may share a statement with others of its type.
    Row(Box<dyn RowWork>),
}

/// A closure with its result and the way back to its caller.
pub(crate) trait Work: Send {
    fn cx(&self) -> &Context;
    /// Runs the closure; whether what it did is to be kept.
    fn run(&mut self, tx: &mut Tx) -> Ran;
    /// Tells the caller: its own result after a commit, else the error.
    fn finish(self: Box<Self>, verdict: Result<()>, counters: &Counters);
}

/// How a closure ended.
pub(crate) enum Ran {
    Kept,
    /// It returned an error, which the caller gets after the commit.
    Refused,
    /// It broke the rules: the caller gets this error whatever becomes of the others.
    Broken(Error),
}

/// A write on its way through the queue.
pub(crate) struct Write<F, T> {
    pub(crate) cx: Context,
    pub(crate) closure: F,
    pub(crate) result: Option<Result<T>>,
    pub(crate) reply: oneshot::Sender<Result<T>>,
}

impl<F, T> Work for Write<F, T>
where
    F: AsyncFn(&mut Tx) -> Result<T> + Send + 'static,
    T: Send + 'static,
{
    fn cx(&self) -> &Context {
        &self.cx
    }

    fn run(&mut self, tx: &mut Tx) -> Ran {
        let Some(result) = poll_once((self.closure)(tx)) else {
            return Ran::Broken(awaited());
        };
        // A failed statement ends the transaction even if the closure overlooked it.
        let result = match tx.failure() {
            Some(error) if result.is_ok() => Err(error.clone()),
            _ => result,
        };
        let ran = if result.is_ok() {
            Ran::Kept
        } else {
            Ran::Refused
        };
        self.result = Some(result);
        ran
    }

    fn finish(self: Box<Self>, verdict: Result<()>, counters: &Counters) {
        let result = verdict.and(self.result.unwrap_or_else(|| Err(awaited())));
        counters.ended(result.is_ok());
        // A caller that left meanwhile is no reason to undo what is on the disk.
        let _ = self.reply.send(result);
    }
}

impl Job {
    pub(crate) fn alone(&self) -> bool {
        matches!(self, Self::Closure { alone: true, .. })
    }

    fn cx(&self) -> &Context {
        match self {
            Self::Closure { work, .. } => work.cx(),
            Self::Row(row) => row.cx(),
        }
    }

    fn finish(self, verdict: Result<()>, counters: &Counters) {
        match self {
            Self::Closure { work, .. } => work.finish(verdict, counters),
            Self::Row(row) => row.finish(verdict, counters),
        }
    }
}

/// The thread's own state.
pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    /// `None` only while a closure holds it.
    pub(crate) engine: Option<Box<Engine>>,
    /// Something in this transaction goes to the outbox.
    pub(crate) announces: bool,
}

/// A job of a batch.
pub(crate) struct Slot {
    pub(crate) job: Option<Job>,
    /// Its turn came once: from there on it is run to the end, caller or not.
    taken: bool,
}

/// Why a transaction is gone.
#[derive(Debug)]
pub(crate) enum Lost {
    /// The write that was interrupted is settled; the others can be run again.
    Interrupted,
    /// The commit was refused, by a constraint that is checked only there.
    Refused(Error),
    /// Nobody's work is kept, for this reason.
    All(Error),
    /// The same, and the store takes no further writes.
    Disk(Error),
}

impl Writer {
    /// Works until the queue is closed and empty, then hands the connection back.
    pub(crate) fn run(mut self) -> Option<Box<Engine>> {
        let shared = self.shared.clone();
        let most = shared.options.batch_max;
        while let Some(jobs) = shared.writes.take(most, Job::alone) {
            self.batch(jobs);
            if shared.wal.wants_finish()
                && let Some(engine) = &mut self.engine
            {
                crate::maintenance::checkpoint(engine, &shared);
            }
        }
        self.engine.take()
    }

    fn batch(&mut self, jobs: Vec<Job>) {
        let mut slots: Vec<Slot> = jobs.into_iter().map(Slot::new).collect();
        if self.shared.failed.is_cancelled() {
            return self.finish(slots, Err(STORE_FAILED.error()));
        }
        let verdict = loop {
            self.announces = false;
            match self.attempt(&mut slots) {
                Ok(()) => break Ok(()),
                Err(Lost::Interrupted) => {
                    self.roll_back();
                    if slots.iter().any(|slot| slot.job.is_some()) {
                        self.shared.counters.replays.add(1);
                    }
                }
                Err(Lost::Refused(error)) => {
                    self.roll_back();
                    if slots.len() == 1 {
                        break Err(error);
                    }
                    // One of them is to blame, so each gets a transaction of its own.
                    return slots
                        .into_iter()
                        .filter_map(|slot| slot.job)
                        .for_each(|job| self.batch(vec![job]));
                }
                Err(Lost::All(error)) => {
                    self.roll_back();
                    break Err(error);
                }
                Err(Lost::Disk(error)) => {
                    tracing::error!(
                        cause = error.cause_chain(),
                        "the store failed and takes no more writes"
                    );
                    self.shared.failed.cancel();
                    self.roll_back();
                    break Err(error);
                }
            }
        };
        if verdict.is_ok() && self.announces {
            self.shared.announced.notify_one();
        }
        self.finish(slots, verdict);
    }

    /// Runs what is not settled yet in one transaction and commits it.
    fn attempt(&mut self, slots: &mut [Slot]) -> Result<(), Lost> {
        self.drop_dead(slots);
        let live = slots.iter().filter(|slot| slot.job.is_some()).count();
        if live == 0 {
            return Ok(());
        }
        self.control("BEGIN IMMEDIATE")?;
        let mut rows = Vec::new();
        for (index, slot) in slots.iter_mut().enumerate() {
            if matches!(slot.job, Some(Job::Row(_))) {
                rows.push(index);
            } else if slot.is_due(&self.shared) {
                self.run_closure(slot, live > 1)?;
            }
        }
        if !rows.is_empty() {
            batch::run(self, slots, &rows)?;
        }
        if self.engine()?.is_idle() {
            return Ok(()); // A lone write was refused and is rolled back already.
        }
        self.control("COMMIT")?;
        self.shared.counters.commits.add(1);
        Ok(())
    }

    /// Settles those whose callers left before their turn, before a transaction begins for them.
    fn drop_dead(&self, slots: &mut [Slot]) {
        for slot in slots {
            if slot.is_due(&self.shared) {
                slot.taken |= matches!(slot.job, Some(Job::Row(_)));
            }
        }
    }

    fn run_closure(&mut self, slot: &mut Slot, savepoint: bool) -> Result<(), Lost> {
        let Some(Job::Closure { work, .. }) = &mut slot.job else {
            return Ok(());
        };
        slot.taken = true;
        if savepoint {
            self.control("SAVEPOINT one_write")?;
        }
        let Some(engine) = self.engine.take() else {
            return Err(Lost::Disk(STORE_FAILED.error()));
        };
        let watch = engine.watch().clone();
        watch.begin(work.cx(), PATIENCE);
        let mut tx = Tx::new(engine, work.cx().clone());
        let ran = catch_unwind(AssertUnwindSafe(|| work.run(&mut tx)));
        watch.end();
        let ran = ran.unwrap_or_else(|_| Ran::Broken(panicked()));
        let announces = tx.announces;
        let reason = tx.failure().cloned();
        self.engine = Some(tx.into_engine());
        let gone = self.judge(slot, reason)?;
        let kept = matches!(ran, Ran::Kept) && !gone;
        self.announces |= kept && announces;
        if let Ran::Broken(error) = ran {
            self.settle(slot, error);
        }
        match (savepoint, kept) {
            (true, false) => {
                self.control("ROLLBACK TO one_write")?;
                self.control("RELEASE one_write")
            }
            (true, true) => self.control("RELEASE one_write"),
            (false, false) => self.control("ROLLBACK"),
            (false, true) => Ok(()),
        }
    }

    /// Looks at what a closure's statements met. `Ok(true)`: it was interrupted and settled, but
    /// the transaction stands.
    fn judge(&mut self, slot: &mut Slot, reason: Option<Error>) -> Result<bool, Lost> {
        let engine = self.engine()?;
        let fault = engine.take_fault();
        let lost = engine.is_idle();
        match fault {
            Some(Fault::Full) => Err(Lost::All(reason.unwrap_or_else(|| STORE_FULL.error()))),
            Some(Fault::Disk) => Err(Lost::Disk(reason.unwrap_or_else(|| STORE_FAILED.error()))),
            Some(Fault::Interrupted) => {
                self.shared.counters.interrupted.add(1);
                self.settle(slot, reason.unwrap_or_else(|| catalogue::CANCELLED.error()));
                if lost {
                    Err(Lost::Interrupted)
                } else {
                    Ok(true)
                }
            }
            None if lost => Err(Lost::All(Error::internal(
                "write",
                "the engine ended the transaction by itself",
            ))),
            None => Ok(false),
        }
    }

    /// Tells one caller now, whatever becomes of the others.
    fn settle(&self, slot: &mut Slot, error: Error) {
        if let Some(job) = slot.job.take() {
            job.finish(Err(error), &self.shared.counters);
        }
    }

    fn finish(&self, slots: Vec<Slot>, verdict: Result<()>) {
        for job in slots.into_iter().filter_map(|slot| slot.job) {
            job.finish(verdict.clone(), &self.shared.counters);
        }
    }

    pub(crate) fn engine(&mut self) -> Result<&mut Engine, Lost> {
        self.engine
            .as_deref_mut()
            .ok_or_else(|| Lost::Disk(STORE_FAILED.error()))
    }

    /// Begins or ends a transaction or savepoint. A failure here is everybody's.
    pub(crate) fn control(&mut self, sql: &'static str) -> Result<(), Lost> {
        let engine = self.engine()?;
        let outcome = engine.control(sql);
        let fault = engine.take_fault();
        outcome.map_err(|error| match fault {
            Some(Fault::Full) => Lost::All(error),
            // A lock that another process holds delays the beginning; nothing was done yet.
            _ if error.is(&catalogue::UNAVAILABLE) && sql.starts_with("BEGIN") => Lost::All(error),
            None if error.is(&catalogue::INTERNAL) && sql == "COMMIT" => Lost::Refused(error),
            // Whatever else stops a commit: what is on the disk is unknown now.
            _ => {
                let cause = error.cause_chain().unwrap_or_default();
                Lost::Disk(STORE_FAILED.error().cause(cause))
            }
        })
    }

    fn roll_back(&mut self) {
        let Some(engine) = self.engine.as_deref_mut() else {
            return;
        };
        if !engine.is_idle()
            && let Err(error) = engine.control("ROLLBACK")
        {
            tracing::error!(cause = error.cause_chain(), "a rollback failed");
            self.shared.failed.cancel();
        }
        engine.take_fault();
    }
}

impl Slot {
    fn new(job: Job) -> Self {
        Self {
            job: Some(job),
            taken: false,
        }
    }

    /// Whether it is to be run. A job whose caller left before its first turn is settled untouched.
    fn is_due(&mut self, shared: &Shared) -> bool {
        if self.taken {
            return self.job.is_some();
        }
        let Some(job) = self.job.take_if(|job| job.cx().check().is_err()) else {
            return self.job.is_some();
        };
        let error = match job.cx().check() {
            Err(error) => error,
            Ok(()) => catalogue::CANCELLED.error(),
        };
        job.finish(Err(error), &shared.counters);
        false
    }
}
