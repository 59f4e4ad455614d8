//! Runs the service on port 8081; the trial service is expected on port 9102.

use std::process::ExitCode;

use tenon::config::{ClientConfig, ConfigError};

fn main() -> Result<ExitCode, ConfigError> {
    let trial = ClientConfig::to(["127.0.0.1:9102"]);
    progress::run("127.0.0.1:8081", "127.0.0.1:8895", &trial)
}
