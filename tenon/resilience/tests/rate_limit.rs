//! Rate limits against a plain token bucket, and their bounded memory.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

use std::{future::Future, time::Duration};

use proptest::prelude::*;
use tenon_resilience::rate_limit::{Bucket, Keyed, Rate};
use tokio::time::{Instant, advance};

fn paused<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(work)
}

proptest! {
    /// A bucket of `burst` tokens into which they fall at the rate, counted in whole
    /// milliseconds, so that neither side rounds.
    #[test]
    fn a_limit_is_a_token_bucket(
        gap_ms in 1_u64..50, burst in 1_u32..20,
        pauses in prop::collection::vec(0_u64..120, 1..300),
    ) {
        paused(async move {
            let rate = Rate {
                requests: 1000,
                per: Duration::from_millis(gap_ms * 1000),
                burst,
            };
            let (bucket, keyed) = (Bucket::new(rate), Keyed::new(rate));
            // In parts of a token, one for each millisecond of the gap.
            let depth = gap_ms * u64::from(burst);
            let mut tokens = depth;
            for pause in pauses {
                advance(Duration::from_millis(pause)).await;
                tokens = (tokens + pause).min(depth);
                let allowed = tokens >= gap_ms;
                if allowed {
                    tokens -= gap_ms;
                }
                let now = Instant::now();
                let decision = bucket.take(now);
                prop_assert_eq!(decision, keyed.take("nurse-1", now));
                prop_assert_eq!(decision.allowed, allowed);
                if allowed {
                    prop_assert_eq!(u64::from(decision.remaining), tokens / gap_ms);
                    prop_assert_eq!(decision.reset, Duration::from_millis(depth - tokens));
                } else {
                    let wait = Duration::from_millis(gap_ms - tokens);
                    prop_assert_eq!(decision.retry_after, wait);
                    // Exactly then one more may come, and not a moment before.
                    let just_before = now + wait - Duration::from_nanos(1);
                    prop_assert!(!bucket.take(just_before).allowed);
                }
            }
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_apart_and_their_memory_is_bounded() {
    let rate = Rate {
        requests: 2,
        per: Duration::from_secs(60),
        burst: 2,
    };
    let keyed = Keyed::new(rate);
    let now = Instant::now();
    assert!(keyed.take("a", now).allowed && keyed.take("a", now).allowed);
    assert!(!keyed.take("a", now).allowed);
    assert!(keyed.take("b", now).allowed);
    for stranger in 0..200_000_u32 {
        let _ = keyed.take(stranger, now);
    }
    assert!(keyed.len() <= 65_536, "{}", keyed.len());
    println!("200,000 callers: {} are kept", keyed.len());
    // Who owes most is remembered longest: a flood of strangers frees nobody.
    assert!(!keyed.take("a", now).allowed);
    advance(Duration::from_secs(61)).await;
    assert!(keyed.take("a", Instant::now()).allowed);
}

#[test]
fn threads_together_get_what_the_limit_says() {
    let rate = Rate {
        requests: 1,
        per: Duration::from_secs(3600),
        burst: 1000,
    };
    let (bucket, keyed) = (Bucket::new(rate), Keyed::new(rate));
    let now = Instant::now();
    let taken = std::thread::scope(|scope| {
        let take = || {
            let mine = (0..1000).filter(|_| bucket.take(now).allowed).count();
            let keyed = (0..1000).filter(|_| keyed.take(7, now).allowed).count();
            (mine, keyed)
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
        let all = threads.into_iter().map(|thread| thread.join().unwrap());
        all.fold((0, 0), |(a, b), (c, d)| (a + c, b + d))
    });
    assert_eq!(taken, (1000, 1000));
}
