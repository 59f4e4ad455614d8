//! The test kit: a proxy that injects faults of the network between two real programs, and an
//! authority that issues certificates.

pub mod authority;
mod fault_proxy;

pub use fault_proxy::{FaultProxy, Faults};
