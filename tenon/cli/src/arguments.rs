//! What can be asked of `tenon`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Services from contracts: REST from `.api`, gRPC from `.proto`.
#[derive(Debug, Parser)]
#[command(name = "tenon", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// REST contracts, `.api`.
    #[command(subcommand)]
    Api(Api),
    /// gRPC contracts, `.proto`.
    #[command(subcommand)]
    Rpc(Rpc),
    /// Writes what the contracts named in tenon.toml ask for.
    Gen {
        /// The folder of tenon.toml.
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// Writes nothing; fails when anything would change.
        #[arg(long)]
        check: bool,
        /// The checkout of Tenon that a new project depends on.
        #[arg(long, value_name = "PATH")]
        tenon: Option<PathBuf>,
    },
    /// Takes a CPU profile of a running service: a flame graph, or a file for pprof.
    Profile {
        /// Its admin address, such as http://127.0.0.1:8889; with user:password@ for admin.auth.
        url: String,
        /// How long to sample.
        #[arg(long, default_value_t = 10.0)]
        seconds: f64,
        /// Where to: .svg for a flame graph, .pb.gz for pprof, .folded or .json.
        #[arg(long, value_name = "FILE", default_value = "flame.svg")]
        out: PathBuf,
        /// A file with the token of admin.auth.bearer.
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
        /// With the frames of the runtime below the service's code.
        #[arg(long)]
        full: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Api {
    /// Reads a contract and everything that it imports, and says what is wrong.
    Validate {
        /// The contract.
        #[arg(long, value_name = "FILE")]
        api: PathBuf,
    },
    /// Makes a service of a contract; the same as `tenon gen` once tenon.toml is there.
    Rust {
        /// The contract.
        #[arg(long, value_name = "FILE")]
        api: PathBuf,
        /// The folder of the service.
        #[arg(long, default_value = ".")]
        dir: PathBuf,
        /// The checkout of Tenon that a new project depends on.
        #[arg(long, value_name = "PATH")]
        tenon: Option<PathBuf>,
    },
    /// Starts a service with a first contract in a new folder.
    New {
        /// The name of the service.
        name: String,
        /// The folder; by default the name.
        #[arg(long)]
        dir: Option<PathBuf>,
        /// The checkout of Tenon that the project depends on.
        #[arg(long, value_name = "PATH")]
        tenon: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Rpc {
    /// Makes a service of a contract; the same as `tenon gen` once tenon.toml is there.
    Rust {
        /// The contract.
        #[arg(long, value_name = "FILE")]
        proto: PathBuf,
        /// A folder in which imports are looked up; may be given several times.
        #[arg(short = 'I', long = "include", value_name = "DIR")]
        includes: Vec<PathBuf>,
        /// The folder of the service.
        #[arg(long, default_value = ".")]
        dir: PathBuf,
        /// The checkout of Tenon that a new project depends on.
        #[arg(long, value_name = "PATH")]
        tenon: Option<PathBuf>,
    },
    /// Starts a service with a first contract in a new folder.
    New {
        /// The name of the service.
        name: String,
        /// The folder; by default the name.
        #[arg(long)]
        dir: Option<PathBuf>,
        /// The checkout of Tenon that the project depends on.
        #[arg(long, value_name = "PATH")]
        tenon: Option<PathBuf>,
    },
}
