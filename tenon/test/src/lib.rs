//! The test kit: a proxy that injects faults of the network.

pub mod authority;
