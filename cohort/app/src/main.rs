//! The `cohort` command: the platform in one process (`up`) or one service of it (`serve`), and
//! what its operators do with the data.
//!
//! Exit codes: 0 good, 1 findings or a failure, 2 called wrongly.

mod account;
mod api;
mod archive;
mod arguments;
mod audit;
mod compose;
mod data;
mod demo;
mod health;
mod import;
mod keys;
mod screen;
mod serve;
mod up;

use std::process::ExitCode;

use arguments::{AccountCommand, Arguments, AuditCommand, Command};
use clap::Parser;

/// How a command that ran to its end came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing to complain about.
    Good,
    /// It found, and printed, what it was to look for; or it could not do all of its work.
    Findings,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(usage) => {
            // Help goes to standard output with 0, a mistake to standard error with 2.
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    match run(arguments.command) {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Findings) => ExitCode::FAILURE,
        Err(problem) => {
            tenon::telemetry::logs::flush();
            screen::tell(format_args!("error: {problem:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Up(arguments) if arguments.check => {
            up::check(&arguments)?;
            screen::say("sound");
            Ok(Outcome::Good)
        }
        Command::Up(arguments) => up::run(&arguments),
        Command::Serve {
            service,
            config,
            check: true,
        } => serve::check(service, &config),
        Command::Serve {
            service, config, ..
        } => serve::run(service, &config),
        Command::Import(import) => import::run(&import),
        Command::Audit {
            command: AuditCommand::Verify { data },
        } => audit::verify(&data),
        Command::Backup { data, out } => archive::backup(&data, &out),
        Command::Restore { from, data } => archive::restore(&from, &data),
        Command::Account {
            command: AccountCommand::Reset { username, data },
        } => account::reset(&username, &data),
        Command::Health { admin } => health::ask(&admin),
        Command::Keys { out } => keys::make(&out),
        Command::Version => {
            screen::say(concat!("cohort ", env!("CARGO_PKG_VERSION")));
            Ok(Outcome::Good)
        }
    }
}
