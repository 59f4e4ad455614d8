//! The guards of a door: built from a configuration, changed by another one while it is open.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

use std::time::Duration;

use tenon_core::{
    Error, catalogue,
    config::{Guards, RestConfig},
};
use tenon_resilience::{Criticality, DoorGuards, Key, Place, Quota};
use tokio::time::Instant;

fn config(text: &str) -> Guards {
    let path = std::path::Path::new("etc/test.yaml");
    let config: RestConfig = tenon_core::config::parse(text, path).unwrap();
    config.guards()
}

fn places() -> Vec<Place> {
    let place = |name: &str| Place {
        name: name.into(),
        criticality: Criticality::Normal,
        time: Some(Duration::from_secs(3)),
        places: None,
    };
    vec![place("POST /login"), place("GET /patient/:id")]
}

const LIMITS: &str = concat!(
    "rateLimits:\n",
    "  - {name: login, by: address, requests: 2, per: 1m, routes: ['POST /login']}\n",
    "  - {name: all, by: principal, requests: 100}\n",
);

async fn take(guards: &DoorGuards, route: usize, name: &str, key: Key<'_>) -> Quota {
    let limits = guards.limits(route).unwrap();
    let limiter = limits.iter().find(|limiter| limiter.name() == name);
    let limiter = limiter.unwrap();
    limiter.quota(limiter.take(key, Instant::now()).await)
}

#[tokio::test(start_paused = true)]
async fn limits_hold_for_their_routes_and_tell_their_state() {
    let guards = DoorGuards::new("test rest", &config(LIMITS), places()).unwrap();
    assert_eq!(guards.limits(0).unwrap().len(), 2);
    assert_eq!(guards.limits(1).unwrap().len(), 1);
    let home = Key::Address("192.0.2.1".parse().unwrap());
    let first = take(&guards, 0, "login", home).await;
    assert_eq!(first.policy(), r#""login";q=2;w=60"#);
    assert_eq!(first.state(), r#""login";r=1;t=30"#);
    assert!(first.refusal().is_none());
    take(&guards, 0, "login", home).await;
    let third = take(&guards, 0, "login", home).await;
    let error: Error = third.refusal().unwrap();
    assert!(error.is(&catalogue::RATE_LIMITED));
    assert_eq!(error.retry_delay(), Some(Duration::from_secs(30)));
    let away = Key::Address("192.0.2.2".parse().unwrap());
    assert!(take(&guards, 0, "login", away).await.refusal().is_none());
    // All addresses of one network of IPv6 are one client.
    for (address, free) in [
        ("2001:db8::1", true),
        ("2001:db8::2", true),
        ("2001:db8::3", false),
    ] {
        let key = Key::Address(address.parse().unwrap());
        let quota = take(&guards, 0, "login", key).await;
        assert_eq!(quota.refusal().is_none(), free, "{address}");
    }
    // One bucket over both routes.
    for _ in 0..50 {
        take(&guards, 0, "all", Key::Principal("nurse-1")).await;
        take(&guards, 1, "all", Key::Principal("nurse-1")).await;
    }
    let over = take(&guards, 1, "all", Key::Principal("nurse-1")).await;
    assert!(over.refusal().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_change_is_told_and_buckets_that_stay_keep_their_state() {
    let guards = DoorGuards::new("test rest", &config(LIMITS), places()).unwrap();
    let home = Key::Address("192.0.2.1".parse().unwrap());
    for _ in 0..2 {
        take(&guards, 0, "login", home).await;
    }
    let changed = concat!(
        "breaker: false\n",
        "failures: [INTERNAL, UNIMPLEMENTED]\n",
        "maxInFlight: 50\n",
        "shedding: {cpuThreshold: 800}\n",
        "rateLimits:\n",
        "  - {name: login, by: address, requests: 2, per: 1m, routes: ['POST /login']}\n",
        "  - {name: all, by: principal, requests: 7}\n",
    );
    let changes = guards.apply(&config(changed)).unwrap();
    let told: Vec<_> = changes
        .iter()
        .map(|change| format!("{}: {} -> {}", change.key, change.old, change.new))
        .collect();
    assert_eq!(
        told,
        [
            "breaker: true -> false",
            "failures: UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE, DATA_LOSS -> INTERNAL, UNIMPLEMENTED",
            "shedding.cpuThreshold: 900 -> 800",
            "maxInFlight: 10000 -> 50",
            "rateLimits.all: 100/1s by principal, burst 100, all routes -> 7/1s by principal, burst 7, all routes",
        ]
    );
    assert!(
        take(&guards, 0, "login", home).await.refusal().is_some(),
        "the bucket was refilled"
    );
    let gate = guards.gate(0).unwrap();
    assert_eq!(gate.places(), 50);
    assert!(
        gate.admit(Instant::now()).unwrap().is_none(),
        "the breaker is off"
    );
    assert!(guards.apply(&config(changed)).unwrap().is_empty());
}

#[tokio::test]
async fn a_wrong_change_leaves_everything_as_it_was() {
    let guards = DoorGuards::new("test rest", &config(LIMITS), places()).unwrap();
    for (wrong, expected) in [
        (
            "maxInFlight: 5\nrateLimits: [{name: x, by: route, requests: 1, routes: ['GET /nowhere']}]",
            "no route of this door is called `GET /nowhere`",
        ),
        (
            "rateLimits: [{name: X, by: route, requests: 1}]",
            "lower-case",
        ),
        (
            "rateLimits: [{name: x, by: route, requests: 1, burst: 0}]",
            "burst of zero",
        ),
        (
            "rateLimits: [{name: x, by: route, requests: 1, shared: true}]",
            "no sharedLimits",
        ),
        (
            "rateLimits: [{name: x, by: route, requests: 1}, {name: x, by: address, requests: 1}]",
            "two rateLimits are called x",
        ),
        (
            "trustedProxies: [everybody]",
            "`everybody` is not a network",
        ),
        (
            "sharedLimits: {redis: 'redis://:hunter2@127.0.0.1:1/0'}",
            "with a restart only",
        ),
    ] {
        let error = guards.apply(&config(wrong)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        assert_eq!(guards.gate(0).unwrap().places(), 10_000);
        assert_eq!(guards.limits(0).unwrap().len(), 2);
    }
}

#[test]
fn wrong_numbers_are_errors_of_the_file() {
    let path = std::path::Path::new("etc/test.yaml");
    for (text, expected) in [
        ("maxInFlight: 0", "at least 1"),
        (
            "failures: [UNAVAILBLE]",
            "nearest valid key is `UNAVAILABLE`",
        ),
        ("failures: [NOT_FOUND]", "expected one of UNKNOWN"),
        ("shedding: {cpuThreshold: 1000}", "1 to 999"),
        ("shedding: {enable: true}", "nearest valid key is `enabled`"),
        (
            "rateLimits: [{name: x, by: mood, requests: 1}]",
            "principal",
        ),
        (
            "rateLimits: [{name: x, by: route, requests: 0}]",
            "at least 1",
        ),
        (
            "rateLimits: [{name: x, by: route, requests: 1, per: 0s}]",
            "a longer one",
        ),
    ] {
        let config = tenon_core::config::parse::<RestConfig>(text, path);
        let error = config.unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
