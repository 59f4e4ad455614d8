//! The ports that the processes get. They stay the same when a process is started again.

use std::{collections::BTreeMap, net::TcpListener};

use super::SERVICES;

/// Below the range that the system gives to outgoing connections, so that none of them takes the
/// port of a process that is down for a moment.
const RANGE: std::ops::Range<u16> = 18_000..30_000;

/// The doors of all processes.
#[derive(Debug)]
pub(crate) struct Ports(BTreeMap<String, u16>);

impl Ports {
    /// Ports that are free now.
    pub(super) fn free() -> Self {
        let mut doors = Vec::new();
        for service in SERVICES {
            for door in ["rest", "rpc", "admin"] {
                doors.push(format!("{service}.{door}"));
            }
        }
        for service in ["gateway", "gateway_2", "progress"] {
            doors.push(format!("{service}.rest"));
            doors.push(format!("{service}.admin"));
        }
        doors.push("up.admin".to_owned());
        let width = RANGE.end - RANGE.start;
        let first = u16::try_from(std::process::id() % u32::from(width)).unwrap();
        let mut turn = (0..width).map(|step| RANGE.start + (first + step * 7) % width);
        let mut next = || {
            turn.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
                .unwrap()
        };
        Self(doors.into_iter().map(|door| (door, next())).collect())
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
