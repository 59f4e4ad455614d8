//! Runs the scenarios one after the other against one platform and tells how each came out.

use std::{
    env,
    future::Future,
    io::{self, Write},
    panic::AssertUnwindSafe,
    pin::Pin,
    process::ExitCode,
    time::{Duration, Instant},
};

use futures_util::FutureExt;

use crate::{
    scenarios,
    world::{Arrangement, World},
};

/// How long one scenario may take. One that hangs must not hang whoever waits for the suite.
const LIMIT: Duration = Duration::from_secs(180);

/// How a scenario came out that did not fail.
pub(crate) enum Outcome {
    /// All is as it should be.
    Passed,
    /// All is as it should be, and these are the figures.
    Measured(String),
    /// It does not apply here, and why.
    Skipped(String),
}

type Work<'w> = Pin<Box<dyn Future<Output = Outcome> + 'w>>;

/// A scenario: its name and what it does.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) play: for<'w> fn(&'w World) -> Work<'w>,
}

/// Runs the suite. Arguments are those of `cargo test`: words that names must contain, `--exact`,
/// `--skip WORD` and `--list`.
pub fn main(arrangement: Arrangement) -> ExitCode {
    let Choice { list, chosen } = choose(env::args().skip(1));
    if list {
        for scenario in chosen {
            say(format_args!("{}: test", scenario.name));
        }
        return ExitCode::SUCCESS;
    }
    if chosen.is_empty() {
        return ExitCode::SUCCESS;
    }
    // Where it was and what was wrong is enough; a stack shows only what drives the scenarios.
    std::panic::set_hook(Box::new(|panic| say(format_args!("{panic}"))));
    say(format_args!("\nrunning {} scenarios", chosen.len()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let failed = runtime.block_on(suite(arrangement, &chosen));
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    say(format_args!("failed: {}", failed.join(", ")));
    ExitCode::FAILURE
}

/// Plays the scenarios against one platform, in their order. Returns the names of those that
/// failed.
async fn suite(arrangement: Arrangement, chosen: &[Scenario]) -> Vec<&'static str> {
    let began = Instant::now();
    let world = World::start(arrangement).await;
    say(format_args!(
        "{arrangement} started in {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    let mut failed = Vec::new();
    for scenario in chosen {
        if !play(&world, scenario).await {
            failed.push(scenario.name);
            world.keep();
            world.heal().await;
        }
    }
    say(format_args!(
        "{}: {} of {} scenarios failed, {:.1} s\n",
        arrangement,
        failed.len(),
        chosen.len(),
        began.elapsed().as_secs_f64()
    ));
    failed
}

async fn play(world: &World, scenario: &Scenario) -> bool {
    let began = Instant::now();
    let work = AssertUnwindSafe((scenario.play)(world)).catch_unwind();
    let outcome = tokio::time::timeout(LIMIT, work).await;
    let (word, remark) = match outcome {
        Ok(Ok(Outcome::Passed)) => ("ok", String::new()),
        Ok(Ok(Outcome::Measured(figures))) => ("ok", format!(": {figures}")),
        Ok(Ok(Outcome::Skipped(why))) => ("skipped", format!(": {why}")),
        // The panic has told what was wrong.
        Ok(Err(_)) => ("FAILED", String::new()),
        Err(_) => ("FAILED", format!(": not done within {LIMIT:?}")),
    };
    let (name, seconds) = (scenario.name, began.elapsed().as_secs_f64());
    say(format_args!(
        "test {name} ... {word} ({seconds:.1} s){remark}"
    ));
    word != "FAILED"
}

/// Which scenarios to run.
struct Choice {
    list: bool,
    chosen: Vec<Scenario>,
}

fn choose(mut arguments: impl Iterator<Item = String>) -> Choice {
    let (mut words, mut skipped) = (Vec::new(), Vec::new());
    let (mut list, mut exact) = (false, false);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--list" => list = true,
            "--exact" => exact = true,
            "--skip" => skipped.extend(arguments.next()),
            // Options of the usual test program that mean nothing here.
            "--test-threads" | "--format" | "--color" => drop(arguments.next()),
            other if other.starts_with('-') => {}
            _ => words.push(argument),
        }
    }
    let fits = |name: &str, word: &String| match exact {
        true => name == word,
        false => name.contains(word.as_str()),
    };
    let all = scenarios::ALL.iter();
    let chosen = all.filter(|scenario| {
        let wanted = words.is_empty() || words.iter().any(|word| fits(scenario.name, word));
        wanted && !skipped.iter().any(|word| fits(scenario.name, word))
    });
    Choice {
        list,
        chosen: chosen.copied().collect(),
    }
}

/// A line that is seen at once, also when the output is a file.
fn say(line: std::fmt::Arguments<'_>) {
    println!("{line}");
    let _ = io::stdout().flush();
}
