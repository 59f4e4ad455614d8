//! The ports that the processes get. They stay the same when a process is started again.

use std::collections::BTreeMap;

use tenon_test::fixed_port;

use super::SERVICES;

/// The doors of all processes.
#[derive(Debug)]
pub(crate) struct Ports(BTreeMap<String, u16>);

impl Ports {
    /// Ports that are free now.
    pub(super) fn free() -> Self {
        let mut doors = Vec::new();
        for service in SERVICES.into_iter().chain(["trial_2"]) {
            for door in ["rest", "rpc", "admin"] {
                doors.push(format!("{service}.{door}"));
            }
        }
        for service in ["gateway", "gateway_2", "progress"] {
            doors.push(format!("{service}.rest"));
            doors.push(format!("{service}.admin"));
        }
        doors.push("up.admin".to_owned());
        Self(doors.into_iter().map(|door| (door, fixed_port())).collect())
    }

    /// The port of a door, as `patient.rpc`.
    pub(crate) fn port(&self, door: &str) -> u16 {
        self.0[door]
    }

    /// `host:port` of a door.
    pub(crate) fn address(&self, door: &str) -> String {
        format!("127.0.0.1:{}", self.port(door))
    }

    /// The address of the REST door of a process.
    pub(crate) fn rest(&self, process: &str) -> String {
        format!("http://{}", self.address(&format!("{process}.rest")))
    }

    /// The address of the admin server of a process.
    pub(crate) fn admin(&self, process: &str) -> String {
        format!("http://{}", self.address(&format!("{process}.admin")))
    }
}
