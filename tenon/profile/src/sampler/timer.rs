//! A timer of the kernel on the CPU time of one thread: it runs while the thread runs.
//!
//! As Go has had since 1.18: `setitimer(ITIMER_PROF)` is one timer for all threads, whose signals
//! merge.

use std::{io, mem, ptr, time::Duration};

use libc::{c_int, c_long};

/// The clock of a thread is its number, inverted, with the kind of clock in the low bits: bit 2
/// for "of a thread", 2 for "time on a CPU" (`make_thread_cpuclock` of the kernel).
const fn clock_of(tid: i32) -> c_int {
    (!tid << 3) | 6
}

/// A running timer, gone when it is dropped.
#[derive(Debug)]
pub(super) struct Timer(c_int);

impl Timer {
    /// Sends `SIGPROF` with `value` to the thread for each `period` of its CPU time; the first one
    /// after `first`, so that threads started at once are not sampled at once.
    ///
    /// # Errors
    /// The kernel's: `EAGAIN` without room for another timer, `EPERM` or `ENOSYS` where a sandbox
    /// forbids timers, `EINVAL` or `ESRCH` when the thread is gone.
    pub(super) fn start(
        tid: i32,
        value: usize,
        period: Duration,
        first: Duration,
    ) -> io::Result<Self> {
        let mut id: c_int = 0;
        // SAFETY: zeroed is valid for a sigevent; the kernel reads it and writes `id`.
        let created = unsafe {
            let mut event: libc::sigevent = mem::zeroed();
            event.sigev_value.sival_ptr = ptr::without_provenance_mut(value);
            event.sigev_signo = libc::SIGPROF;
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_notify_thread_id = tid;
            libc::syscall(
                libc::SYS_timer_create,
                clock_of(tid),
                &raw mut event,
                &raw mut id,
            )
        };
        check(created)?;
        let timer = Self(id);
        let times = libc::itimerspec {
            it_interval: spec(period),
            // A first time of zero would mean "never".
            it_value: spec(first.max(Duration::from_nanos(1))),
        };
        let none: *mut libc::itimerspec = ptr::null_mut();
        // SAFETY: the timer exists, and the kernel only reads `times`.
        check(unsafe { libc::syscall(libc::SYS_timer_settime, id, 0, &raw const times, none) })?;
        Ok(timer)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: the timer is ours and deleted once. Of a thread that ended it is still there.
        unsafe { libc::syscall(libc::SYS_timer_delete, self.0) };
    }
}

fn check(returned: c_long) -> io::Result<()> {
    if returned < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn spec(duration: Duration) -> libc::timespec {
    // SAFETY: zeroed is valid for a timespec.
    let mut spec: libc::timespec = unsafe { mem::zeroed() };
    spec.tv_sec = libc::time_t::try_from(duration.as_secs()).unwrap_or(libc::time_t::MAX);
    spec.tv_nsec = c_long::from(duration.subsec_nanos().cast_signed());
    spec
}
