// Scaffolded by tenon once; yours to edit.
//! Runs the service alone.

use hello::Config;

fn main() -> std::process::ExitCode {
    tenon::main("etc/hello.yaml", |config: Config| async move {
        let log = config.log.clone();
        hello::build(config).await?.process(&log)
    })
}
