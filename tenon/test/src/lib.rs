//! The test kit: a proxy that injects faults of the network between two real programs, an
//! authority that issues certificates, an etcd of the system, an API server of Kubernetes, and ports
//! that stay free.

pub mod api_server;
pub mod authority;
pub mod etcd;
mod fault_proxy;
mod fixed_port;

pub use fault_proxy::{FaultProxy, Faults};
pub use fixed_port::fixed_port;
