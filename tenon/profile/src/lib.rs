//! CPU and heap profiles in the format of pprof, and flame graphs: the only crate with `unsafe`.
//!
//! [`Profiler`] answers what is asked below `/debug/pprof/`; the admin server mounts it and decides
//! who may ask. The doors wrap each request with [`labelled`] and call the service's code through
//! [`handler`], so that a profile tells which route it was and starts at the service's own
//! functions.
//!
//! A CPU profile is taken by timers of the kernel on the CPU time of each thread; the signal
//! handler unwinds with framehop what is interrupted. Nothing runs, and nothing is installed, until
//! somebody asks.

#[cfg_attr(
    not(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    )),
    path = "elsewhere.rs"
)]
mod sampler;

mod cmdline;
mod endpoint;
mod flame;
mod goroutine;
mod heap;
mod image;
mod in_flight;
mod label;
mod pprof;
mod profile;
mod refusal;
mod stacks;
mod symbols;
mod tree;
mod trim;

pub use endpoint::{Ask, BODY_BYTES_MAX, Profiler};
pub use in_flight::{InFlight, Request, list as requests_in_flight};
pub use label::{Handler, Label, Labelled, handler, labelled};
pub use pprof::proto;

/// Warns if the program has no symbols, in which case profiles have no names. To be called once at
/// start; reads the headers of the program's file only.
pub fn warn_if_stripped() {
    if !symbols::program_has_names() {
        tracing::warn!(
            "the program has no symbols, so that profiles have no names: set strip = false and \
             debug = \"limited\" in [profile.release]"
        );
    }
}
