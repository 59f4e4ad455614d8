//! The service through its public doors, with neighbours that the test tells what to answer.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod alerts;
mod configuration;
mod failures;
mod house;
mod lists;
mod questionnaires;
mod refusals;
mod replays;
mod reports;
mod submissions;
