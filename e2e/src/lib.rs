//! One end-to-end suite, run against one process and against separate ones.
//!
//! The suite starts the `cohort` binary as an operator would, talks to it as clients do, over
//! HTTP and gRPC, and looks at what it left behind: data, logs and metrics. A scenario does not
//! know which arrangement it runs against, unless it is about the difference.
//!
//! What everybody may do stands in two tables, `access/rest.txt` and `access/rpc.txt`: a route or
//! a method that is not in them fails the suite.

#![expect(
    clippy::unwrap_used,
    reason = "the crate is a test: a failed unwrap is a failed test"
)]
#![expect(
    clippy::print_stdout,
    reason = "the suite tells its results on standard output"
)]

mod canary;
mod cast;
mod collector;
mod contract;
mod http;
pub mod phq9;
mod raw;
mod run;
mod scenarios;
mod secrets;
mod table;
mod trail;
mod world;

pub use run::main;
pub use world::{Arrangement, cohort};
