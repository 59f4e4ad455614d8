//! The test kit: a proxy that injects faults of the network between two real programs, an
//! authority that issues certificates, and ports that stay free.

pub mod authority;
mod fault_proxy;
mod fixed_port;

pub use fault_proxy::{FaultProxy, Faults};
pub use fixed_port::fixed_port;
