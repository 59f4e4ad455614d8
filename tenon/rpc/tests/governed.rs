//! Calls when instances die, fall silent, fail and restart: what balancing, breakers and retries
//! promise, over real sockets. Each test prints its figure.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail it as its assertions do"
)]

#[path = "governed/house.rs"]
pub mod house;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use house::{Conduct, House, Load, Mood, READ, WRITE, call, channel, house, house_of, once, open};
use tenon_core::{
    Context,
    catalogue::{CIRCUIT_OPEN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE},
    config::{
        BalancerConfig, ClientConfig, ClientTlsConfig, MethodTimeouts, Plaintext, RetryConfig,
    },
};
use tenon_discovery::{Instance, Instances};
use tenon_rpc::{Channel, HashKey, Metrics};
use tenon_test::{FaultProxy, Faults};
use tokio::{net::TcpListener, sync::watch};

const ANY: &str = "127.0.0.1:0";

/// An address where nobody listens.
fn deserted() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], tenon_test::fixed_port()))
}

fn instances<const N: usize>(houses: &[&House; N], weights: [u32; N]) -> Arc<[Instance]> {
    let both = houses.iter().zip(weights);
    both.map(|(house, weight)| Instance::new(house.address.to_string()).with_weight(weight))
        .collect()
}

#[tokio::test]
async fn a_dead_instance_among_live_ones_costs_no_call() {
    let live = house().await;
    let channel = channel(&once(&[live.address, deserted()]));
    let (mut failed, begun) = (0, std::time::Instant::now());
    for _ in 0..400 {
        failed += u32::from(call(&channel, &WRITE).await.is_err());
    }
    let took = begun.elapsed() / 400;
    println!("one live, one dead from the start: {failed} of 400 calls failed, {took:?} a call");
    assert_eq!(failed, 0);
    assert_eq!(live.conduct.calls(), 400);
}

#[tokio::test]
async fn an_instance_that_dies_costs_what_it_had_in_hand_and_no_more() {
    let (live, dying) = (house().await, house().await);
    let channel = channel(&once(&[live.address, dying.address]));
    for _ in 0..100 {
        call(&channel, &WRITE).await.unwrap();
    }
    dying.kill().await;
    let mut failed = Vec::new();
    for number in 0..400 {
        if call(&channel, &WRITE).await.is_err() {
            failed.push(number);
        }
    }
    println!("one live, one killed: calls {failed:?} of 400 failed");
    // The one that was written before its connection was known to be gone may be lost.
    assert!(failed.iter().all(|number| *number == 0), "{failed:?}");
}

/// A stopped process: the kernel takes connections for it and nobody answers.
#[tokio::test]
async fn a_silent_instance_is_left_out_and_stays_so_until_it_answers() {
    let live = house().await;
    let silent = TcpListener::bind(ANY).await.unwrap();
    let config = ClientConfig {
        timeout: Duration::from_millis(100),
        ..once(&[live.address, silent.local_addr().unwrap()])
    };
    let channel = channel(&config);
    let (mut failed, mut after) = (0, 0);
    for number in 0..400 {
        if call(&channel, &WRITE).await.is_err() {
            failed += 1;
            after = number;
        }
        // Time passes, so that it is due to be tried again in between.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("one live, one silent: {failed} of 400 calls failed, the last one call {after}");
    // Five time out before it is left out; those who ask afterwards are probes, not calls.
    assert!(failed <= 5, "{failed}");
}

/// Packets vanish: nobody is told anything, and new connections are silent, too.
#[tokio::test]
async fn a_black_hole_is_found_out_and_calls_then_fail_at_once() {
    let behind = house().await;
    let proxy = FaultProxy::to(behind.address, 1).await.unwrap();
    let config = ClientConfig {
        timeout: Duration::from_millis(300),
        // It would refuse calls long before; what the connection finds out is looked at here.
        breaker: false,
        ..once(&[proxy.address()])
    };
    let channel = channel(&config);
    call(&channel, &WRITE).await.unwrap();
    proxy.set(Faults {
        black_hole: true,
        ..Faults::default()
    });
    let begun = std::time::Instant::now();
    let mut in_a_row = 0;
    while in_a_row < 20 {
        let asked = std::time::Instant::now();
        let error = call(&channel, &WRITE).await.unwrap_err();
        let at_once = error.is(&UNAVAILABLE) && asked.elapsed() < Duration::from_millis(100);
        in_a_row = if at_once { in_a_row + 1 } else { 0 };
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "never found out: {error:?}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!(
        "into a black hole: calls fail at once after {:?}, {} connections tried",
        begun.elapsed(),
        proxy.accepted()
    );
    proxy.heal();
    let begun = std::time::Instant::now();
    while call(&channel, &WRITE).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(begun.elapsed() < Duration::from_secs(60), "not found again");
    }
    println!("found again after {:?}", begun.elapsed());
}

#[tokio::test]
async fn an_instance_that_fails_is_left_out_and_comes_back() {
    let (well, bad) = (house().await, house().await);
    let metrics = Metrics::new();
    let config = ClientConfig {
        breaker: false,
        ..once(&[well.address, bad.address])
    };
    let channel = Channel::new("notes", &config, &metrics).unwrap();
    bad.conduct.set(Mood::Unavailable);
    let mut failed = 0;
    for _ in 0..400 {
        failed += u32::from(call(&channel, &WRITE).await.is_err());
    }
    println!("one well, one unavailable: {failed} of 400 calls failed");
    // Five, and one more at each return, which comes after twice the time.
    assert!((1..=12).contains(&failed), "{failed}");
    let text = metrics.encode();
    let counted = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()
    };
    assert!(counted("rpc_client_ejections_total{client=\"notes\"}") >= 1);
    assert_eq!(
        counted("rpc_client_endpoints{client=\"notes\",state=\"listed\"}"),
        2
    );
    assert!(counted("rpc_client_picks_total{client=\"notes\"}") >= 400);
    bad.conduct.set(Mood::Well);
    let before = bad.conduct.calls();
    let started = std::time::Instant::now();
    while bad.conduct.calls() == before {
        call(&channel, &WRITE).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "it is never tried again"
        );
    }
    println!("taken back after {:?}", started.elapsed());
}

#[tokio::test]
async fn a_rolling_restart_under_load_loses_no_call() {
    let mut houses = [house().await, house().await, house().await];
    let list = instances(&houses.each_ref(), [100, 200, 100]);
    let known = Instances::fixed(list.to_vec());
    let config = once(&[houses[0].address]);
    let channel = Channel::over("notes", known, &config, &Metrics::new()).unwrap();
    let load = Load::start(&channel, &WRITE, 8);
    let begun = std::time::Instant::now();
    for _ in 0..2 {
        for place in &mut houses {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let address = place.address;
            // One that nobody knows stands in its place for the moment.
            let old = std::mem::replace(place, house().await);
            old.drain().await;
            *place = open(address, Conduct::default(), None).await;
            // It is found again by those who call.
            let started = std::time::Instant::now();
            while place.conduct.calls() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
                assert!(
                    started.elapsed() < Duration::from_secs(20),
                    "not found again"
                );
            }
        }
    }
    let (made, failed) = load.stop().await;
    println!(
        "6 restarts of 3 weighted instances in {:?}: {} of {made} calls failed",
        begun.elapsed(),
        failed.len()
    );
    assert!(failed.is_empty(), "{failed:?}");
}

#[tokio::test]
async fn an_instance_that_leaves_the_list_ends_what_it_has_in_hand() {
    let (leaving, staying) = (house().await, house().await);
    leaving.conduct.set(Mood::Slow);
    staying.conduct.set(Mood::Slow);
    let (sender, receiver) = watch::channel(instances(&[&leaving, &staying], [100, 100]));
    let config = once(&[leaving.address]);
    let known = Instances::followed(receiver);
    let channel = Channel::over("notes", known, &config, &Metrics::new()).unwrap();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let channel = channel.clone();
            tokio::spawn(async move { call(&channel, &WRITE).await })
        })
        .collect();
    while leaving.conduct.calls() == 0 || leaving.conduct.calls() + staying.conduct.calls() < 20 {
        tokio::task::yield_now().await;
    }
    sender.send_replace(instances(&[&staying], [100]));
    let before = leaving.conduct.calls();
    staying.conduct.set(Mood::Well);
    for _ in 0..50 {
        call(&channel, &WRITE).await.unwrap();
    }
    assert_eq!(leaving.conduct.calls(), before);
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_may_be_repeated_is_repeated_elsewhere() {
    let (well, bad) = (house().await, house().await);
    bad.conduct.set(Mood::Unavailable);
    let config = ClientConfig::to([well.address, bad.address].map(|address| address.to_string()));
    let metrics = Metrics::new();
    let channel = Channel::new("notes", &config, &metrics).unwrap();
    let mut failed = 0;
    for _ in 0..200 {
        failed += u32::from(call(&channel, &READ).await.is_err());
    }
    println!("one well, one unavailable, retries on: {failed} of 200 calls failed");
    assert_eq!(failed, 0);
    let retried = metrics.encode();
    let retried = retried
        .lines()
        .find(|line| line.starts_with("rpc_client_retries_total"));
    println!("{}", retried.unwrap());
    // What must not be repeated is not.
    let fresh = channel_to(&bad);
    let before = bad.conduct.calls();
    assert!(call(&fresh, &WRITE).await.unwrap_err().is(&UNAVAILABLE));
    assert_eq!(bad.conduct.calls() - before, 1);
    assert!(call(&fresh, &READ).await.unwrap_err().is(&UNAVAILABLE));
    assert_eq!(bad.conduct.calls() - before, 4, "three attempts");
}

fn channel_to(house: &House) -> Channel {
    channel(&ClientConfig::to([house.address.to_string()]))
}

#[tokio::test]
async fn a_retry_storm_stays_within_its_budget() {
    let bad = house().await;
    bad.conduct.set(Mood::Unavailable);
    for breaker in [false, true] {
        let config = ClientConfig {
            breaker,
            adaptive_limit: false,
            ..ClientConfig::to([bad.address.to_string()])
        };
        let channel = channel(&config);
        let before = bad.conduct.calls();
        let calls: Vec<_> = (0..500)
            .map(|_| {
                let channel = channel.clone();
                tokio::spawn(async move { call(&channel, &READ).await.is_err() })
            })
            .collect();
        for call in calls {
            assert!(call.await.unwrap());
        }
        let ratio = (bad.conduct.calls() - before) as f64 / 500.0;
        println!("all calls fail, breaker {breaker}: {ratio:.2} attempts a call");
        assert!(ratio <= 1.2, "{ratio}");
    }
}

#[tokio::test]
async fn one_layer_repeats_and_the_others_do_not() {
    let back = house().await;
    back.conduct.set(Mood::Unavailable);
    let middle = house_of(Conduct::asking(channel_to(&back))).await;
    let front = house_of(Conduct::asking(channel_to(&middle))).await;
    let client = channel_to(&front);
    assert!(call(&client, &READ).await.is_err());
    let attempts = [&front, &middle, &back].map(|house| house.conduct.calls());
    println!("attempts at the first, second and third service: {attempts:?}");
    assert_eq!(attempts, [1, 1, 3]);
}

#[tokio::test]
async fn a_breaker_refuses_one_method_of_one_instance_and_lets_go() {
    let (bad, well) = (house().await, house().await);
    bad.conduct.set(Mood::Broken);
    let metrics = Metrics::new();
    let channel = Channel::new("notes", &once(&[bad.address]), &metrics).unwrap();
    let (mut broken, mut refused) = (0, 0);
    for _ in 0..200 {
        let error = call(&channel, &WRITE).await.unwrap_err();
        if error.is(&CIRCUIT_OPEN) {
            refused += 1;
            assert!(error.retry_delay().is_some());
        } else {
            assert!(error.is(&INTERNAL), "{error:?}");
            broken += 1;
        }
    }
    println!("200 calls that fail: {broken} were made, {refused} refused here");
    assert!(refused > 100 && bad.conduct.calls() == broken);
    let text = metrics.encode();
    assert!(
        text.contains("rpc_client_refused_calls_total{client=\"notes\",rpc_service=\"test.Notes\",rpc_method=\"write\",reason=\"breaker\"}"),
        "{text}"
    );
    // The other method of the same instance is asked.
    bad.conduct.set(Mood::Well);
    call(&channel, &READ).await.unwrap();
    // It lets go of the first one.
    let started = std::time::Instant::now();
    let mut in_a_row = 0;
    while in_a_row < 50 {
        in_a_row = if call(&channel, &WRITE).await.is_ok() {
            in_a_row + 1
        } else {
            0
        };
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert!(started.elapsed() < Duration::from_secs(20), "it stays shut");
    }
    println!("open again after {:?}", started.elapsed());
    // Beside one that works it costs little: another instance takes the call.
    bad.conduct.set(Mood::Broken);
    let both = self::channel(&once(&[bad.address, well.address]));
    let mut failed = 0;
    for _ in 0..400 {
        failed += u32::from(call(&both, &WRITE).await.is_err());
    }
    println!("one well, one broken: {failed} of 400 calls failed");
    assert!(failed < 60, "{failed}");
}

#[tokio::test]
async fn a_slow_service_is_called_by_fewer_at_a_time() {
    let slow = house().await;
    slow.conduct.set(Mood::Silent);
    let config = ClientConfig {
        timeout: Duration::from_secs(2),
        breaker: false,
        ..once(&[slow.address])
    };
    let channel = channel(&config);
    slow.conduct.set(Mood::Well);
    call(&channel, &WRITE).await.unwrap();
    slow.conduct.set(Mood::Silent);
    let calls: Vec<_> = (0..3000)
        .map(|_| {
            let channel = channel.clone();
            tokio::spawn(async move { call(&channel, &WRITE).await.unwrap_err() })
        })
        .collect();
    let mut refused = 0;
    for call in calls {
        let error = call.await.unwrap();
        if error.is(&tenon_core::catalogue::OVERLOADED) {
            refused += 1;
        } else {
            assert!(error.is(&DEADLINE_EXCEEDED), "{error:?}");
        }
    }
    println!("3,000 calls at once to one that is silent: {refused} refused here at once");
    assert!(refused >= 1900, "{refused}");
}

/// What blames the caller says nothing of how much the instance can do: as many calls as it may be
/// given at first (1,024 at a time) it may be given then.
#[tokio::test]
async fn an_instance_that_blames_its_caller_is_called_by_as_many_as_before() {
    let limiting = house().await;
    limiting.conduct.set(Mood::Limiting);
    let config = ClientConfig {
        timeout: Duration::from_secs(30),
        breaker: false,
        ..once(&[limiting.address])
    };
    let channel = channel(&config);
    let many = |count: usize| {
        let calls = (0..count).map(|_| call(&channel, &WRITE));
        futures_util::future::join_all(calls)
    };
    // The limit is looked at once in ten milliseconds to a second.
    let began = std::time::Instant::now();
    let mut told = 0;
    while began.elapsed() < Duration::from_secs(2) {
        for outcome in many(1000).await {
            let error = outcome.unwrap_err();
            assert!(error.is(&tenon_core::catalogue::RATE_LIMITED), "{error:?}");
            told += 1;
        }
    }
    limiting.conduct.set(Mood::Slow);
    let outcomes = many(1000).await;
    let refused = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    println!(
        "after {told} answers that blame the caller, {refused} of 1,000 calls were refused here"
    );
    assert_eq!(refused, 0);
}

#[tokio::test]
async fn calls_of_one_key_go_to_one_instance_and_a_missing_key_is_told() {
    let houses = [house().await, house().await, house().await];
    let config = ClientConfig {
        balancer: BalancerConfig::ConsistentHash,
        ..once(&houses.each_ref().map(|house| house.address))
    };
    let channel = channel(&config);
    let error = call(&channel, &WRITE).await.unwrap_err();
    let cause = error.cause_chain().unwrap();
    assert!(
        error.is(&INTERNAL) && cause.contains("clients.notes"),
        "{cause}"
    );
    assert!(cause.contains("HashKey::new"), "{cause}");
    for key in ["T1", "T2", "T3", "T4"] {
        let before = houses.each_ref().map(|house| house.conduct.calls());
        let cx = Context::background().with_value(HashKey::new(key));
        for _ in 0..20 {
            let _: String = channel.unary(&cx, &WRITE, String::new()).await.unwrap();
        }
        let after = houses.each_ref().map(|house| house.conduct.calls());
        let touched = before
            .iter()
            .zip(&after)
            .filter(|(before, after)| before != after);
        assert_eq!(touched.count(), 1, "{key}");
    }
    let [one, two, three] = houses;
    // Its keys move on when an instance goes.
    one.kill().await;
    two.kill().await;
    let before = three.conduct.calls();
    for key in ["T1", "T2", "T3", "T4"] {
        let cx = Context::background().with_value(HashKey::new(key));
        let answer: Result<String, _> = channel.unary(&cx, &WRITE, String::new()).await;
        answer.unwrap();
    }
    assert_eq!(three.conduct.calls() - before, 4);
}

#[tokio::test]
async fn a_method_may_have_a_timeout_of_its_own() {
    let silent = house().await;
    silent.conduct.set(Mood::Silent);
    let own = [("write".to_owned(), Duration::from_millis(50))];
    let config = ClientConfig {
        timeout: Duration::from_secs(60),
        timeouts: MethodTimeouts(own.into()),
        ..once(&[silent.address])
    };
    let error = call(&channel(&config), &WRITE).await.unwrap_err();
    assert!(error.is(&DEADLINE_EXCEEDED), "{error:?}");
}

#[tokio::test]
async fn settings_of_single_methods_are_held_against_the_contract() {
    let check = |timeout: &[&str], retried: &[&str]| {
        let own = timeout
            .iter()
            .map(|name| (name.to_string(), Duration::from_secs(1)));
        let config = ClientConfig {
            timeouts: MethodTimeouts(own.collect()),
            retry: RetryConfig {
                methods: retried.iter().map(ToString::to_string).collect(),
                ..RetryConfig::default()
            },
            ..ClientConfig::to(["127.0.0.1:1"])
        };
        let checked = channel(&config).check(&[&WRITE, &READ]);
        checked.map_err(|error| error.to_string())
    };
    check(&["write", "read"], &["read"]).unwrap();
    for (problem, words) in [
        (
            check(&["wriet"], &[]),
            ["timeouts: the contract", "`wriet`", "nearest is `write`"],
        ),
        (
            check(&[], &["Read"]),
            ["retry.methods: the contract", "`Read`", "nearest is `read`"],
        ),
        (
            check(&[], &["write"]),
            ["retry.methods: `write`", "must not", "idempotency_level"],
        ),
    ] {
        let problem = problem.unwrap_err();
        for word in words.into_iter().chain(["clients.notes", "take it out"]) {
            assert!(problem.contains(word), "{problem}");
        }
    }
}

/// What the contract does not call harmless is not made again, whatever the settings say, and a
/// list of methods takes the others out.
#[tokio::test]
async fn settings_add_no_method_to_those_that_are_repeated() {
    for (listed, asked, attempts) in [
        ("write", &WRITE, 1),
        ("write", &READ, 1),
        ("read", &READ, 3),
    ] {
        let bad = house().await;
        bad.conduct.set(Mood::Unavailable);
        let config = ClientConfig {
            retry: RetryConfig {
                methods: vec![listed.to_owned()],
                ..RetryConfig::default()
            },
            ..ClientConfig::to([bad.address.to_string()])
        };
        let error = call(&channel(&config), asked).await.unwrap_err();
        assert!(error.is(&UNAVAILABLE), "{error:?}");
        assert_eq!(bad.conduct.calls(), attempts, "{listed}: {}", asked.name());
    }
}

#[test]
fn plaintext_to_another_machine_must_be_said() {
    let new = |endpoint: &str, plaintext, tls: Option<ClientTlsConfig>| {
        let config = ClientConfig {
            plaintext,
            tls,
            ..ClientConfig::to([endpoint])
        };
        Channel::new("notes", &config, &Metrics::new()).map(|_| ())
    };
    for here in ["127.0.0.1:9101", "localhost:9101", "[::1]:9101"] {
        new(here, Plaintext::Loopback, None).unwrap();
    }
    for there in ["10.0.0.1:9101", "notes:9101", "[fe80::1]:9101"] {
        let problem = new(there, Plaintext::Loopback, None)
            .unwrap_err()
            .to_string();
        for word in ["clients.notes", "caFile", "plaintext: allowed"] {
            assert!(problem.contains(word), "{problem}");
        }
        new(there, Plaintext::Allowed, None).unwrap();
    }
    let tls = ClientTlsConfig {
        ca_file: Some("/nonexistent.crt".into()),
        ..ClientTlsConfig::default()
    };
    let problem = new("notes:9101", Plaintext::Loopback, Some(tls))
        .unwrap_err()
        .to_string();
    assert!(
        problem.contains("clients.notes.tls") && problem.contains("nonexistent"),
        "{problem}"
    );
}
