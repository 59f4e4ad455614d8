//! The suite against `cohort serve`: each service as a process of its own, behind the gateway.

use std::process::ExitCode;

fn main() -> ExitCode {
    e2e::main(e2e::Arrangement::SeparateProcesses)
}
