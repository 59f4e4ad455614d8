//! Faults of the network between two services, and attackers in front of them: each test states
//! the promise and prints its figure.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "faults/town.rs"]
mod town;

use std::{
    fs,
    process::{Command, Stdio},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use tenon_test::Faults;
use town::{Answer, PATIENCE, Town, ask, p99};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_dependency_costs_its_callers_their_deadline_and_others_nothing() {
    let town = Town::build().await;
    let before = p99(&town.ask_all("/well", 100).await);
    assert_eq!(town.ask("/ask").await.status, 200);
    town.network.set(Faults {
        latency: Duration::from_secs(5),
        ..Faults::default()
    });
    let slow = town.ask_all("/ask", 40);
    let others = town.ask_all("/well", 100);
    let (slow, others) = tokio::join!(slow, others);
    assert!(others.iter().all(|answer| answer.status == 200));
    for answer in &slow {
        // 503 where the breaker already knows better than to wait.
        assert!(matches!(answer.status, 504 | 503), "{}", answer.text);
        assert!(answer.elapsed < Duration::from_secs(4));
    }
    println!(
        "slow dependency: p99 {:?} over the deadline; a route beside it p99 {before:?} before, {:?} meanwhile",
        p99(&slow).saturating_sub(PATIENCE),
        p99(&others)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_black_hole_ends_calls_at_their_deadline_holds_few_sockets_and_heals() {
    let town = Town::build().await;
    assert_eq!(town.ask("/ask").await.status, 200);
    town.network.set(Faults {
        black_hole: true,
        ..Faults::default()
    });
    let started = Instant::now();
    let mut first_fast = None;
    while started.elapsed() < Duration::from_secs(30) && first_fast.is_none() {
        let answer = town.ask("/ask").await;
        assert!(matches!(answer.status, 504 | 503), "{}", answer.text);
        assert!(answer.elapsed < PATIENCE + Duration::from_secs(3));
        if answer.elapsed < PATIENCE / 4 {
            first_fast = Some(started.elapsed());
        }
    }
    println!(
        "black hole: first fast failure after {first_fast:?}; {} of {} connections stand",
        town.network.open(),
        town.network.accepted()
    );
    assert!(town.network.open() <= 2, "{} sockets", town.network.open());
    town.network.heal();
    println!(
        "black hole: healed, answered after {:?}",
        until_well(&town).await
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_dependency_is_told_at_once_and_found_again() {
    let town = Town::build().await;
    assert_eq!(town.ask("/ask").await.status, 200);
    town.network.set(Faults {
        refuse: true,
        ..Faults::default()
    });
    town.network.cut();
    let dead = town.ask_all("/ask", 50).await;
    for answer in &dead {
        assert!(matches!(answer.status, 503 | 504), "{}", answer.text);
    }
    println!("dead dependency: told with p99 {:?}", p99(&dead));
    town.network.heal();
    println!(
        "dead dependency: found again after {:?}",
        until_well(&town).await
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dependency_that_only_fails_is_not_stormed() {
    let town = Town::build().await;
    let mut asked = 0;
    for _ in 0..20 {
        let answers = town.ask_all("/fail", 25).await;
        asked += answers.len();
        assert!(answers.iter().all(|answer| answer.status >= 500));
    }
    let attempts = town.failed.load(Ordering::SeqCst);
    let share = attempts as f64 / asked as f64;
    println!("retry storm: {attempts} attempts for {asked} requests, {share:.2} each");
    // The floor of the budget is 10 retries a second whatever the traffic; beyond it, a fifth.
    assert!(share <= 1.2, "{share}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_heads_bodies_and_readers_stop_nobody_else() {
    if Command::new("slowhttptest").arg("-h").output().is_err() {
        println!("skipped: slow attackers (slowhttptest is not installed)");
        return;
    }
    let town = Town::build().await;
    let before = p99(&town.ask_all("/well", 100).await);
    for (attack, flags) in [
        ("slow heads", &["-H", "-i", "1"][..]),
        ("slow bodies", &["-B", "-i", "1", "-s", "8192"][..]),
        (
            "slow readers",
            &["-X", "-w", "1", "-y", "2", "-n", "1", "-z", "1"][..],
        ),
    ] {
        let mut attacker = Command::new("slowhttptest")
            .args(["-c", "400", "-r", "400", "-l", "6", "-p", "3"])
            .args(flags)
            .arg("-u")
            .arg(format!("http://{}/well", town.front))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut answers: Vec<Answer> = Vec::new();
        while attacker.try_wait().unwrap().is_none() {
            answers.push(ask(town.front, "/well").await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(answers.iter().all(|answer| answer.status == 200));
        println!(
            "{attack}: {} good requests beside 400 attackers, p99 {:?} (before {before:?}), {} MiB resident",
            answers.len(),
            p99(&answers),
            resident_mib()
        );
    }
}

/// How long it takes until the back is asked with success again.
async fn until_well(town: &Town) -> Duration {
    let started = Instant::now();
    while town.ask("/ask").await.status != 200 {
        assert!(started.elapsed() < Duration::from_secs(60), "never again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    started.elapsed()
}

/// Memory of this process, the front, the back and the clients among it.
fn resident_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024
}
