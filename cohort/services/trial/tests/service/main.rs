//! The trial service through its doors: REST, and gRPC in the process and over a socket. The
//! patient service is a fake.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod kit;
mod neighbours;
mod progress;
mod sites;
mod studies;
