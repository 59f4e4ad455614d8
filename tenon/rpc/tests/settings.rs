//! The settings of a channel change while it is used, and are shown as they are.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail it as its assertions do"
)]

#[path = "governed/house.rs"]
pub mod house;

use std::time::Duration;

use house::{Mood, READ, WRITE, call, channel, house, once};
use tenon_core::{
    Context, Layer,
    catalogue::{CIRCUIT_OPEN, DEADLINE_EXCEEDED, UNAVAILABLE},
    config::{
        BalancerConfig, ClientConfig, FailureCode, MethodTimeouts, RetryBudgetConfig, RetryConfig,
    },
};
use tenon_rpc::{Channel, HashKey};

/// Puts a section in force.
fn change(channel: &Channel, config: &ClientConfig) {
    channel.prepare(config).unwrap().put_in_force();
}

fn retry(attempts: u32, methods: &[&str]) -> RetryConfig {
    RetryConfig {
        attempts,
        methods: methods.iter().map(ToString::to_string).collect(),
        ..RetryConfig::default()
    }
}

#[tokio::test]
async fn a_changed_time_holds_for_the_next_call() {
    let silent = house().await;
    silent.conduct.set(Mood::Silent);
    let config = ClientConfig {
        timeout: Duration::from_secs(3600),
        ..once(&[silent.address])
    };
    let channel = channel(&config);
    let short = Duration::from_millis(20);
    let of_write = MethodTimeouts([("write".to_owned(), short)].into());
    for (timeout, timeouts) in [
        (short, MethodTimeouts::default()),
        (Duration::from_secs(3600), of_write),
    ] {
        change(
            &channel,
            &ClientConfig {
                timeout,
                timeouts,
                ..config.clone()
            },
        );
        let error = call(&channel, &WRITE).await.unwrap_err();
        assert!(error.is(&DEADLINE_EXCEEDED), "{error:?}");
    }
}

#[tokio::test]
async fn changed_repeats_hold_for_the_next_call() {
    let bad = house().await;
    bad.conduct.set(Mood::Unavailable);
    let config = ClientConfig {
        breaker: false,
        ..once(&[bad.address])
    };
    let channel = channel(&config);
    for (retry, attempts) in [
        (retry(1, &[]), 1),
        (retry(3, &[]), 3),
        (retry(5, &["read"]), 5),
        (retry(5, &["other"]), 1),
    ] {
        let retry = ClientConfig {
            retry,
            ..config.clone()
        };
        change(&channel, &retry);
        let before = bad.conduct.calls();
        let error = call(&channel, &READ).await.unwrap_err();
        assert!(error.is(&UNAVAILABLE), "{error:?}");
        assert_eq!(bad.conduct.calls() - before, attempts);
    }
}

#[tokio::test]
async fn repeats_stay_within_the_budget_of_the_section() {
    for (budget, most) in [((0, 1), 10), ((0, 2), 20), ((100, 0), 40), ((50, 0), 20)] {
        let bad = house().await;
        bad.conduct.set(Mood::Unavailable);
        let (percent, per_second) = budget;
        let config = ClientConfig {
            breaker: false,
            retry: RetryConfig {
                attempts: 2,
                budget: RetryBudgetConfig {
                    percent,
                    per_second,
                },
                ..RetryConfig::default()
            },
            ..ClientConfig::to([bad.address.to_string()])
        };
        let channel = channel(&config);
        for _ in 0..40 {
            call(&channel, &READ).await.unwrap_err();
        }
        let repeats = bad.conduct.calls() - 40;
        println!("{percent} per cent and {per_second}/s: {repeats} repeats of 40 calls");
        assert_eq!(repeats, most);
    }
}

#[tokio::test]
async fn a_breaker_is_turned_off_and_on() {
    let bad = house().await;
    bad.conduct.set(Mood::Broken);
    let config = once(&[bad.address]);
    let channel = channel(&config);
    let mut refused = false;
    while !refused {
        refused = call(&channel, &WRITE).await.unwrap_err().is(&CIRCUIT_OPEN);
    }
    let without = ClientConfig {
        breaker: false,
        ..config.clone()
    };
    change(&channel, &without);
    for _ in 0..50 {
        assert!(!call(&channel, &WRITE).await.unwrap_err().is(&CIRCUIT_OPEN));
    }
    change(&channel, &config);
    while !call(&channel, &WRITE).await.unwrap_err().is(&CIRCUIT_OPEN) {}
}

#[tokio::test]
async fn what_counts_as_a_failure_changes() {
    let bad = house().await;
    bad.conduct.set(Mood::Broken);
    let config = ClientConfig {
        failures: vec![FailureCode::DataLoss],
        ..once(&[bad.address])
    };
    let channel = channel(&config);
    for _ in 0..50 {
        assert!(!call(&channel, &WRITE).await.unwrap_err().is(&CIRCUIT_OPEN));
    }
    let row = channel.row();
    assert_eq!(
        settings(&row.layers, "breaker"),
        "by method and instance; failures: DATA_LOSS"
    );
    change(&channel, &once(&[bad.address]));
    while !call(&channel, &WRITE).await.unwrap_err().is(&CIRCUIT_OPEN) {}
}

#[tokio::test]
async fn the_choice_of_instances_changes() {
    let (one, other) = (house().await, house().await);
    let config = once(&[one.address, other.address]);
    let channel = channel(&config);
    let by_key = ClientConfig {
        balancer: BalancerConfig::ConsistentHash,
        ..config.clone()
    };
    change(&channel, &by_key);
    let keyless = call(&channel, &WRITE).await.unwrap_err();
    let cause = keyless.cause_chain().unwrap();
    assert!(cause.contains("consistentHash"), "{cause}");
    let cx = Context::background().with_value(HashKey::new("Q1"));
    for _ in 0..20 {
        let sent = channel.unary::<_, String>(&cx, &WRITE, String::new());
        sent.await.unwrap();
    }
    let counts = [one.conduct.calls(), other.conduct.calls()];
    assert!(counts.contains(&0) && counts.contains(&20), "{counts:?}");
    change(&channel, &config);
    call(&channel, &WRITE).await.unwrap();
}

#[tokio::test]
async fn a_section_that_does_not_fit_the_contract_leaves_the_old_one_in_force() {
    let bad = house().await;
    bad.conduct.set(Mood::Unavailable);
    let config = once(&[bad.address]);
    let channel = channel(&config);
    channel.check(&[&READ, &WRITE]).unwrap();
    let time = MethodTimeouts([("raed".to_owned(), Duration::from_secs(9))].into());
    let misspelt = ClientConfig {
        timeouts: time,
        retry: retry(3, &[]),
        ..config.clone()
    };
    let harmful = ClientConfig {
        retry: retry(3, &["write"]),
        ..config.clone()
    };
    for (section, words) in [
        (misspelt, ["timeouts", "`raed`", "`read`"]),
        (harmful, ["retry.methods", "`write`", "idempotency_level"]),
    ] {
        let problem = channel.prepare(&section).map(|_| ()).unwrap_err();
        assert!(words.iter().all(|word| problem.contains(word)), "{problem}");
    }
    call(&channel, &READ).await.unwrap_err();
    assert_eq!(bad.conduct.calls(), 1, "made once, as before");
}

#[tokio::test]
async fn a_channel_shows_what_its_calls_pass_and_where_they_go() {
    let (well, broken) = (house().await, house().await);
    broken.conduct.set(Mood::Unavailable);
    let config = ClientConfig {
        timeouts: MethodTimeouts([("read".to_owned(), Duration::from_secs(9))].into()),
        ..once(&[well.address, broken.address])
    };
    let channel = channel(&config);
    channel.check(&[&READ, &WRITE]).unwrap();
    let row = channel.row();
    assert_eq!((row.client.as_str(), row.source.kind), ("notes", "static"));
    assert_eq!(row.instances.len(), 2, "known before the first call");
    assert!(
        row.instances
            .iter()
            .all(|one| one.connection == "idle" && one.state == "in")
    );
    assert_eq!(
        names(&row.layers),
        "trace metrics deadline recover retry balance ejection breaker adaptive-limit connection"
    );
    assert!(settings(&row.layers, "deadline").starts_with("2s"));
    assert_eq!(settings(&row.layers, "retry"), "never");
    let [only] = row.methods.as_slice() else {
        panic!("{:?}", row.methods);
    };
    assert_eq!(only.method, READ.path());
    assert!(settings(&only.layers, "deadline").starts_with("9s"));

    let changed = ClientConfig {
        breaker: false,
        adaptive_limit: false,
        retry: retry(3, &[]),
        ..once(&[well.address])
    };
    change(&channel, &changed);
    let mut rows = Vec::new();
    while rows.is_empty() {
        let _ = call(&channel, &WRITE).await;
        let row = channel.row();
        rows = row
            .instances
            .into_iter()
            .filter(|one| one.state == "out")
            .collect();
    }
    assert_eq!(*rows[0].address, broken.address.to_string());
    let row = channel.row();
    assert_eq!(
        names(&row.layers),
        "trace metrics deadline recover retry balance ejection connection"
    );
    assert!(settings(&row.layers, "retry").starts_with("3 attempts"));
    let harmful = &row.methods[0];
    assert_eq!(harmful.method, WRITE.path());
    assert!(settings(&harmful.layers, "retry").contains("contract"));
    let well = row.instances.iter().find(|one| one.state == "in").unwrap();
    assert_eq!((well.connection, well.in_flight), ("ready", 0));
    assert!(well.latency_ms.is_some() && well.in_flight_max.is_none());
}

fn names(layers: &[Layer]) -> String {
    let names: Vec<_> = layers.iter().map(|layer| &*layer.name).collect();
    names.join(" ")
}

fn settings<'a>(layers: &'a [Layer], name: &str) -> &'a str {
    let layer = layers.iter().find(|layer| layer.name == name).unwrap();
    &layer.settings
}
