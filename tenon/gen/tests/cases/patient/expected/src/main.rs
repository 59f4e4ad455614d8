// Scaffolded by tenon once; yours to edit.
//! Runs the service alone.

use patient::Config;

fn main() -> std::process::ExitCode {
    tenon::main("etc/patient.yaml", |config: Config| async move {
        let log = config.log.clone();
        patient::build(config).await?.process(&log)
    })
}
