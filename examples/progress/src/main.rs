//! Runs the service on port 8081; the trial service is expected on port 9102.

use std::{process::ExitCode, time::Duration};

use tenon::config::{ClientConfig, ConfigError};

fn main() -> Result<ExitCode, ConfigError> {
    let trial = ClientConfig {
        endpoints: vec!["127.0.0.1:9102".to_owned()],
        timeout: Duration::from_secs(2),
    };
    progress::run("127.0.0.1:8081", &trial)
}
