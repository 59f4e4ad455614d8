//! The breaker against its formula, written a second time and naively, and against what is
//! promised of it: that it opens late, lets one call a second through, and closes quickly.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

use std::{future::Future, time::Duration};

use proptest::prelude::*;
use tenon_core::{Code, Entry, Error, catalogue};
use tenon_resilience::{
    Breaker, Failures, Random,
    breaker::{CLOSE_AFTER, Verdict},
};
use tokio::time::{Instant, advance};

/// Runs with a clock that stands still until it is moved.
fn paused<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(work)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum What {
    Success,
    Failure,
    Refusal,
}

/// Everything that happened, added up anew for each question.
#[derive(Default)]
struct Naive {
    events: Vec<(u128, What)>,
    since: u128,
    refusing: bool,
    streak: u32,
}

impl Naive {
    fn note(&mut self, bucket: u128, what: What) {
        self.events.push((bucket, what));
        match what {
            What::Refusal if !self.refusing => (self.refusing, self.streak) = (true, 0),
            What::Refusal => {}
            What::Failure => self.streak = 0,
            What::Success if self.refusing => self.streak += 1,
            What::Success => {}
        }
        if self.streak >= CLOSE_AFTER {
            (self.refusing, self.streak, self.since) = (false, 0, bucket + 1);
        }
    }

    fn ratio(&self, bucket: u128) -> f64 {
        let (mut accepts, mut total) = (0.0, 0.0);
        let (mut working, mut failing) = (0.0, 0.0);
        for back in (0..40).rev() {
            let Some(at) = bucket.checked_sub(back).filter(|at| *at >= self.since) else {
                continue;
            };
            let count = |what| {
                let of = self.events.iter();
                of.filter(|event| **event == (at, what)).count() as f64
            };
            let (good, bad) = (count(What::Success), count(What::Failure));
            accepts += good;
            total += good + bad + count(What::Refusal);
            working = match (bad > 0.0, good > 0.0) {
                (true, _) => 0.0,
                (false, true) => working + 1.0,
                (false, false) => working,
            };
            failing = match (good > 0.0, bad > 0.0) {
                (true, _) => 0.0,
                (false, true) => failing + 1.0,
                (false, false) => failing,
            };
        }
        let k = f64::max(1.5 - (1.5 - 1.1) * failing / 40.0, 1.1);
        let ratio = (total - 5.0 - k * accepts) / (total + 1.0);
        f64::max(ratio * (40.0 - working) / 40.0, 0.0)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Steps of up to 1.2 s, so that a run is longer than the window; runs of one outcome, so
    /// that outages and recoveries happen.
    #[test]
    fn the_ratio_is_that_of_the_formula(
        seed: u64,
        runs in prop::collection::vec((prop::bool::weighted(0.4), 1_usize..25, 0_u64..600), 1..20),
    ) {
        paused(async move {
            let breaker = Breaker::with_random("test", Random::seeded(seed));
            let began = Instant::now();
            let mut naive = Naive::default();
            for (works, calls, pause) in runs {
                for _ in 0..calls {
                    advance(Duration::from_millis(pause * 2 / calls as u64)).await;
                    let bucket = began.elapsed().as_millis() / 250;
                    let (ours, expected) = (breaker.ratio(), naive.ratio(bucket));
                    prop_assert!((ours - expected).abs() < 1e-9, "{ours}, but {expected}");
                    match breaker.admit() {
                        Err(_) => {
                            prop_assert!(expected > 0.0, "refused without a reason");
                            naive.note(bucket, What::Refusal);
                        }
                        Ok(permit) if works => {
                            permit.success();
                            naive.note(bucket, What::Success);
                        }
                        Ok(permit) => {
                            permit.failure();
                            naive.note(bucket, What::Failure);
                        }
                    }
                }
            }
            Ok(())
        })?;
    }
}

#[test]
fn refusals_come_as_often_as_the_ratio_says() {
    paused(async {
        let breaker = Breaker::with_random("test", Random::seeded(11));
        // Half of a thousand calls failed, all in one bucket: the ratio moves little below.
        for call in 0..1000 {
            match call % 2 {
                0 => breaker.admit().map(|permit| permit.success()).ok(),
                _ => breaker.admit().map(|permit| permit.failure()).ok(),
            };
        }
        let (mut expected, mut refused) = (0.0, 0.0);
        for _ in 0..2000 {
            expected += breaker.ratio();
            match breaker.admit() {
                Ok(permit) => permit.ignore(),
                Err(_) => refused += 1.0,
            }
        }
        println!("refused {refused} of 2000, expected {expected:.0}");
        assert!((refused - expected).abs() < 100.0);
    });
}

/// Calls at this rate for a time; answers how many reached the other side.
async fn call(breaker: &Breaker, rate: u32, time: Duration, works: bool) -> usize {
    let until = Instant::now() + time;
    let mut reached = 0;
    while Instant::now() < until {
        advance(Duration::from_secs(1) / rate).await;
        let Ok(permit) = breaker.admit() else {
            continue;
        };
        reached += 1;
        match works {
            true => permit.success(),
            false => permit.failure(),
        }
    }
    reached
}

#[test]
fn a_dead_peer_is_asked_little_and_a_recovered_one_fully_within_two_seconds() {
    for rate in [20, 100, 1000] {
        paused(async move {
            let breaker = Breaker::with_random("test", Random::seeded(u64::from(rate)));
            call(&breaker, rate, Duration::from_secs(20), true).await;
            call(&breaker, rate, Duration::from_secs(20), false).await;
            let asked = call(&breaker, rate, Duration::from_secs(10), false).await;
            assert!(breaker.is_refusing());
            let recovered = Instant::now();
            while breaker.is_refusing() {
                call(&breaker, rate, Duration::from_millis(50), true).await;
            }
            let closed = recovered.elapsed();
            let reached = call(&breaker, rate, Duration::from_secs(5), true).await;
            println!(
                "{rate}/s: a dead peer was asked {:.1} times a second; closed {closed:?} after it came back",
                asked as f64 / 10.0
            );
            assert!((5..60).contains(&asked), "{asked}");
            assert!(closed <= Duration::from_millis(2500), "{closed:?}");
            assert_eq!(
                reached,
                5 * rate as usize,
                "some were refused after closing"
            );
        });
    }
}

#[test]
fn a_third_of_failures_is_borne_and_a_handful_of_calls_never_opens_it() {
    paused(async {
        let breaker = Breaker::with_random("test", Random::seeded(3));
        for _ in 0..5 {
            breaker.admit().unwrap().failure();
        }
        assert_eq!(breaker.ratio(), 0.0);
        let breaker = Breaker::with_random("test", Random::seeded(3));
        for call in 0..3000 {
            advance(Duration::from_millis(7)).await;
            let permit = breaker.admit().unwrap();
            match call % 10 {
                0..3 => permit.failure(),
                _ => permit.success(),
            }
        }
    });
}

static DELAYED: Entry = Entry::new("DELAYED", Code::ResourceExhausted, "too often", "过于频繁");

#[test]
fn what_its_caller_caused_never_counts() {
    paused(async {
        let breaker = Breaker::new("test");
        let all = Failures::of(&[Code::Cancelled, Code::ResourceExhausted]);
        for _ in 0..100 {
            for error in [&catalogue::CANCELLED, &catalogue::RATE_LIMITED, &DELAYED] {
                let outcome = Err::<(), _>(error.error());
                breaker.admit().unwrap().record(all, &outcome);
            }
            drop(breaker.admit().unwrap());
        }
        assert_eq!(breaker.ratio(), 0.0);
        let verdict = |error: Error| Failures::DEFAULT.verdict(&error);
        assert_eq!(verdict(catalogue::INTERNAL.error()), Verdict::Failure);
        assert_eq!(verdict(catalogue::OVERLOADED.error()), Verdict::Failure);
        let full = DELAYED.error().http(507);
        assert_eq!(verdict(full), Verdict::Failure, "the disk is no caller's");
        let code = Code::ResourceExhausted;
        let nameless = Error::remote("RESOURCE_EXHAUSTED".into(), code, "".into(), "".into());
        assert_eq!(verdict(nameless), Verdict::Failure);
        assert_eq!(
            verdict(catalogue::DEADLINE_EXCEEDED.error()),
            Verdict::Failure
        );
        assert_eq!(verdict(catalogue::TOKEN_INVALID.error()), Verdict::Success);
        assert_eq!(
            verdict(catalogue::METHOD_UNIMPLEMENTED.error()),
            Verdict::Success
        );
    });
}
