//! The caller of a request in Cohort: who it is, which grants its token carries, and what they
//! allow. Every service asks here, at its doors by permission and in its logic by object; the
//! table itself is `clinical::access`.

mod act;
mod caller;
mod page;

pub use act::Act;
pub use caller::{ACCOUNT_SELF, Caller, Rules, claim};
pub use clinical::access::{Grant, Listing, Own, Permission, Reach, Role, Scope, may};
pub use page::{after, merge};
