//! The configuration: what it leaves out opens no door to guessers.

use identity::{Config, config::LOGINS_A_MINUTE};

/// How often one address may try to log in, in a minute.
fn logins(text: &str) -> Vec<u64> {
    let config: Config = tenon::config::parse(text, "identity.yaml".as_ref()).unwrap();
    let limits = config.rest.rate_limits.iter();
    let limits = limits.filter(|limit| limit.name == "login");
    limits.map(|limit| u64::from(limit.requests)).collect()
}

#[test]
fn logging_in_is_limited_whatever_else_is_said_of_the_door() {
    let usual = [u64::from(LOGINS_A_MINUTE)];
    assert_eq!(logins("name: identity"), usual);
    assert_eq!(
        logins("name: identity\nrest: { listen: 127.0.0.1:0 }"),
        usual
    );
    let other =
        "name: identity\nrest:\n  rateLimits:\n  - { name: all, by: route, requests: 9, per: 1s }";
    assert_eq!(logins(other), usual);
    let own = "name: identity\nrest:\n  rateLimits:\n  - { name: login, by: address, requests: 5, per: 60s }";
    assert_eq!(logins(own), [5]);
}
