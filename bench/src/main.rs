//! The figures of this repository, side by side in one run on one machine: `make bench`.
//!
//! Every server under test is a process of its own (this program, called again), so that its CPU
//! time is read for it alone; contestants take turns, and what is printed is the median over the
//! turns of a ratio, with the lowest and highest. Absolute rates belong to the machine; ratios
//! and CPU per operation are the figures to trust. Nothing here passes or fails by a time.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

mod contest;
mod load;
mod machine;
mod median;
mod process;
mod rows;
mod server;

use std::{process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};

/// Figures of Tenon and Cohort beside their bare peers.
#[derive(Parser)]
#[command(name = "bench")]
struct Arguments {
    /// Fewer and shorter rounds: under two minutes.
    #[arg(long)]
    quick: bool,
    /// Only these rows.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<rows::Row>,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// Serves one of the contestants; the program calls itself so.
    #[command(hide = true)]
    Serve {
        #[arg(value_enum)]
        kind: server::Kind,
        #[arg(long)]
        keys: std::path::PathBuf,
    },
}

/// How long and how often is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// How often each contestant has its turn.
    pub(crate) rounds: usize,
    /// What passes of each turn before counting begins.
    pub(crate) warm_up: Duration,
    /// How long is counted.
    pub(crate) window: Duration,
    /// How often the whole platform has its turn.
    pub(crate) platform_rounds: usize,
    /// How long is counted then; what it stores must be read again for the proof.
    pub(crate) platform_window: Duration,
    /// How often each contestant of the start row is started.
    pub(crate) starts: usize,
    /// How many connections the memory row opens, where the limit of open files allows.
    pub(crate) connections: usize,
}

impl Plan {
    fn new(quick: bool) -> Self {
        if quick {
            Self {
                rounds: 3,
                warm_up: Duration::from_millis(150),
                window: Duration::from_millis(500),
                platform_rounds: 1,
                platform_window: Duration::from_millis(1500),
                starts: 20,
                connections: 10_000,
            }
        } else {
            Self {
                rounds: 5,
                warm_up: Duration::from_millis(500),
                window: Duration::from_secs(2),
                platform_rounds: 3,
                platform_window: Duration::from_secs(4),
                starts: 100,
                connections: 10_000,
            }
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.role {
        Some(Role::Serve { kind, keys }) => server::serve(kind, keys),
        None => measure(&Plan::new(arguments.quick), &arguments.only),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            // Standard error of a server under test is its access log.
            println!("failed: {problem:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(plan: &Plan, only: &[rows::Row]) -> anyhow::Result<()> {
    let before = machine::Moment::now()?;
    machine::print_header(&before)?;
    // One worker, as the servers have: two threads a side would measure the scheduler.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(rows::print(plan, only))?;
    machine::print_footer(&before)
}
