//! A Python with the packages of independent gRPC implementations.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// A Python that has these packages and can import these modules: the system's, or one in a
/// folder of the build that is made once. Prints why there is none.
pub fn python(folder: &str, packages: &[&str], modules: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
    let own = folder.join("bin/python");
    let _alone = alone(&folder);
    let has = |python: &Path| run(Command::new(python).args(["-c", &format!("import {modules}")]));
    for python in [PathBuf::from("python3"), own.clone()] {
        if has(&python) {
            return Some(python);
        }
    }
    let made = run(Command::new("python3").args(["-m", "venv"]).arg(&folder))
        && run(Command::new(&own)
            .args(["-m", "pip", "install", "--quiet", "--only-binary=:all:"])
            .args(["--timeout=5", "--retries=1"])
            .args(packages));
    if made && has(&own) {
        return Some(own);
    }
    println!("skipped: no Python with {packages:?}, and they could not be installed");
    None
}

/// Keeps other tests, of this process or another, out of the folder until it is dropped. Half an
/// installation imports already, and then fails in the middle of a test.
fn alone(folder: &Path) -> File {
    let lock = folder.with_extension("lock");
    let file = File::create(&lock).unwrap_or_else(|error| panic!("{}: {error}", lock.display()));
    file.lock()
        .unwrap_or_else(|error| panic!("{}: {error}", lock.display()));
    file
}

/// Whether the command ends well within two minutes.
fn run(command: &mut Command) -> bool {
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else {
        return false;
    };
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(120) {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => std::thread::sleep(Duration::from_millis(50)),
            Err(_) => break,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// A script beside these tests.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/interop")
        .join(name)
}
