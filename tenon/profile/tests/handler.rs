//! The signal handler allocates nothing, and survives what a process does to it: panics, threads
//! that come and go, storms of allocations, libraries that are loaded and unloaded, and profiles
//! that start and stop all the while.
#![allow(clippy::unwrap_used, reason = "a step that fails is a test that fails")]
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

#[path = "support/burn.rs"]
mod burn;
#[path = "support/read.rs"]
mod read;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    hint::black_box,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use burn::{Load, burn_a, until_burned};
use read::{Profile, ask, profiler, read};

/// How long the torture lasts: enough for thousands of samples, and bearable for everybody.
const TORTURE: Duration = Duration::from_secs(10);
/// A process that hangs so long is hung.
const WATCHDOG: Duration = Duration::from_secs(300);

thread_local! {
    static BURNS: Cell<bool> = const { Cell::new(false) };
}
static ALLOCATED_WHILE_BURNING: AtomicU64 = AtomicU64::new(0);

/// Counts what is allocated by a thread that itself allocates nothing: only a signal handler that
/// interrupts it can.
struct Counting;

// With the feature jemalloc is the allocator of the program, and there can be one only.
#[cfg(not(feature = "heap-profiling"))]
#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if BURNS.try_with(Cell::get).unwrap_or(false) {
            ALLOCATED_WHILE_BURNING.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[test]
fn the_handler_allocates_nothing() {
    let stop = AtomicBool::new(false);
    let profile = thread::scope(|scope| {
        scope.spawn(|| {
            BURNS.set(true);
            while !stop.load(Ordering::Relaxed) {
                burn_a(Duration::from_millis(1));
            }
            BURNS.set(false);
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let asked = || async {
            let window = until_burned(Duration::from_secs(1));
            profiler()
                .answer(ask("profile", "seconds=60&hz=250"), window)
                .await
        };
        let answer =
            thread::scope(|inner| inner.spawn(|| runtime.block_on(asked())).join().unwrap());
        stop.store(true, Ordering::Relaxed);
        read(answer.body())
    });
    let samples = profile.total(0);
    let allocated = ALLOCATED_WHILE_BURNING.load(Ordering::Relaxed);
    println!("{samples} periods sampled, {allocated} allocations by the handler");
    assert!(shows(&profile, "handler::burn::burn_a"));
    assert_eq!(allocated, 0);
}

/// What a process may be doing while it is sampled, over and over.
fn torments() -> Vec<(&'static str, fn())> {
    vec![
        ("panic", || {
            let caught = std::panic::catch_unwind(|| deep(40));
            assert!(caught.is_err());
        }),
        ("threads", || {
            let threads: Vec<_> = (0..8)
                .map(|_| thread::spawn(|| burn_a(Duration::from_micros(200))))
                .collect();
            for thread in threads {
                thread.join().unwrap();
            }
        }),
        ("allocations", || {
            let blocks: Vec<Vec<u8>> = (1..500).map(|size| vec![1; size * 37]).collect();
            black_box(blocks);
        }),
        ("libraries", load_and_unload),
        ("syscalls", || {
            drop(black_box(std::fs::read("/proc/self/stat")))
        }),
    ]
}

#[inline(never)]
fn deep(levels: u32) {
    if levels == 0 {
        std::panic::resume_unwind(Box::new("on purpose"));
    }
    deep(levels - 1);
    black_box(levels);
}

fn load_and_unload() {
    // SAFETY: the name ends with zero, and a library of mathematics has no initializers that matter.
    unsafe {
        let library = libc::dlopen(c"libm.so.6".as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL);
        if !library.is_null() {
            libc::dlclose(library);
        }
        let library = libc::dlopen(c"libanl.so.1".as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL);
        if !library.is_null() {
            libc::dlclose(library);
        }
    }
}

/// Ends the process when it hangs: its runner would hang with it.
fn watch(done: &AtomicBool) {
    let begun = Instant::now();
    while !done.load(Ordering::Relaxed) {
        if begun.elapsed() > WATCHDOG {
            std::process::abort();
        }
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_tortured_process_neither_hangs_nor_dies() {
    let done = AtomicBool::new(false);
    let end = Instant::now() + TORTURE;
    thread::scope(|scope| {
        scope.spawn(|| watch(&done));
        let workers: Vec<_> = torments()
            .into_iter()
            .map(|(_, torment)| {
                scope.spawn(move || {
                    let mut rounds = 0_u64;
                    while Instant::now() < end {
                        torment();
                        rounds += 1;
                    }
                    rounds
                })
            })
            .collect();
        let (mut sessions, mut samples) = (0, 0);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        while Instant::now() < end {
            // Starts and stops two hundred times a second at best, names only now and then.
            runtime.block_on(async {
                let dropped = profiler();
                let mut asked = Box::pin(
                    dropped.answer(ask("profile", "seconds=9&hz=250"), std::future::pending()),
                );
                let wait = tokio::time::sleep(Duration::from_millis(5));
                tokio::select! {
                    _ = asked.as_mut() => {}
                    () = wait => {}
                }
            });
            sessions += 1;
            if sessions % 50 == 0 {
                let window = until_burned(Duration::from_millis(200));
                let answer =
                    runtime.block_on(profiler().answer(ask("profile", "seconds=9&hz=250"), window));
                assert_eq!(answer.status(), 200);
                samples += read(answer.body()).total(0);
                let threads = runtime
                    .block_on(profiler().answer(ask("goroutine", ""), std::future::pending()));
                assert_eq!(threads.status(), 200);
            }
        }
        let rounds: Vec<u64> = workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect();
        done.store(true, Ordering::Relaxed);
        println!(
            "{sessions} sessions, {samples} periods in those that were read; rounds {rounds:?}"
        );
        assert!(sessions > 0);
    });
    // The sampler still works.
    let _load = Load::start(1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let window = until_burned(Duration::from_millis(300));
    let answer = runtime.block_on(profiler().answer(ask("profile", "seconds=60"), window));
    assert!(shows(&read(answer.body()), "burn_a"));
}

/// Whether the work was sampled, and named where the build of this test has symbols: it is also
/// run on builds that have none.
fn shows(profile: &Profile, function: &str) -> bool {
    let is_named = profile.raw.mapping[0].has_functions;
    profile.total(0) > 0 && (!is_named || profile.cumulative(function) > 0)
}
