//! What the handles and the threads of one [`crate::Db`] share.

use std::{
    cell::Cell,
    collections::HashMap,
    future::Future,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use tenon_core::{Error, Result, catalogue};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    Options,
    engine::Engine,
    entries::STORE_FAILED,
    maintenance::Wal,
    queue::{Queue, Refused},
    reader::ReadWork,
    stats::Counters,
    writer::Job,
};

/// How long a slow query is kept off its callers' threads.
const SLOW: Duration = Duration::from_secs(10);

/// Shared by the handles and the threads.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) writes: Queue<Job>,
    pub(crate) reads: Queue<Box<dyn ReadWork>>,
    pub(crate) counters: Counters,
    /// Cancelled when the disk failed: no write is accepted any more.
    pub(crate) failed: CancellationToken,
    /// A commit put events into the outbox.
    pub(crate) announced: Notify,
    pub(crate) wal: Wal,
    /// Connections for keyed reads on the caller's own thread.
    inline: Mutex<Vec<Engine>>,
    /// Queries that turned out to be no keyed reads, and until when they are remembered.
    slow: Mutex<HashMap<usize, Instant>>,
}

impl Shared {
    pub(crate) fn new(options: Options, inline: Vec<Engine>) -> Self {
        Self {
            writes: Queue::new(options.queue_max),
            reads: Queue::new(options.queue_max),
            counters: Counters::default(),
            failed: CancellationToken::new(),
            announced: Notify::new(),
            wal: Wal::new(options.log_bytes),
            inline: Mutex::new(inline),
            slow: Mutex::new(HashMap::new()),
            options,
        }
    }

    /// Puts a write into the queue.
    pub(crate) fn submit(&self, job: Job) -> Result<()> {
        if self.failed.is_cancelled() {
            return Err(STORE_FAILED.error());
        }
        self.writes.push(job).map_err(refused)
    }

    /// A free connection for a keyed read.
    pub(crate) fn borrow_inline(&self) -> Option<Engine> {
        self.inline().pop()
    }

    pub(crate) fn give_back(&self, engine: Engine) {
        self.inline().push(engine);
    }

    /// Whether a query took long on its caller's thread a moment ago.
    pub(crate) fn is_slow(&self, sql: &'static str) -> bool {
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        let key = sql.as_ptr().addr();
        let Some(until) = slow.get(&key) else {
            return false;
        };
        let still = *until > Instant::now();
        if !still {
            slow.remove(&key);
        }
        still
    }

    /// Remembers such a query. Not for ever: a cold page can make a keyed read slow once.
    pub(crate) fn remember_slow(&self, sql: &'static str) {
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        slow.insert(sql.as_ptr().addr(), Instant::now() + SLOW);
    }

    pub(crate) fn drop_inline(&self) {
        self.inline().clear();
    }

    fn inline(&self) -> MutexGuard<'_, Vec<Engine>> {
        self.inline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a caller is told whose work a queue did not take.
pub(crate) fn refused(why: Refused) -> Error {
    match why {
        Refused::Full => catalogue::OVERLOADED
            .error()
            .retry_after(Duration::from_secs(1)),
        Refused::Closed => catalogue::UNAVAILABLE.error(),
    }
}

thread_local! {
    /// This thread is running a closure for the store.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Runs a closure's future to its end, which on this engine it reaches in one go. `None` when it
/// waits for something else.
pub(crate) fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    struct Leave(bool);
    impl Drop for Leave {
        fn drop(&mut self) {
            INSIDE.set(self.0);
        }
    }
    let _leave = Leave(INSIDE.replace(true));
    let mut cx = std::task::Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut cx) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Refuses the store's own doors to a closure that the store is running: what they did would
/// stand outside its transaction.
pub(crate) fn outside() -> Result<()> {
    if INSIDE.get() {
        return Err(Error::internal(
            "call the store",
            "a closure called the store again; inside a write or read only its tx or rx may be used",
        ));
    }
    Ok(())
}

/// The error of a closure that awaited what is not its transaction.
pub(crate) fn awaited() -> Error {
    Error::internal(
        "run a closure of the store",
        "it awaited something other than its tx or rx; await everything else before or after it",
    )
}

/// The error of a closure that panicked.
pub(crate) fn panicked() -> Error {
    Error::internal("run a closure of the store", "it panicked")
}
