//! The store through its public door.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test as the test itself does"
)]

mod audit;
mod backup;
mod batch;
mod crash;
mod fixture;
mod migrate;
mod outbox;
mod read;
mod seal;
mod write;
