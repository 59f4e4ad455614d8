//! Passwords: hashes that others can read, a bounded queue, and nothing told by time.

use std::time::{Duration, Instant};

use secrecy::SecretString;
use tenon_auth::password::{Passwords, Verdict, needs_rehash};
use tenon_core::Context;

const PASSWORD: &str = "correct horse battery staple";

fn secret(text: &str) -> SecretString {
    text.into()
}

#[tokio::test]
async fn a_password_is_verified_against_its_hash() {
    let (pool, cx) = (Passwords::new(), Context::background());
    let hash = pool.hash(&cx, secret(PASSWORD)).await.unwrap();
    assert!(
        hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{hash}"
    );
    assert!(!needs_rehash(&hash));
    let right = pool.verify(&cx, secret(PASSWORD), Some(&hash)).await;
    assert_eq!(right.unwrap(), Verdict::Right);
    for wrong in [
        "",
        "correct horse battery stapl",
        "Correct horse battery staple",
        "\u{0}",
    ] {
        let verdict = pool.verify(&cx, secret(wrong), Some(&hash)).await.unwrap();
        assert_eq!(verdict, Verdict::Wrong, "{wrong}");
        assert!(!verdict.is_right());
    }
}

#[tokio::test]
async fn the_same_password_never_hashes_alike() {
    let (pool, cx) = (Passwords::new(), Context::background());
    let first = pool.hash(&cx, secret(PASSWORD)).await.unwrap();
    let second = pool.hash(&cx, secret(PASSWORD)).await.unwrap();
    assert_ne!(first, second);
}

/// Test vector of the reference implementation of Argon2 (phc-winner-argon2, test.c: version 19,
/// Argon2id, t=2, m=256 KiB, p=1, salt "somesalt"). Weaker than today's parameters.
const REFERENCE: &str =
    "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

#[tokio::test]
async fn a_hash_of_the_reference_implementation_is_read_and_called_outdated() {
    let (pool, cx) = (Passwords::new(), Context::background());
    let verdict = pool.verify(&cx, secret("password"), Some(REFERENCE)).await;
    assert_eq!(verdict.unwrap(), Verdict::RightButOutdated);
    let verdict = pool.verify(&cx, secret("passwore"), Some(REFERENCE)).await;
    assert_eq!(verdict.unwrap(), Verdict::Wrong);
    assert!(needs_rehash(REFERENCE));
    assert!(needs_rehash("not a hash"));
}

#[tokio::test]
async fn nobody_has_no_password_and_takes_as_long_to_say_so() {
    let (pool, cx) = (Passwords::new(), Context::background());
    let hash = pool.hash(&cx, secret(PASSWORD)).await.unwrap();
    let mut known = Duration::MAX;
    let mut unknown = Duration::MAX;
    // The least of several: what the work itself takes, without what else the machine does.
    for _ in 0..5 {
        let started = Instant::now();
        let verdict = pool.verify(&cx, secret("wrong"), Some(&hash)).await;
        assert_eq!(verdict.unwrap(), Verdict::Wrong);
        known = known.min(started.elapsed());
        let started = Instant::now();
        for guess in ["", PASSWORD] {
            let verdict = pool.verify(&cx, secret(guess), None).await;
            assert_eq!(verdict.unwrap(), Verdict::Wrong);
        }
        unknown = unknown.min(started.elapsed() / 2);
    }
    let ratio = known.as_secs_f64() / unknown.as_secs_f64();
    assert!(
        (0.2..5.0).contains(&ratio),
        "known {known:?}, unknown {unknown:?}"
    );
}

#[tokio::test]
async fn damaged_and_greedy_hashes_are_faults_of_ours() {
    let (pool, cx) = (Passwords::new(), Context::background());
    for bad in [
        "",
        "plain text",
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ",
        "$scrypt$ln=16,r=8,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        &REFERENCE.replace("m=256", "m=4000000"),
        &REFERENCE.replace("t=2", "t=1000"),
    ] {
        let error = pool
            .verify(&cx, secret("password"), Some(bad))
            .await
            .unwrap_err();
        assert_eq!(error.code(), "INTERNAL", "{bad}");
        assert!(!error.to_string().contains("argon2"), "{error}");
    }
}

#[tokio::test]
async fn a_password_that_is_too_long_is_refused_or_wrong() {
    let (pool, cx) = (Passwords::new(), Context::background());
    let longest = "x".repeat(1024);
    let hash = pool.hash(&cx, secret(&longest)).await.unwrap();
    let verdict = pool.verify(&cx, secret(&longest), Some(&hash)).await;
    assert_eq!(verdict.unwrap(), Verdict::Right);
    let longer = "x".repeat(1025);
    let error = pool.hash(&cx, secret(&longer)).await.unwrap_err();
    assert_eq!(error.code(), "REQUEST_INVALID");
    let verdict = pool.verify(&cx, secret(&longer), Some(&hash)).await;
    assert_eq!(verdict.unwrap(), Verdict::Wrong);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_says_when_to_come_back() {
    let (pool, cx) = (Passwords::with_limits(1, 2), Context::background());
    let attempts = (0..8).map(|_| pool.hash(&cx, secret(PASSWORD)));
    let outcomes = futures_all(attempts).await;
    let refused: Vec<_> = outcomes
        .iter()
        .filter_map(|one| one.as_ref().err())
        .collect();
    assert_eq!(refused.len(), 5, "one runs, two wait, five are refused");
    for error in refused {
        assert_eq!((error.code(), error.http_status()), ("OVERLOADED", 503));
        assert_eq!(error.retry_delay(), Some(Duration::from_secs(1)));
    }
    assert!(
        pool.hash(&cx, secret(PASSWORD)).await.is_ok(),
        "the queue is free again"
    );
}

#[tokio::test]
async fn a_caller_who_left_gives_its_place_back_and_runs_nothing() {
    let pool = Passwords::with_limits(1, 1);
    let busy = tokio::spawn({
        let pool = pool.clone();
        async move { pool.hash(&Context::background(), secret(PASSWORD)).await }
    });
    tokio::task::yield_now().await;
    let impatient = Context::background().with_timeout(Duration::from_millis(1));
    let error = pool.hash(&impatient, secret(PASSWORD)).await.unwrap_err();
    assert_eq!(error.code(), "DEADLINE_EXCEEDED");
    let patient = pool.hash(&Context::background(), secret(PASSWORD)).await;
    assert!(patient.is_ok(), "the place of the one who left is free");
    assert!(busy.await.unwrap().is_ok());
}

#[tokio::test]
async fn the_thread_that_serves_requests_is_free_meanwhile() {
    let (pool, cx) = (Passwords::new(), Context::background());
    let hashing = pool.hash(&cx, secret(PASSWORD));
    tokio::pin!(hashing);
    let mut turns = 0_u64;
    loop {
        tokio::select! {
            biased;
            done = &mut hashing => break assert!(done.is_ok()),
            () = tokio::task::yield_now() => turns += 1,
        }
    }
    assert!(turns > 10, "the runtime turned only {turns} times");
}

/// Polls all of them in turn to their ends, on this task.
async fn futures_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    use std::task::Poll;
    let mut pending: Vec<_> = futures.map(|future| Some(Box::pin(future))).collect();
    let mut outputs: Vec<Option<F::Output>> = pending.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, output) in pending.iter_mut().zip(&mut outputs) {
            if let Some(running) = future
                && let Poll::Ready(done) = running.as_mut().poll(cx)
            {
                *output = Some(done);
                *future = None;
            }
        }
        if pending.iter().all(Option::is_none) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    outputs.into_iter().flatten().collect()
}
