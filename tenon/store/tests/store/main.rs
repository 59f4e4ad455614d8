//! The store through its public door.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper fails its test as the test itself does; a process tells its acknowledgements"
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
mod trace;
mod write;
