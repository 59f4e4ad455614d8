//! A value that may be replaced while it is read: limits and levels that an operator changes
//! without a restart.

use std::{fmt, sync::Arc};

use arc_swap::ArcSwap;

/// A shared value that may be replaced at run time. Cheap to clone: all clones are one value.
/// Reading takes no lock; whoever read the value before it was replaced keeps the old one.
///
/// ```
/// use tenon_core::Live;
///
/// let limit = Live::new(100);
/// let shared = limit.clone();
/// shared.store(200);
/// assert_eq!(*limit.load(), 200);
/// ```
pub struct Live<T> {
    value: Arc<ArcSwap<T>>,
}

impl<T> Live<T> {
    /// Starts with `value`.
    pub fn new(value: T) -> Self {
        let value = Arc::new(ArcSwap::from_pointee(value));
        Self { value }
    }

    /// The value as it is now.
    pub fn load(&self) -> Arc<T> {
        self.value.load_full()
    }

    /// Looks at the value as it is now, without keeping it: the cheaper way on a hot path.
    pub fn with<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.value.load())
    }

    /// Replaces the value for everybody.
    pub fn store(&self, value: T) {
        self.value.store(Arc::new(value));
    }
}

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        let value = self.value.clone();
        Self { value }
    }
}

impl<T: Default> Default for Live<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.load().fmt(f)
    }
}
