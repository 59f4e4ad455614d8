//! A CPU profile is whole, and accounts for the CPU time that was used. One test at a time in its
//! process: another's rate would be taken, and threads that write profiles for others would be
//! counted by the clock and not by the profile.
#![allow(clippy::unwrap_used, reason = "a step that fails is a test that fails")]
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

#[path = "support/burn.rs"]
mod burn;
#[path = "support/read.rs"]
mod read;

use std::time::Duration;

use burn::{Load, burn_a, cpu_time, until_burned};
use read::{ask, profiler, read};
use tokio::sync::Mutex;

/// Held by the test that runs.
static ALONE: Mutex<()> = Mutex::const_new(());

#[tokio::test]
async fn a_profile_is_whole_and_names_the_functions_in_proportion() {
    let _alone = ALONE.lock().await;
    let _load = Load::start(1);
    let answer = profiler()
        .answer(
            ask("profile", "seconds=100&hz=250"),
            until_burned(Duration::from_secs(2)),
        )
        .await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/octet-stream");
    assert_eq!(
        answer.headers()["content-disposition"],
        "attachment; filename=\"profile\""
    );
    let profile = read(answer.body());
    profile.check_references();
    assert_eq!(
        profile.types(),
        [("samples", "count"), ("cpu", "nanoseconds")]
    );
    assert_eq!(profile.raw.period, 4_000_000);
    assert!(profile.raw.time_nanos > 0 && profile.raw.duration_nanos > 0);
    let program = profile.raw.mapping[0];
    let name = std::env::current_exe().unwrap().display().to_string();
    assert_eq!(profile.text(program.filename), name);
    assert!(program.has_functions && program.has_filenames && program.has_line_numbers);
    println!("build id {:?}", profile.text(program.build_id));
    let (a, b) = (
        profile.cumulative("whole::burn::burn_a"),
        profile.cumulative("whole::burn::burn_b"),
    );
    let share = a as f64 / (a + b) as f64;
    println!(
        "burn_a {share:.3} of burn_a and burn_b; {} samples",
        profile.raw.sample.len()
    );
    assert!((0.6..0.8).contains(&share), "{share}");
    assert!(profile.labels("thread").contains("burner"));
}

#[tokio::test]
async fn the_cpu_time_of_all_threads_is_accounted_for() {
    let _alone = ALONE.lock().await;
    for hz in [100, 250] {
        let load = Load::start(2);
        let blocking = tokio::task::spawn_blocking(|| burn_a(Duration::from_millis(700)));
        let before = cpu_time(libc::CLOCK_PROCESS_CPUTIME_ID);
        let mut used = Duration::ZERO;
        // Read when the window ends: what writes the profile afterwards is not in it.
        let end = async {
            until_burned(Duration::from_secs(2)).await;
            used = cpu_time(libc::CLOCK_PROCESS_CPUTIME_ID) - before;
        };
        let query = format!("seconds=60&hz={hz}");
        let answer = profiler().answer(ask("profile", &query), end).await;
        drop(load);
        blocking.await.unwrap();
        let profile = read(answer.body());
        let told = profile.total(1) as f64 / 1e9;
        let ratio = told / used.as_secs_f64();
        println!(
            "accounted at {hz} Hz: {told:.3} s of {:.3} s, {ratio:.3}",
            used.as_secs_f64()
        );
        assert!((0.85..1.05).contains(&ratio), "{ratio}");
    }
}
