//! What keeps a service alive under load and faults: breaker, load shedding, limits, rate limits,
//! retries with a budget. One module each, with the source of its algorithm.
//!
//! Everything here is arithmetic over numbers and the clock of tokio; nothing knows HTTP servers
//! or clients. Time is passed in where a caller has read the clock already (`admit_at`), chance
//! comes from a [`Random`] with a seed, so that each rule is tested against its formula.

pub mod address;
mod admission;
pub mod breaker;
pub mod cpu;
mod criticality;
mod delay;
pub mod gate;
pub mod gradient;
mod guards;
pub mod layers;
mod limits;
mod queue;
mod random;
pub mod rate_limit;
pub mod retry;
mod shared;
pub mod shedder;
mod window;

pub use address::Network;
pub use breaker::{Breaker, Failures, Rejected};
pub use criticality::Criticality;
pub use gate::{Gate, Place, Refusal};
pub use gradient::Limit;
pub use guards::{Change, DoorGuards, Prepared};
pub use limits::{Key, Limiter, Quota};
pub use random::Random;
pub use retry::{Allowance, Budget, Retry};
pub use shedder::Shedder;
