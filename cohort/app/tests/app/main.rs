//! The command as its users have it: as processes, on sockets and folders of their own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod archive;
mod crash;
mod deployed;
mod import;
mod platform;
mod release;
mod separate;
mod start;
mod trail;
mod watched;
