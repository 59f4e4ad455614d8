//! The [`Context`] of a call: its deadline, its cancellation, its trace, its caller, and values
//! keyed by their type. It is the first argument of every door, logic function, client call and
//! store call.

use std::{
    any::{Any, TypeId},
    fmt,
    future::Future,
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{Error, Principal, Result, TraceContext, catalogue};

/// What accompanies a call. Cheap to clone; a child can only narrow its parent: its deadline is
/// never later, and a cancelled parent cancels it.
///
/// ```
/// # use std::time::Duration;
/// # use tenon_core::Context;
/// let cx = Context::background().with_timeout(Duration::from_secs(30));
/// assert!(cx.with_timeout(Duration::from_secs(60)).remaining().unwrap() <= Duration::from_secs(30));
/// ```
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    deadline: Option<Instant>,
    cancel: CancellationToken,
    trace: TraceContext,
    /// What other tracers keep in the trace.
    trace_state: Option<Arc<str>>,
    principal: Option<Arc<Principal>>,
    values: Option<Arc<Node>>,
}

/// Values are few, so a list is faster than a map.
struct Node {
    key: TypeId,
    value: Arc<dyn Any + Send + Sync>,
    next: Option<Arc<Node>>,
}

impl Context {
    /// A context that no caller stands behind: no deadline, a new trace. For background work,
    /// start-up and tests; a request's context comes from its door.
    pub fn background() -> Self {
        Self {
            inner: Arc::new(Inner {
                deadline: None,
                cancel: CancellationToken::new(),
                trace: TraceContext::new(),
                trace_state: None,
                principal: None,
                values: None,
            }),
        }
    }

    /// The context of a call that came in from outside, and the guard that its door holds while
    /// the caller listens. For doors: one allocation where the single steps take four.
    pub fn incoming(trace: TraceContext, deadline: Option<Instant>) -> (Self, CancelGuard) {
        let cancel = CancellationToken::new();
        let guard = CancelGuard {
            _guard: cancel.clone().drop_guard(),
        };
        let inner = Inner {
            deadline,
            cancel,
            trace,
            trace_state: None,
            principal: None,
            values: None,
        };
        let inner = Arc::new(inner);
        (Self { inner }, guard)
    }

    /// The same context, to end after `timeout` at the latest.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.with_deadline(deadline),
            None => self.clone(),
        }
    }

    /// The same context, to end at `deadline` at the latest.
    #[must_use]
    pub fn with_deadline(&self, deadline: Instant) -> Self {
        let soonest = self
            .inner
            .deadline
            .map_or(deadline, |parent| parent.min(deadline));
        self.derive(|inner| inner.deadline = Some(soonest))
    }

    /// A child that is cancelled on its own when the guard is dropped.
    pub fn with_cancel(&self) -> (Self, CancelGuard) {
        let cancel = self.inner.cancel.child_token();
        let guard = CancelGuard {
            _guard: cancel.clone().drop_guard(),
        };
        (self.derive(|inner| inner.cancel = cancel), guard)
    }

    /// The same context under another trace and span.
    #[must_use]
    pub fn with_trace(&self, trace: TraceContext) -> Self {
        self.derive(|inner| inner.trace = trace)
    }

    /// The same context with what other tracers keep in its trace (`tracestate`), which is passed
    /// on with every call and never read.
    #[must_use]
    pub fn with_trace_state(&self, state: impl Into<Arc<str>>) -> Self {
        self.derive(|inner| inner.trace_state = Some(state.into()))
    }

    /// The same context with its verified caller.
    #[must_use]
    pub fn with_principal(&self, principal: Arc<Principal>) -> Self {
        self.derive(|inner| inner.principal = Some(principal))
    }

    /// The same context with a value under its type; it hides an earlier one of the same type.
    #[must_use]
    pub fn with_value<T: Any + Send + Sync>(&self, value: T) -> Self {
        self.derive(|inner| {
            let next = inner.values.take();
            let node = Node {
                key: TypeId::of::<T>(),
                value: Arc::new(value),
                next,
            };
            inner.values = Some(Arc::new(node));
        })
    }

    /// The value of type `T`.
    pub fn value<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let mut node = self.inner.values.as_ref();
        while let Some(current) = node {
            if current.key == TypeId::of::<T>() {
                return current.value.clone().downcast().ok();
            }
            node = current.next.as_ref();
        }
        None
    }

    /// When the call must have ended.
    pub fn deadline(&self) -> Option<Instant> {
        self.inner.deadline
    }

    /// The time left; zero when it ran out, `None` without a deadline.
    pub fn remaining(&self) -> Option<Duration> {
        let now = Instant::now();
        self.inner
            .deadline
            .map(|deadline| deadline.saturating_duration_since(now))
    }

    /// The trace and span of the call.
    pub fn trace(&self) -> &TraceContext {
        &self.inner.trace
    }

    /// What other tracers keep in the trace.
    pub fn trace_state(&self) -> Option<&str> {
        self.inner.trace_state.as_deref()
    }

    /// The verified caller, if the door demanded one.
    pub fn principal(&self) -> Option<&Arc<Principal>> {
        self.inner.principal.as_ref()
    }

    /// The verified caller, or `TOKEN_MISSING`.
    pub fn caller(&self) -> Result<&Arc<Principal>> {
        self.principal()
            .ok_or_else(|| catalogue::TOKEN_MISSING.error())
    }

    /// Fails when the call was cancelled or its time ran out. For loops that compute: the
    /// non-blocking `select` of Go.
    pub fn check(&self) -> Result<()> {
        if self.inner.cancel.is_cancelled() {
            return Err(catalogue::CANCELLED.error());
        }
        match self.inner.deadline {
            Some(deadline) if deadline <= Instant::now() => {
                Err(catalogue::DEADLINE_EXCEEDED.error())
            }
            _ => Ok(()),
        }
    }

    /// Waits until the call is cancelled or its time runs out, and says which.
    pub async fn cancelled(&self) -> Error {
        let expired = async {
            match self.inner.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.inner.cancel.cancelled() => catalogue::CANCELLED.error(),
            () = expired => catalogue::DEADLINE_EXCEEDED.error(),
        }
    }

    /// Runs `work` until it ends, the call is cancelled, or its time runs out. Work that does not
    /// end is dropped.
    pub async fn run<F: Future>(&self, work: F) -> Result<F::Output> {
        self.check()?;
        tokio::select! {
            biased;
            output = work => Ok(output),
            error = self.cancelled() => Err(error),
        }
    }

    /// Whether the call was cancelled; its deadline is not looked at.
    pub fn is_cancelled(&self) -> bool {
        self.inner.cancel.is_cancelled()
    }

    /// The token below the context, to share with code that knows only tokens.
    pub fn cancellation(&self) -> &CancellationToken {
        &self.inner.cancel
    }

    fn derive(&self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Inner::clone(&self.inner);
        change(&mut inner);
        Self {
            inner: Arc::new(inner),
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("trace", &self.inner.trace)
            .field("remaining", &self.remaining())
            .field("cancelled", &self.is_cancelled())
            .field("principal", &self.inner.principal)
            .finish_non_exhaustive()
    }
}

/// Cancels its context when it is dropped: the door holds it while the caller listens.
#[must_use = "dropping the guard cancels the context"]
#[derive(Debug)]
pub struct CancelGuard {
    _guard: DropGuard,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_child_never_outlives_its_parent() {
        let parent = Context::background().with_timeout(Duration::from_secs(5));
        let child = parent.with_timeout(Duration::from_secs(60));
        assert_eq!(child.remaining(), Some(Duration::from_secs(5)));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(child.check().unwrap_err().is(&catalogue::DEADLINE_EXCEEDED));
        let outcome = child.run(std::future::ready(1)).await;
        assert!(outcome.unwrap_err().is(&catalogue::DEADLINE_EXCEEDED));
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_runs_out_drops_the_work() {
        let cx = Context::background().with_timeout(Duration::from_millis(100));
        let started = Instant::now();
        let error = cx.run(std::future::pending::<()>()).await.unwrap_err();
        assert!(error.is(&catalogue::DEADLINE_EXCEEDED));
        assert_eq!(started.elapsed(), Duration::from_millis(100));
    }

    #[tokio::test]
    async fn a_dropped_guard_cancels_the_child_and_not_the_parent() {
        let parent = Context::background();
        let (child, guard) = parent.with_cancel();
        let grandchild = child.with_timeout(Duration::from_secs(60));
        drop(guard);
        assert!(grandchild.cancelled().await.is(&catalogue::CANCELLED));
        assert!(parent.check().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_incoming_call_ends_with_its_guard_or_its_deadline() {
        let trace = TraceContext::new();
        let deadline = Instant::now() + Duration::from_secs(1);
        let (cx, guard) = Context::incoming(trace, Some(deadline));
        assert_eq!((cx.trace(), cx.deadline()), (&trace, Some(deadline)));
        drop(guard);
        assert!(cx.cancelled().await.is(&catalogue::CANCELLED));
        let (cx, _guard) = Context::incoming(trace, Some(deadline));
        assert!(cx.cancelled().await.is(&catalogue::DEADLINE_EXCEEDED));
    }

    #[test]
    fn values_are_found_by_type_and_hidden_by_later_ones() {
        #[derive(Debug, PartialEq)]
        struct Site(u8);
        let cx = Context::background().with_value(Site(1)).with_value("text");
        assert_eq!(cx.value::<Site>().as_deref(), Some(&Site(1)));
        assert_eq!(
            cx.with_value(Site(2)).value::<Site>().as_deref(),
            Some(&Site(2))
        );
        assert!(cx.value::<u8>().is_none());
    }
}
