//! Heap profiles: what leaks is blamed on who leaks it.
#![allow(clippy::unwrap_used, reason = "a step that fails is a test that fails")]
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

#[path = "support/read.rs"]
mod read;

use std::{future::pending, hint::black_box, time::Duration};

use read::{ask, profiler, read};

#[inline(never)]
fn leak_some() {
    for _ in 0..50 {
        black_box(vec![1_u8; 1 << 20].leak());
    }
}

#[inline(never)]
fn waste_some() {
    for _ in 0..50 {
        drop(black_box(vec![1_u8; 1 << 20]));
    }
}

#[tokio::test]
async fn what_leaks_is_blamed_on_who_leaks_it() {
    let work = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        leak_some();
        waste_some();
    };
    let profiler = profiler();
    let heap = profiler.answer(ask("heap", "seconds=60"), work).await;
    assert_eq!(heap.status(), 200);
    let heap = read(heap.body());
    heap.check_references();
    let names = [
        "alloc_objects",
        "alloc_space",
        "inuse_objects",
        "inuse_space",
    ];
    assert_eq!(
        heap.types()
            .iter()
            .map(|(name, _)| *name)
            .collect::<Vec<_>>(),
        names
    );
    let of = |function: &str, column: usize| {
        let samples = heap.raw.sample.iter();
        let with = samples.filter(|sample| {
            heap.stack(sample)
                .iter()
                .any(|name| name.contains(function))
        });
        with.map(|sample| sample.value[column]).sum::<i64>() as f64 / f64::from(1 << 20)
    };
    let (held, allocated) = (of("heap::leak_some", 3), of("heap::leak_some", 1));
    let (wasted_held, wasted) = (of("heap::waste_some", 3), of("heap::waste_some", 1));
    println!(
        "leaked {held:.1} MiB of {allocated:.1}; wasted {wasted:.1} MiB, of which {wasted_held:.1} held"
    );
    assert!((45.0..55.0).contains(&held), "{held}");
    assert!(allocated >= held && (40.0..60.0).contains(&wasted) && wasted_held < 5.0);
    for sample in &heap.raw.sample {
        let stack = heap.stack(sample);
        let leaf = stack.first().copied().unwrap_or_default();
        assert!(
            !leaf.contains("prof_backtrace") && !leaf.contains("__rust_alloc"),
            "{stack:?}"
        );
    }
    // What came before a window is not in it.
    let later = profiler.answer(ask("heap", "seconds=0.1"), pending()).await;
    assert!(read(later.body()).cumulative("heap::leak_some") == 0);
    let allocs = profiler.answer(ask("allocs", ""), pending()).await;
    assert!(read(allocs.body()).cumulative("heap::leak_some") > 0);
    let text = profiler.answer(ask("heap", "debug=1"), pending()).await;
    assert!(text.body().starts_with(b"heap_v2/"));
}
