//! Starting, stopping, killing and pausing the processes.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{Talk, World, cohort};

/// How long a process may take until it is ready, or until it has ended.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process that was started.
pub(super) struct Process {
    child: Child,
    is_paused: bool,
}

impl World {
    /// Starts a process and waits until it says that it is ready.
    pub(crate) async fn launch(&self, name: &'static str) {
        let printed = self.printed(name);
        let before = std::fs::read(&printed).map_or(0, |text| text.len());
        let (out, log) = (appended(&printed), appended(&self.logged(name)));
        let mut command = Command::new(cohort());
        self.arguments(name, &mut command);
        command.stdin(Stdio::null()).stdout(out).stderr(log);
        let child = command.spawn().unwrap();
        let process = Process {
            child,
            is_paused: false,
        };
        self.processes.lock().unwrap().insert(name, process);
        let began = Instant::now();
        loop {
            let text = std::fs::read(&printed).unwrap();
            if text[before..]
                .split(|byte| *byte == b'\n')
                .any(|line| line == b"ready")
            {
                return;
            }
            let ended = self.with(name, |process| process.child.try_wait().unwrap());
            let tail = || std::fs::read_to_string(self.logged(name)).unwrap();
            assert!(ended.is_none(), "{name} ended at its start: {}", tail());
            assert!(
                began.elapsed() < PATIENCE,
                "{name} is not ready: {}",
                tail()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn arguments(&self, name: &str, command: &mut Command) {
        if name != "up" {
            let config = self.etc().join(format!("{name}.yaml"));
            // A second instance has the name of its service with a number behind it.
            let service = name.split('_').next().unwrap();
            command.args(["serve", service, "--config"]).arg(config);
            return;
        }
        command.arg("up").arg("--data").arg(self.data());
        for (flag, door) in [
            ("--listen", "gateway.rest"),
            ("--progress", "progress.rest"),
            ("--admin", "up.admin"),
        ] {
            command.arg(flag).arg(self.ports.address(door));
        }
        command.args(["--log-format", "json"]);
        if self.talk != Talk::Usual {
            command.args(["--log-level", "trace", "--log-repeats-max", "0"]);
        }
    }

    /// Ends a process at once, as a power cut would, and waits until it is gone.
    pub(crate) fn kill(&self, name: &'static str) {
        let mut process = self.take(name);
        process.child.kill().unwrap();
        process.child.wait().unwrap();
    }

    /// Tells a process to stop and waits until it has, which must be with exit code 0.
    pub(crate) async fn stop(&self, name: &'static str) {
        let mut process = self.take(name);
        signal(&process.child, "TERM");
        let began = Instant::now();
        let status = loop {
            if let Some(status) = process.child.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < PATIENCE, "{name} does not stop");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert_eq!(status.code(), Some(0), "{name} was told to stop");
    }

    /// Stops all processes, those first that call others.
    pub(crate) async fn stop_all(&self) {
        for name in self.arrangement.processes().iter().rev() {
            self.stop(name).await;
        }
    }

    /// Lets a process stand still: its sockets stay open and nobody answers.
    pub(crate) fn pause(&self, name: &'static str) {
        self.with(name, |process| {
            signal(&process.child, "STOP");
            process.is_paused = true;
        });
    }

    /// Lets a process go on.
    pub(crate) fn resume(&self, name: &'static str) {
        self.with(name, |process| {
            signal(&process.child, "CONT");
            process.is_paused = false;
        });
    }

    /// Brings every process back that a failed scenario left down or paused.
    pub(crate) async fn heal(&self) {
        for name in self.arrangement.processes() {
            let is_up = self
                .processes
                .lock()
                .unwrap()
                .get_mut(name)
                .is_some_and(|process| {
                    if process.is_paused {
                        signal(&process.child, "CONT");
                        process.is_paused = false;
                    }
                    process.child.try_wait().unwrap().is_none()
                });
            if !is_up {
                self.launch(name).await;
            }
        }
    }

    /// What a process printed on standard output, over all of its starts.
    pub(crate) fn printed(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.out"))
    }

    /// What a process logged, over all of its starts.
    pub(crate) fn logged(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    fn with<T>(&self, name: &str, use_it: impl FnOnce(&mut Process) -> T) -> T {
        use_it(self.processes.lock().unwrap().get_mut(name).unwrap())
    }

    fn take(&self, name: &str) -> Process {
        let process = self.processes.lock().unwrap().remove(name);
        process.unwrap_or_else(|| panic!("{name} does not run"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Those that have ended already are only forgotten.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a folder for its owner alone.
pub(super) fn private_folder(path: &Path) {
    DirBuilder::new().mode(0o700).create(path).unwrap();
}

fn appended(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.append(true).create(true).open(path).unwrap()
}

/// The shell's own `kill`: not every machine has the program.
fn signal(child: &Child, name: &str) {
    let command = format!("kill -{name} {}", child.id());
    let sent = Command::new("sh").args(["-c", &command]).status().unwrap();
    assert!(sent.success(), "{command}");
}
