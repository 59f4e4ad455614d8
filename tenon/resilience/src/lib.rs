//! What keeps a service alive under load and faults: breaker, load shedding, limits, rate limits,
//! retries with a budget. One module each, with the source of its algorithm.
//!
//! Everything here is arithmetic over numbers and the clock of tokio; nothing knows HTTP servers
//! or clients. Time is passed in where a caller has read the clock already (`admit_at`), chance
//! comes from a [`Random`] with a seed, so that each rule is tested against its formula.

pub mod breaker;
pub mod gradient;
mod random;
pub mod retry;
mod window;

pub use breaker::{Breaker, Failures, Rejected};
pub use gradient::Limit;
pub use random::Random;
pub use retry::{Budget, Retry};
