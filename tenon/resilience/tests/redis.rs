//! Rate limits that instances count together, against a real Redis.
#![cfg(feature = "redis")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what is skipped is said; a failure here is the failure of a test"
)]

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use tenon_core::config::{Guards, RestConfig};
use tenon_resilience::{Criticality, DoorGuards, Key, Place};
use tokio::time::{Instant, sleep};

/// A server that ends with this value.
struct Redis {
    server: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Redis {
    fn start(port: u16) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let server = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--dir"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn();
        let Ok(server) = server else {
            println!("skipped: redis-server is not installed (apt-get install redis-server)");
            return None;
        };
        Some(Self {
            server,
            port,
            _folder: folder,
        })
    }

    async fn is_up(&self) {
        // Bounded: a server that does not come up in 10 s is the failure of this test.
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port))
                .await
                .is_ok()
            {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("redis-server does not listen");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn instance(port: u16) -> DoorGuards {
    let text = format!(
        concat!(
            "rateLimits: [{{name: all, by: principal, requests: 10, per: 1h, shared: true}}]\n",
            "sharedLimits: {{redis: 'redis://127.0.0.1:{}/0', prefix: test}}",
        ),
        port
    );
    let config: RestConfig = tenon_core::config::parse(&text, "etc/test.yaml".as_ref()).unwrap();
    let config: Guards = config.guards();
    let place = Place {
        name: "GET /own".into(),
        criticality: Criticality::Normal,
        time: Some(Duration::from_secs(3)),
        places: None,
    };
    DoorGuards::new("test rest", &config, vec![place]).unwrap()
}

async fn take(guards: &DoorGuards, caller: &str) -> bool {
    let limits = guards.limits(0).unwrap();
    let decision = limits[0].take(Key::Principal(caller), Instant::now()).await;
    decision.allowed
}

async fn taken(guards: &DoorGuards, caller: &str, asked: usize) -> usize {
    let mut taken = 0;
    for _ in 0..asked {
        taken += usize::from(take(guards, caller).await);
    }
    taken
}

#[tokio::test]
async fn instances_count_together_and_each_for_itself_while_redis_is_away() {
    let port = tenon_test::fixed_port();
    let Some(redis) = Redis::start(port) else {
        return;
    };
    redis.is_up().await;
    let (one, other) = (instance(port), instance(port));
    // The first answers may come later than a request waits for them.
    let (first, second) = (
        taken(&one, "nurse-1", 8).await,
        taken(&other, "nurse-1", 8).await,
    );
    println!("of 10 an hour, one instance gave {first} and the other {second}");
    if one.shared_is_up() == Some(true) && other.shared_is_up() == Some(true) {
        assert_eq!(first + second, 10);
    }
    assert!(take(&other, "nurse-2").await, "callers are apart");
    drop(redis);
    let alone = taken(&one, "nurse-3", 20).await + taken(&other, "nurse-3", 20).await;
    assert_eq!(alone, 20, "each instance has its own ten");
    assert_eq!(one.shared_is_up(), Some(false));
    let redis = Redis::start(port).unwrap();
    redis.is_up().await;
    // Asked again after a second, at the first request then.
    for _ in 0..100 {
        let _ = take(&one, "nurse-4").await;
        if one.shared_is_up() == Some(true) {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("redis is back and is not asked");
}

#[tokio::test]
async fn the_lua_bucket_is_the_one_of_the_process() {
    let port = tenon_test::fixed_port();
    let Some(redis) = Redis::start(port) else {
        return;
    };
    redis.is_up().await;
    let shared = instance(port);
    let limits = shared.limits(0).unwrap();
    let mut remaining = Vec::new();
    for _ in 0..12 {
        let decision = limits[0]
            .take(Key::Principal("nurse-1"), Instant::now())
            .await;
        remaining.push((decision.allowed, decision.remaining));
    }
    let expected: Vec<_> = (0..10).rev().map(|left| (true, left)).collect();
    if shared.shared_is_up() == Some(true) {
        assert_eq!(remaining[..10], expected);
        assert!(!remaining[10].0 && !remaining[11].0);
    } else {
        println!("skipped: redis did not answer within 50 ms on this machine");
    }
}
