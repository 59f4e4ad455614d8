//! The gradient limit before a simulated peer: it finds about what the peer can work on at once,
//! gives way when the peer slows down, and comes back.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

use std::{sync::Arc, time::Duration};

use tenon_resilience::{Limit, gradient};
use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep},
};

/// Asks a peer that works on `places` calls at once, as fast as the limit allows, and answers
/// how many calls were done and the longest time in the second half.
async fn press(
    limit: &Arc<Limit>,
    places: usize,
    work: Duration,
    time: Duration,
) -> (usize, Duration) {
    let peer = Arc::new(Semaphore::new(places));
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..200 {
        let (limit, peer) = (limit.clone(), peer.clone());
        callers.spawn(async move {
            let (mut done, mut longest) = (0, Duration::ZERO);
            while began.elapsed() < time {
                let Ok(flight) = limit.acquire() else {
                    sleep(Duration::from_millis(5)).await;
                    continue;
                };
                let asked = Instant::now();
                let place = peer.acquire().await.unwrap();
                sleep(work).await;
                drop(place);
                flight.success();
                done += 1;
                if began.elapsed() > time / 2 {
                    longest = longest.max(asked.elapsed());
                }
            }
            (done, longest)
        });
    }
    let all = callers.join_all().await;
    let done = all.iter().map(|(done, _)| done).sum();
    (done, all.iter().map(|(_, longest)| *longest).max().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_slows_down_is_asked_less_and_then_more_again() {
    let limit = Arc::new(Limit::new(gradient::Settings::default()));
    let work = Duration::from_millis(10);
    let (fast, _) = press(&limit, 200, work, Duration::from_secs(5)).await;
    let open = limit.limit();
    let (slow, longest) = press(&limit, 20, work, Duration::from_secs(10)).await;
    let narrow = limit.limit();
    let (_, _) = press(&limit, 200, work, Duration::from_secs(15)).await;
    let again = limit.limit();
    println!(
        "limit {open} at 200 places ({} a second), {narrow} at 20 ({} a second, longest {longest:?}), {again} at 200 again",
        fast / 5,
        slow / 10
    );
    assert!(open > 150, "{open}");
    assert!(narrow < open / 3, "{narrow}");
    assert!(
        slow >= 10 * 2000 * 8 / 10,
        "the slow peer was left idle: {slow}"
    );
    assert!(again > 150, "{again}");
    assert_eq!(limit.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_drops_calls_is_asked_less_and_places_come_back() {
    let limit = Limit::new(gradient::Settings::default());
    for _ in 0..100 {
        let flights: Vec<_> = (0..20).map_while(|_| limit.acquire().ok()).collect();
        sleep(Duration::from_millis(20)).await;
        flights.into_iter().for_each(|flight| flight.dropped());
    }
    assert!(limit.limit() < 64, "{}", limit.limit());
    let held: Vec<_> = (0..500).map_while(|_| limit.acquire().ok()).collect();
    assert_eq!(held.len(), limit.limit());
    drop(held);
    assert_eq!(limit.in_flight(), 0);
}
