//! The patient service through its doors: REST, and gRPC in the process and over a socket. The
//! trial service is a fake.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod canary;
mod create;
mod kit;
mod list;
mod moves;
mod neighbours;
