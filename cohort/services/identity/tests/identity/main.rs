//! The service through its public doors: REST, RPC, and what the operator does on the machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failure here is the failure of a test"
)]

mod accounts;
mod config;
mod grants;
mod keys;
mod login;
mod logout;
mod passwords;
mod platform;
mod refresh;
mod setup;
mod trail;
