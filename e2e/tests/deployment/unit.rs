//! The systemd unit: systemd itself reads it, and its filter of system calls lets the program work.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use crate::{run, said};

const UNIT: &str = include_str!("../../../deploy/systemd/cohort.service");

/// The exposure that `systemd-analyze security` may give it at most, of 10, times ten.
const EXPOSURE_MAX: &str = "20";

#[test]
fn systemd_reads_the_unit_and_finds_it_closed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cohort.service");
    // The program stands where it was built.
    let here = e2e::cohort().display().to_string();
    fs::write(&path, UNIT.replace("/usr/local/bin/cohort", &here)).unwrap();
    let Some(read) = run(Command::new("systemd-analyze").arg("verify").arg(&path)) else {
        return;
    };
    assert!(
        read.status.success() && !said(&read).contains("cohort.service"),
        "{}",
        said(&read)
    );
    let judged = run(Command::new("systemd-analyze")
        .args([
            "security",
            "--no-pager",
            "--offline=true",
            "--threshold",
            EXPOSURE_MAX,
        ])
        .arg(&path));
    let judged = judged.unwrap();
    if said(&judged).contains("unrecognized option") {
        println!("skipped: systemd-analyze security (this version needs a running systemd)");
        return;
    }
    assert!(judged.status.success(), "{}", said(&judged));
    let verdict = said(&judged);
    println!(
        "systemd: {}",
        verdict
            .lines()
            .last()
            .unwrap_or_default()
            .trim_start_matches(['→', ' '])
    );
}

#[test]
fn its_command_line_is_one_and_its_grace_is_long_enough() {
    let value = |key: &str| {
        let mut lines = UNIT.lines();
        lines
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .unwrap()
    };
    let command = value("ExecStart")
        .strip_prefix("/usr/local/bin/cohort ")
        .unwrap();
    let checked = Command::new(e2e::cohort())
        .args(command.split(' '))
        .arg("--check")
        .output();
    let checked = checked.unwrap();
    assert!(checked.status.success(), "{}", said(&checked));
    let seconds: u64 = value("TimeoutStopSec").parse().unwrap();
    assert!(
        seconds > 25 + 2,
        "drain delay and grace take longer than {seconds} s"
    );
}

#[test]
fn the_system_calls_of_the_program_are_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let Some(called) = trace_of(folder.path(), &trace) else {
        return;
    };
    let Some(allowed) = allowed() else { return };
    let refused: Vec<_> = called.difference(&allowed).collect();
    assert!(
        called.contains("fsync") || called.contains("fdatasync"),
        "it stored nothing: {called:?}"
    );
    assert!(refused.is_empty(), "the unit does not allow {refused:?}");
    println!(
        "system calls: {} used, all of {} allowed",
        called.len(),
        allowed.len()
    );
}

/// Which system calls a life from first start to stop makes, its demonstration included.
fn trace_of(folder: &Path, trace: &Path) -> Option<BTreeSet<String>> {
    run(Command::new("strace").arg("-V"))?;
    // The process is told to stop by the id in its lock, because its parent is the tracer.
    let script = r#"
        strace -f -qqq -e signal=none -o "$2" "$0" up --demo --data "$1/data" --log-level error \
            --listen 127.0.0.1:0 --progress 127.0.0.1:0 --admin 127.0.0.1:0 >"$1/said" &
        until grep -q ready "$1/said"; do kill -0 $! || exit 1; sleep 0.1; done
        kill -TERM "$(cat "$1/data/lock")"
        wait $!"#;
    let ran = run(Command::new("sh")
        .args(["-c", script])
        .arg(e2e::cohort())
        .args([folder, trace]))?;
    if said(&ran).contains("ptrace") {
        println!("skipped: strace may not trace here");
        return None;
    }
    assert!(ran.status.success(), "{}", said(&ran));
    let text = fs::read_to_string(trace).unwrap();
    // `1234 openat(...)`, `1234 <... openat resumed>`.
    let names = text.lines().filter_map(|line| {
        let call = line.split_once(' ')?.1.trim_start();
        Some(call.split_once('(')?.0.to_owned()).filter(|name| {
            name.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        })
    });
    let mut called: BTreeSet<String> = names.collect();
    // SQLite gives its log the owner of the database where it is root, which the unit's user is not.
    called.remove("fchown");
    Some(called)
}

/// What the filters of the unit allow together, as systemd expands its groups.
fn allowed() -> Option<BTreeSet<String>> {
    let mut allowed = BTreeSet::new();
    for filter in UNIT
        .lines()
        .filter_map(|line| line.strip_prefix("SystemCallFilter="))
    {
        let (is_refusal, groups) = match filter.strip_prefix('~') {
            Some(groups) => (true, groups),
            None => (false, filter),
        };
        for group in groups.split(' ') {
            for name in expanded(group)? {
                if is_refusal {
                    allowed.remove(&name);
                } else {
                    allowed.insert(name);
                }
            }
        }
    }
    Some(allowed)
}

/// The system calls of a group, those of the groups in it included.
fn expanded(group: &str) -> Option<BTreeSet<String>> {
    let output =
        run(Command::new("systemd-analyze").args(["syscall-filter", "--no-pager", group]))?;
    let mut found = BTreeSet::new();
    for line in said(&output).lines().skip(1) {
        let name = line.trim();
        if name.starts_with('@') {
            found.extend(expanded(name)?);
        } else if !name.is_empty() && !name.starts_with('#') {
            found.insert(name.to_owned());
        }
    }
    Some(found)
}
