//! The platform as it is shipped: the static program in an empty root, the manifests, the unit.
//!
//! No cluster is needed. What a test needs and does not find, it names in
//! one line that begins with `skipped:`.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking and tells its figures on standard output"
)]

mod container;
mod files;
mod image;
mod root;
mod unit;

use std::process::{Command, Output};

/// Runs a command to its end; `None` where the program is not on this machine.
fn run(command: &mut Command) -> Option<Output> {
    match command.output() {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            println!(
                "skipped: {} is not installed",
                command.get_program().display()
            );
            None
        }
        output => Some(output.unwrap()),
    }
}

/// Standard output and standard error together, for the eyes.
fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}
