//! The file that documents the configuration is one that the service takes.

use std::{path::Path, time::Duration};

use epro::Config;

#[test]
fn the_documented_configuration_holds_the_defaults() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/epro.yaml");
    let config: Config = tenon::config::load(&file).unwrap();
    let defaults = Config::new("epro");
    assert_eq!(config.rest.listen.port(), 8103);
    assert_eq!(config.rpc.listen.port(), 9103);
    assert_eq!(config.rest.max_bytes, defaults.rest.max_bytes);
    assert_eq!(config.rpc.max_bytes, defaults.rpc.max_bytes);
    assert_eq!(config.store.batch_max, defaults.store.batch_max);
    assert_eq!(config.assignments_kept_for, Duration::from_secs(5));
    assert_eq!(config.auth.audience.as_deref(), Some("cohort"));
    assert!(config.clients.contains_key("patient") && config.clients.contains_key("trial"));
}
