//! CPU profiles of this very process: what they account for, whom they name, and how requests for
//! them are answered.
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
    future::pending,
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use burn::{Load, burn_a, burn_b, until_burned};
use read::{ask, profiler, read};
use tenon_profile::{Label, handler, labelled};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_is_told_apart_by_route_and_starts_at_the_handler() {
    let routes = [("GET /heavy", 9), ("GET /light", 3)];
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for (route, share) in routes {
        let (label, stop) = (Label::new(route), stop.clone());
        tasks.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let work = handler(async move { burn_a(Duration::from_millis(share)) });
                labelled(label, work).await;
                tokio::time::sleep(Duration::from_millis(4)).await;
            }
        }));
    }
    let answer = profiler()
        .answer(
            ask("profile", "seconds=100"),
            until_burned(Duration::from_secs(1)),
        )
        .await;
    let full = profiler()
        .answer(
            ask("profile", "seconds=100&full=1"),
            until_burned(Duration::from_millis(300)),
        )
        .await;
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    let profile = read(answer.body());
    let (heavy, light) = (
        profile.of_route("GET /heavy"),
        profile.of_route("GET /light"),
    );
    println!("GET /heavy {heavy} ns, GET /light {light} ns");
    assert!(heavy > light && light > 0);
    let stacks = profile.stacks_of_route("GET /heavy");
    assert!(
        stacks
            .iter()
            .all(|stack| !stack.iter().any(|name| name.contains("tokio::runtime"))),
        "{stacks:#?}"
    );
    let full = read(full.body());
    let stacks = full.stacks_of_route("GET /heavy");
    assert!(
        stacks
            .iter()
            .any(|stack| stack.iter().any(|name| name.contains("tokio::runtime"))),
        "{stacks:#?}"
    );
}

#[tokio::test]
async fn a_scraper_and_a_person_share_the_sampler_and_each_sums_its_own_window() {
    let _load = Load::start(1);
    let profiler = profiler();
    let window = |amount| {
        let end = until_burned(Duration::from_millis(amount));
        profiler.answer(ask("profile", "seconds=100"), end)
    };
    // Windows one after the other with a gap between, as scrapers ask for 14 of each 15 seconds,
    // and a person's window over the end of one and the start of the next.
    let scraper = async {
        let mut windows = Vec::new();
        for _ in 0..3 {
            windows.push(window(700).await);
            until_burned(Duration::from_millis(50)).await;
        }
        windows
    };
    let person = async {
        until_burned(Duration::from_millis(400)).await;
        window(500).await
    };
    let (scraped, person) = tokio::join!(scraper, person);
    let burned = |answer: &http::Response<Vec<u8>>| {
        assert_eq!(answer.status(), 200);
        read(answer.body()).cumulative("cpu::burn::burn_a")
    };
    let scraped: Vec<i64> = scraped.iter().map(burned).collect();
    let person = burned(&person);
    println!("ns of burn_a: the scraper's windows {scraped:?}, the person's {person}");
    assert!(scraped.iter().all(|&window| window > 0) && person > 0);
    assert!(person < scraped.iter().sum());
}

#[tokio::test]
async fn a_caller_that_leaves_ends_its_session_and_one_too_many_is_refused() {
    let profiler = profiler();
    let asked = || profiler.answer(ask("profile", "seconds=60"), pending());
    let mut waiting = Vec::new();
    let refused = loop {
        let mut next = Box::pin(asked());
        match futures_util::poll!(next.as_mut()) {
            std::task::Poll::Pending => waiting.push(next),
            std::task::Poll::Ready(answer) => break answer,
        }
        assert!(waiting.len() <= 8);
    };
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["x-go-pprof"], "1");
    drop(waiting);
    let answer = profiler
        .answer(ask("profile", "seconds=0.1"), pending())
        .await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_process_that_stops_answers_with_what_it_has() {
    let _load = Load::start(1);
    let stopping = until_burned(Duration::from_millis(200));
    let begun = Instant::now();
    let answer = profiler()
        .answer(ask("profile", "seconds=250"), stopping)
        .await;
    assert!(begun.elapsed() < Duration::from_secs(120));
    assert!(read(answer.body()).total(0) > 0);
}

#[tokio::test]
async fn requests_are_answered_as_go_answers_them() {
    let profiler = profiler();
    for (path, query, status, text) in [
        (
            "profile",
            "seconds=301",
            400,
            "seconds must be at most 300\n",
        ),
        (
            "profile",
            "hz=1000",
            400,
            "hz must be a number from 1 to 250\n",
        ),
        (
            "profile",
            "format=png",
            400,
            "format must be pprof, svg, folded or json\n",
        ),
        (
            "heap",
            "",
            404,
            "heap profiling is not compiled in: turn the feature heap-profiling of tenon on\n",
        ),
        (
            "allocs",
            "seconds=1",
            404,
            "heap profiling is not compiled in: turn the feature heap-profiling of tenon on\n",
        ),
        ("nothing", "", 404, "Unknown profile\n"),
    ] {
        if cfg!(feature = "heap-profiling") && ["heap", "allocs"].contains(&path) {
            continue;
        }
        let answer = profiler.answer(ask(path, query), pending()).await;
        assert_eq!(
            (
                answer.status().as_u16(),
                String::from_utf8_lossy(answer.body()).as_ref()
            ),
            (status, text)
        );
        assert_eq!(
            answer.headers()["content-type"],
            "text/plain; charset=utf-8"
        );
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers()["x-go-pprof"], "1");
    }
}

#[tokio::test]
async fn what_rust_does_not_have_is_answered_as_scrapers_need_it() {
    let profiler = profiler();
    let trace = profiler.answer(ask("trace", ""), pending()).await;
    assert_eq!(trace.status(), 501);
    let invalid = profiler
        .answer(ask("profile", "seconds=abc"), async {})
        .await;
    assert_eq!(invalid.status(), 200);
    assert_eq!(
        invalid.headers()["x-pprof-note"],
        "invalid seconds, used 30"
    );
    for name in ["block", "mutex", "threadcreate"] {
        let answer = profiler.answer(ask(name, ""), pending()).await;
        assert_eq!(answer.status(), 200, "{name}");
        assert!(read(answer.body()).raw.sample.is_empty());
    }
    let index = profiler.answer(ask("", ""), pending()).await;
    let index = String::from_utf8_lossy(index.body()).into_owned();
    assert!(index.contains("<title>/debug/pprof/</title>") && index.contains("format=svg"));
    let cmdline = profiler.answer(ask("cmdline", ""), pending()).await;
    assert!(String::from_utf8_lossy(cmdline.body()).contains("cpu"));
}

#[tokio::test]
async fn every_format_shows_the_same_work() {
    let _load = Load::start(1);
    for (format, kind, expected) in [
        ("svg", "image/svg+xml", "cpu::burn::burn_a"),
        ("folded", "text/plain; charset=utf-8", ";cpu::burn::burn_a"),
        ("json", "application/json", "\"name\":\"cpu::burn::burn_a\""),
    ] {
        let answer = profiler()
            .answer(
                ask("profile", &format!("seconds=100&format={format}")),
                until_burned(Duration::from_millis(200)),
            )
            .await;
        assert_eq!(answer.headers()["content-type"], kind);
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        assert!(text.contains(expected), "{format}: {text}");
    }
}

#[tokio::test]
async fn an_address_has_a_name() {
    let address = burn_b as fn(Duration) -> u64 as usize;
    let mut ask = ask("symbol", "");
    ask.method = http::Method::POST;
    ask.body = format!("{address:#x}+0x1").into_bytes();
    let answer = profiler().answer(ask, pending()).await;
    let text = String::from_utf8_lossy(answer.body()).into_owned();
    assert_eq!(
        text,
        format!("num_symbols: 1\n{address:#x} cpu::burn::burn_b\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[expect(
    clippy::await_holding_lock,
    reason = "another thread is to be stuck in it meanwhile"
)]
async fn a_thread_stuck_in_a_lock_and_a_request_in_flight_are_seen() {
    let lock = Arc::new(std::sync::Mutex::new(()));
    let held = lock.lock().unwrap();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let stuck = {
        let lock = lock.clone();
        let wait = move || {
            ready.send(()).unwrap();
            stuck_in_a_lock(&lock);
        };
        thread::Builder::new()
            .name("stuck".to_owned())
            .spawn(wait)
            .unwrap()
    };
    is_ready.recv().unwrap();
    let request = tokio::spawn(labelled(Label::new("GET /waiting"), pending::<()>()));
    // It is asked until the thread has reached its lock.
    let (all, each) = loop {
        tokio::task::yield_now().await;
        let all = profiler().answer(ask("goroutine", ""), pending()).await;
        let each = profiler()
            .answer(ask("goroutine", "debug=2"), pending())
            .await;
        let each = String::from_utf8_lossy(each.body()).into_owned();
        if each.contains("cpu::stuck_in_a_lock") && each.contains("GET /waiting") {
            break (read(all.body()), each);
        }
    };
    assert_eq!(all.types(), [("goroutine", "count")]);
    assert!(all.labels("thread").contains("stuck"));
    assert!(each.contains("\"stuck\" [sleeping]"), "{each}");
    let text = profiler()
        .answer(ask("goroutine", "debug=1"), pending())
        .await;
    let text = String::from_utf8_lossy(text.body()).into_owned();
    assert!(
        text.contains("cpu::stuck_in_a_lock") && text.contains("request GET /waiting"),
        "{text}"
    );
    request.abort();
    drop(held);
    stuck.join().unwrap();
}

#[inline(never)]
fn stuck_in_a_lock(lock: &std::sync::Mutex<()>) {
    drop(black_box(lock.lock()));
}

/// Its file is read only for the addresses of samples.
#[tokio::test]
async fn a_window_without_samples_says_nothing_of_missing_symbols() {
    let answer = profiler()
        .answer(ask("profile", "seconds=0.01"), pending())
        .await;
    let profile = read(answer.body());
    for comment in &profile.raw.comment {
        assert!(!profile.text(*comment).contains("symbols"));
    }
}
