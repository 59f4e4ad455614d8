//! The configurations of the separate processes.

use std::path::Path;

use super::Ports;

/// Writes one file a process into the folder `etc`; `more` are sections that all of them have.
pub(super) fn write(ports: &Ports, data: &Path, etc: &Path, more: &str) {
    let keys = data.join("keys");
    let (data, keys) = (data.display(), keys.display());
    let doors = |name: &str| {
        format!(
            "name: {name}\n\
             rest: {{ listen: {rest} }}\n\
             rpc: {{ listen: {rpc} }}\n\
             admin: {{ listen: {admin} }}\n\
             store: {{ path: {data}/{name}.db }}\n",
            rest = ports.address(&format!("{name}.rest")),
            rpc = ports.address(&format!("{name}.rpc")),
            admin = ports.address(&format!("{name}.admin")),
        )
    };
    let edge = |name: &str| {
        format!(
            "rest: {{ listen: {} }}\nadmin: {{ listen: {} }}\n",
            ports.address(&format!("{name}.rest")),
            ports.address(&format!("{name}.admin")),
        )
    };
    let auth = format!(
        "auth:\n  keys: [{{ file: {keys}/jwks.json }}]\n  issuer: cohort\n  audience: cohort\n"
    );
    let client = |name: &str| {
        let address = ports.address(&format!("{name}.rpc"));
        format!("  {name}: {{ endpoints: [\"{address}\"], timeout: 2s }}\n")
    };
    let place = |name: &str| {
        let address = ports.address(&format!("{name}.rest"));
        format!("  {name}: {{ endpoints: [\"{address}\"] }}\n")
    };
    let (patient, trial) = (client("patient"), client("trial"));
    let places: String = super::SERVICES.map(place).concat();
    for (name, text) in [
        (
            "identity",
            format!("{}keys: {{ dir: {keys} }}\n", doors("identity")),
        ),
        (
            "trial",
            format!("{}{auth}clients:\n{patient}", doors("trial")),
        ),
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
        ("progress", format!("{}clients:\n{trial}", edge("progress"))),
        (
            "gateway",
            format!("{}{auth}services:\n{places}", edge("gateway")),
        ),
        (
            "gateway_2",
            format!("{}{auth}services:\n{places}", edge("gateway_2")),
        ),
    ] {
        std::fs::write(etc.join(format!("{name}.yaml")), text + more).unwrap();
    }
}
