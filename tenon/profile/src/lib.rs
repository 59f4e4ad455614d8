//! CPU and heap profiles in the format of pprof, and flame graphs: the only crate with `unsafe`.
//!
//! The doors wrap each request with [`labelled`] and call the service's code through [`handler`],
//! so that a profile tells which route it was and starts at the service's own functions.

mod in_flight;
mod label;

pub use in_flight::{InFlight, Request, list as requests_in_flight};
pub use label::{Handler, Label, Labelled, handler, labelled};
