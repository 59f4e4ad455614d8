//! The `tenon` command: the only room with arguments, disk writes and a process exit.
//!
//! Exit codes: 0 good, 1 findings or failure, 2 called wrongly. What was done goes to stdout,
//! findings and failures to stderr.

mod arguments;
mod contract;
mod disk;
mod generate;
mod new;
mod profile;
mod report;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Api, Arguments, Command, Rpc};

fn main() -> ExitCode {
    // clap itself answers --help with 0 and a wrong call with 2.
    let arguments = Arguments::parse();
    match run(arguments.command) {
        Ok(good) => ExitCode::from(u8::from(!good)),
        Err(problem) => {
            report::failure(&problem);
            ExitCode::FAILURE
        }
    }
}

/// Runs a command; whether it found everything good.
fn run(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Gen { dir, check, tenon } => generate::project(&dir, check, tenon.as_deref()),
        Command::Api(Api::Validate { api }) => contract::validate(&api),
        Command::Api(Api::Rust { api, dir, tenon }) => contract::api(&api, &dir, tenon.as_deref()),
        Command::Api(Api::New { name, dir, tenon }) => new::api(&name, dir, tenon.as_deref()),
        Command::Rpc(Rpc::Rust {
            proto,
            includes,
            dir,
            tenon,
        }) => contract::rpc(&proto, &includes, &dir, tenon.as_deref()),
        Command::Profile {
            url,
            seconds,
            out,
            token_file,
            full,
        } => {
            let order = profile::Order {
                url: &url,
                seconds,
                out: &out,
                token_file: token_file.as_deref(),
                full,
            };
            profile::take(&order).map(|()| true)
        }
        Command::Rpc(Rpc::New { name, dir, tenon }) => new::rpc(&name, dir, tenon.as_deref()),
    }
}
