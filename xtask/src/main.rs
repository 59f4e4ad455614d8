//! Checks of this repository, run as `cargo xtask tidy`.
//!
//! What the compiler, clippy and rustfmt cannot see is checked here: the direction of
//! dependency between the rooms, what a file opens with, which words never enter the tree.

mod tidy;
mod tree;
mod workspace;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

const USAGE: &str = "usage: cargo xtask tidy\n  tidy  check what the compiler cannot: layers, headers, names, words\n";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["tidy"] => run_tidy(),
        ["help" | "--help" | "-h"] => print(USAGE).map(|()| ExitCode::SUCCESS),
        _ => {
            let _ = std::io::stderr().write_all(USAGE.as_bytes());
            return ExitCode::from(2);
        }
    };
    outcome.unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "error: {error:#}");
        ExitCode::FAILURE
    })
}

/// Runs all checks and prints one line per finding; 1 when there is any.
fn run_tidy() -> anyhow::Result<ExitCode> {
    let root = repository_root()?;
    let tree = tree::Tree::read(&root)?;
    let members = workspace::members(&root)?;
    let findings = tidy::check(&tree, &members)?;
    for finding in &findings {
        print(&format!("{finding}\n"))?;
    }
    if findings.is_empty() {
        print(&format!(
            "tidy: {} files, {} crates: clean\n",
            tree.files.len(),
            members.len()
        ))?;
        return Ok(ExitCode::SUCCESS);
    }
    print(&format!("tidy: {} findings\n", findings.len()))?;
    Ok(ExitCode::FAILURE)
}

fn repository_root() -> anyhow::Result<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent()
        .map(Path::to_path_buf)
        .context("the folder of xtask has no parent")
}

fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("could not write to standard output")
}
