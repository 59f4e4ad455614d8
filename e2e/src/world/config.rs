//! The configurations of the separate processes.

use std::path::{Path, PathBuf};

use super::{Neighbours, Ports, SERVICES};

/// Writes one file a process into the folder `etc`; `more` are sections that all of them have.
pub(super) fn write(ports: &Ports, data: &Path, etc: &Path, neighbours: &Neighbours, more: &str) {
    let parts = Parts {
        ports,
        data,
        keys: data.join("keys"),
        neighbours,
    };
    let (patient, trial) = (parts.client("patient"), parts.client("trial"));
    let (auth, keys) = (parts.auth(), parts.keys.display());
    let places: String = SERVICES.map(|name| parts.place(name)).concat();
    let trials = |name| format!("{}{auth}clients:\n{patient}", parts.doors(name, "trial"));
    let edge = |name| format!("{}{auth}services:\n{places}", parts.edge(name));
    let doors = |name| parts.doors(name, name);
    for (name, text) in [
        (
            "identity",
            format!("{}keys: {{ dir: {keys} }}\n", doors("identity")),
        ),
        ("trial", trials("trial")),
        ("trial_2", trials("trial_2")),
        (
            "patient",
            format!(
                "{}{auth}clients:\n{trial}keyring: {keys}/patient.keys\n",
                doors("patient")
            ),
        ),
        (
            "epro",
            format!("{}{auth}clients:\n{patient}{trial}", doors("epro")),
        ),
        (
            "progress",
            format!("{}clients:\n{trial}", parts.edge("progress")),
        ),
        ("gateway", edge("gateway")),
        ("gateway_2", edge("gateway_2")),
    ] {
        std::fs::write(etc.join(format!("{name}.yaml")), text + more).unwrap();
    }
}

/// What the files are put together from.
struct Parts<'a> {
    ports: &'a Ports,
    data: &'a Path,
    keys: PathBuf,
    neighbours: &'a Neighbours,
}

impl Parts<'_> {
    /// The doors and the store of a process that serves `service`. A second instance has its
    /// store in a folder of its own.
    fn doors(&self, process: &str, service: &str) -> String {
        let door = |door| self.ports.address(&format!("{process}.{door}"));
        let folder = match process == service {
            true => self.data.to_owned(),
            false => self.data.join("second"),
        };
        format!(
            "name: {service}\n\
             {registration}\
             rest: {{ listen: {rest} }}\n\
             rpc: {{ listen: {rpc} }}\n\
             admin: {{ listen: {admin} }}\n\
             store: {{ path: {folder}/{service}.db }}\n",
            registration = self.registration(service),
            rest = door("rest"),
            rpc = door("rpc"),
            admin = door("admin"),
            folder = folder.display(),
        )
    }

    /// The doors of a process without a store.
    fn edge(&self, process: &str) -> String {
        let door = |door| self.ports.address(&format!("{process}.{door}"));
        format!(
            "rest: {{ listen: {} }}\nadmin: {{ listen: {} }}\n",
            door("rest"),
            door("admin"),
        )
    }

    fn auth(&self) -> String {
        let keys = self.keys.display();
        format!(
            "auth:\n  keys: [{{ file: {keys}/jwks.json }}]\n  issuer: cohort\n  audience: cohort\n"
        )
    }

    /// How a service is found by others.
    fn registration(&self, service: &str) -> String {
        match self.neighbours {
            Neighbours::InEtcd(host) => format!(
                "registration: {{ etcd: {{ hosts: [\"{host}\"], key: cohort/{service} }} }}\n"
            ),
            // The cluster knows its pods; they need the delay that it takes to tell of their end.
            Neighbours::InKubernetes(_) => "registration: { drainDelay: 2s }\n".to_owned(),
            Neighbours::Fixed => String::new(),
        }
    }

    /// A service in the section `clients`.
    fn client(&self, service: &str) -> String {
        let source = self.source(service, "rpc");
        format!("  {service}: {{ {source}, timeout: 2s }}\n")
    }

    /// A service behind the gateway.
    fn place(&self, service: &str) -> String {
        format!("  {service}: {{ {} }}\n", self.source(service, "rest"))
    }

    fn source(&self, service: &str, door: &str) -> String {
        match self.neighbours {
            Neighbours::InEtcd(host) => {
                format!("etcd: {{ hosts: [\"{host}\"], key: cohort/{service}/{door} }}")
            }
            // The cluster knows of `trial` alone. Its pods are on other machines, as a rule.
            Neighbours::InKubernetes(server) if service == "trial" && door == "rpc" => format!(
                "kubernetes: {{ service: trial, namespace: cohort, port: grpc, \
                 server: \"{server}\" }}, plaintext: allowed"
            ),
            Neighbours::Fixed | Neighbours::InKubernetes(_) => {
                let address = self.ports.address(&format!("{service}.{door}"));
                format!("endpoints: [\"{address}\"]")
            }
        }
    }
}
