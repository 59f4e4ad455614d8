//! The suite against `cohort up`: the whole platform in one process.

use std::process::ExitCode;

fn main() -> ExitCode {
    e2e::main(e2e::Arrangement::OneProcess)
}
