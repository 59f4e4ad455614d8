//! The rows that are printed, in their order.

use clap::ValueEnum;

use crate::{Plan, process::Issuer};

mod durable;
mod local;
mod memory;
mod overload;
mod patients;
mod profile;
mod rest;
mod rpc;
mod start;

/// A group of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Row {
    /// A generated GET and POST beside bare axum.
    Rest,
    /// A generated call beside bare tonic.
    Rpc,
    /// A list of 300 patients over each door.
    Patients,
    /// A neighbour in the same process beside one across the network.
    Local,
    /// Memory of idle connections, and all of them at once.
    Memory,
    /// Durable submissions through the whole platform.
    Durable,
    /// Ten times what a service can do.
    Overload,
    /// How long a process takes until it is ready.
    Start,
    /// What a CPU profile costs while it is taken.
    Profile,
}

/// Measures and prints the chosen rows, or all.
pub(crate) async fn print(plan: &Plan, only: &[Row]) -> anyhow::Result<()> {
    let chosen = |row| only.is_empty() || only.contains(&row);
    let issuer = Issuer::new()?;
    if chosen(Row::Rest) {
        rest::print(plan, &issuer).await?;
    }
    if chosen(Row::Rpc) {
        rpc::print(plan, &issuer).await?;
    }
    if chosen(Row::Patients) {
        patients::print(plan, &issuer).await?;
    }
    if chosen(Row::Local) {
        local::print(plan, &issuer).await?;
    }
    if chosen(Row::Memory) {
        memory::print(plan, &issuer).await?;
    }
    if chosen(Row::Durable) {
        durable::print(plan).await?;
    }
    if chosen(Row::Overload) {
        overload::print(plan, &issuer).await?;
    }
    if chosen(Row::Start) {
        start::print(plan)?;
    }
    if chosen(Row::Profile) {
        profile::print(plan, &issuer).await?;
    }
    Ok(())
}
