//! Rate limits that all instances of a service count together, in Redis.
//!
//! The bucket of `rate_limit` in a Lua script, which Redis runs as one step and on its own
//! clock, so that instances need not agree on the time. Without Redis each instance counts for
//! itself: a service that refused everybody because its counter is away would be down for a
//! reason that hurts nobody. That is told once, and once more when it is back.

#[cfg(feature = "redis")]
mod store;
#[cfg(feature = "redis")]
pub(crate) use store::Shared;

#[cfg(not(feature = "redis"))]
pub(crate) use missing::Shared;

#[cfg(not(feature = "redis"))]
mod missing {
    use tenon_core::config::{ConfigError, SharedLimitsConfig};

    use crate::{Key, Limiter, rate_limit::Decision};

    /// No store was built in, so there never is one of these.
    #[derive(Debug)]
    pub(crate) enum Shared {}

    impl Shared {
        pub(crate) fn new(section: &str, _: &SharedLimitsConfig) -> Result<Self, ConfigError> {
            let problem = "sharedLimits needs the feature `redis` of the toolkit; \
                build the service with it, or take the section out";
            Err(ConfigError::new(section, problem))
        }

        pub(crate) async fn take(&self, _: &Limiter, _: Key<'_>) -> Option<Decision> {
            match *self {}
        }

        pub(crate) fn is_up(&self) -> bool {
            match *self {}
        }
    }
}
