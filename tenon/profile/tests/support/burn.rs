//! Work for profiles to see, measured by its own CPU time: the clock on the wall tells nothing on a
//! machine that is shared.

#![allow(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// Burns until told to stop; 70 of 100 rounds in `burn_a`. The bodies differ, or the linker would
/// make one function of them.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(threads: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let work = || {
            let stop = stop.clone();
            let work = move || {
                while !stop.load(Ordering::Relaxed) {
                    burn_a(Duration::from_micros(700));
                    burn_b(Duration::from_micros(300));
                }
            };
            thread::Builder::new()
                .name("burner".to_owned())
                .spawn(work)
                .unwrap()
        };
        let threads = (0..threads).map(|_| work()).collect();
        Self { stop, threads }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

/// The CPU time of a clock.
pub(crate) fn cpu_time(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call writes the time.
    assert_eq!(unsafe { libc::clock_gettime(clock, &raw mut time) }, 0);
    Duration::new(
        time.tv_sec.cast_unsigned(),
        u32::try_from(time.tv_nsec).unwrap(),
    )
}

#[inline(never)]
pub(crate) fn burn_a(amount: Duration) -> u64 {
    let end = cpu_time(libc::CLOCK_THREAD_CPUTIME_ID) + amount;
    let mut sum = 1_u64;
    while cpu_time(libc::CLOCK_THREAD_CPUTIME_ID) < end {
        for round in 0..2000_u64 {
            sum = black_box(
                sum.wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(round),
            );
        }
    }
    sum
}

#[inline(never)]
pub(crate) fn burn_b(amount: Duration) -> u64 {
    let end = cpu_time(libc::CLOCK_THREAD_CPUTIME_ID) + amount;
    let mut sum = 7_u64;
    while cpu_time(libc::CLOCK_THREAD_CPUTIME_ID) < end {
        for round in 0..2000_u64 {
            sum = black_box(sum.rotate_left(5) ^ round.wrapping_mul(31));
        }
    }
    sum
}

/// Resolves when this process has used so much CPU time from now on.
pub(crate) async fn until_burned(amount: Duration) {
    let end = cpu_time(libc::CLOCK_PROCESS_CPUTIME_ID) + amount;
    while cpu_time(libc::CLOCK_PROCESS_CPUTIME_ID) < end {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
