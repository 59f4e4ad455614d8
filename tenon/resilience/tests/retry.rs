//! Retries: how much they may multiply calls, how long they wait, and when there is none.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

use std::time::Duration;

use proptest::prelude::*;
use tenon_core::catalogue::{
    CIRCUIT_OPEN, DEADLINE_EXCEEDED, INTERNAL, OVERLOADED, RATE_LIMITED, UNAVAILABLE,
};
use tenon_resilience::{Allowance, Budget, Random, Retry};
use tokio::time::advance;

#[tokio::test(start_paused = true)]
async fn a_peer_that_always_fails_is_asked_at_most_a_fifth_more() {
    for rate in [20_u32, 100, 1000] {
        let (budget, random) = (Budget::new(), Random::seeded(u64::from(rate)));
        let (mut calls, mut attempts) = (0.0, 0.0);
        for _ in 0..60 * rate {
            advance(Duration::from_secs(1) / rate).await;
            budget.deposit();
            calls += 1.0;
            attempts += 1.0;
            let mut failed = 1;
            while let Some(_wait) =
                Retry::DEFAULT.wait(failed, true, &UNAVAILABLE.error(), None, &budget, &random)
            {
                attempts += 1.0;
                failed += 1;
            }
        }
        println!(
            "{rate}/s for a minute: {:.3} attempts a call",
            attempts / calls
        );
        assert!(attempts / calls <= 1.2, "{attempts} for {calls}");
        assert!(attempts / calls > 1.09, "nothing was retried");
    }
}

proptest! {
    /// No history of calls gets more than the budget's own bound, whatever its size.
    #[test]
    fn no_retry_is_granted_beyond_what_the_last_ten_seconds_allow(
        seconds in prop::collection::vec((0_u64..50, 0_usize..50), 1..40),
        percent in 0_u32..=100,
        per_second in 0_u32..5,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async move {
            let budget = Budget::new();
            budget.allow(Allowance { percent, per_second });
            let mut seen: Vec<(u64, usize)> = Vec::new();
            for (calls, wishes) in seconds {
                (0..calls).for_each(|_| budget.deposit());
                let granted = (0..wishes).filter(|_| budget.withdraw()).count();
                seen.push((calls, granted));
                let last = &seen[seen.len().saturating_sub(10)..];
                let calls: u64 = last.iter().map(|(calls, _)| calls).sum();
                let retries: u64 = last.iter().map(|(_, granted)| *granted as u64).sum();
                // In hundredths of a retry, so that nothing is rounded.
                let most = u64::from(percent) * calls + 1000 * u64::from(per_second);
                prop_assert!(granted == 0 || retries * 100 <= most, "{retries} > {most}");
                // What was refused would have been too much.
                prop_assert!(granted == wishes || (retries + 1) * 100 > most);
                advance(Duration::from_secs(1)).await;
            }
            Ok(())
        })?;
    }

    /// Full jitter: anything up to the doubled base, and nothing that the deadline does not allow.
    #[test]
    fn waits_are_within_their_bounds(seed: u64, failed in 1_u32..5, remaining in 1_u64..500) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let (budget, random) = (Budget::new(), Random::seeded(seed));
        let retry = Retry { attempts_max: 5, ..Retry::DEFAULT };
        let remaining = Duration::from_millis(remaining);
        let error = UNAVAILABLE.error();
        let wait = retry.wait(failed, true, &error, Some(remaining), &budget, &random);
        if let Some(wait) = wait {
            prop_assert!(wait <= retry.base * 2_u32.pow(failed - 1));
            prop_assert!(wait < remaining);
        }
        let asked = error.retry_after(Duration::from_millis(300));
        let wait = retry.wait(failed, true, &asked, Some(remaining), &budget, &random);
        match wait {
            Some(wait) => prop_assert!(wait >= Duration::from_millis(300) && wait < remaining),
            None => prop_assert!(failed >= 5 || remaining <= Duration::from_millis(400)),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_budget_of_another_size_counts_what_was_used_before() {
    let budget = Budget::new();
    let granted = || (0..1000).filter(|_| budget.withdraw()).count();
    let allow = |percent, per_second| {
        budget.allow(Allowance {
            percent,
            per_second,
        });
    };
    (0..100).for_each(|_| budget.deposit());
    assert_eq!(
        granted(),
        20,
        "the default: 10 per cent, and ten in ten seconds"
    );
    allow(50, 1);
    assert_eq!(granted(), 40);
    allow(0, 2);
    assert_eq!(granted(), 0, "sixty were granted, and twenty are allowed");
    advance(Duration::from_secs(11)).await;
    assert_eq!(granted(), 20);
}

#[tokio::test]
async fn only_what_may_help_and_harms_nobody_is_tried_again() {
    let (budget, random) = (Budget::new(), Random::seeded(1));
    let retried = |failed, idempotent, error: &'static tenon_core::Entry| {
        Retry::DEFAULT
            .wait(failed, idempotent, &error.error(), None, &budget, &random)
            .is_some()
    };
    assert!(retried(1, true, &UNAVAILABLE) && retried(2, true, &OVERLOADED));
    assert!(!retried(3, true, &UNAVAILABLE), "a fourth attempt");
    assert!(!retried(1, false, &UNAVAILABLE), "it may have been done");
    for error in [&CIRCUIT_OPEN, &RATE_LIMITED, &DEADLINE_EXCEEDED, &INTERNAL] {
        assert!(!retried(1, true, error), "{}", error.code);
    }
}
