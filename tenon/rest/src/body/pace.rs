//! The slowest client that is waited for: a body that dawdles is ended long before the deadline of
//! a patient route (slow body, the second half of slowloris).

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep};

/// How long a body may keep us waiting in all, whatever it brought: a phone that changes networks
/// is silent for some seconds.
const GRACE: Duration = Duration::from_secs(10);
/// What each half kibibyte that came adds to that.
const BYTES_PER_SECOND_MIN: u64 = 512;

/// How long one body has kept us waiting. Only waiting counts: while nobody reads, the client
/// cannot be late.
#[derive(Debug, Default)]
pub struct Pace {
    waited: Duration,
    came: u64,
    since: Option<Instant>,
    /// Made at the first wait: most bodies have come before they are asked for.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// A piece came, or the end.
    pub fn came(&mut self, bytes: u64) {
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
        self.came = self.came.saturating_add(bytes);
    }

    /// Nothing has come yet. Resolves when the client is too slow.
    pub fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        let earned = Duration::from_millis(self.came.saturating_mul(1000) / BYTES_PER_SECOND_MIN);
        let due = since + (GRACE + earned).saturating_sub(self.waited);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        timer.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn late(pace: &mut Pace, within: Duration) -> bool {
        let late = std::future::poll_fn(|cx| pace.poll_late(cx));
        tokio::time::timeout(within, late).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_late_after_the_grace() {
        let mut pace = Pace::default();
        assert!(!late(&mut pace, Duration::from_millis(9_999)).await);
        assert!(late(&mut pace, Duration::from_millis(2)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_a_second_is_late_and_a_kibibyte_a_second_is_not() {
        for (bytes, is_late) in [(1, true), (1024, false)] {
            let mut pace = Pace::default();
            let mut seconds = 0;
            while seconds < 600 && !late(&mut pace, Duration::from_secs(1)).await {
                pace.came(bytes);
                seconds += 1;
            }
            assert_eq!(seconds < 600, is_late, "{bytes} a second: {seconds}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_reads_does_not_count() {
        let mut pace = Pace::default();
        assert!(!late(&mut pace, Duration::from_secs(5)).await);
        pace.came(1);
        tokio::time::advance(Duration::from_secs(100)).await;
        assert!(!late(&mut pace, Duration::from_secs(4)).await);
        assert!(late(&mut pace, Duration::from_secs(2)).await);
    }
}
