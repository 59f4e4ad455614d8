//! The image: the last stage of the Dockerfile, built by buildah around the static program, and run
//! by podman with what `compose.yaml` asks for. The stage before it compiles the program, which the
//! test of the static program does as well.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{image::program, run, said};

const DOCKERFILE: &str = include_str!("../../../deploy/Dockerfile");
const IMAGE: &str = "localhost/cohort:test";
const NAME: &str = "cohort";
/// Machines that test are busy.
const PATIENCE: Duration = Duration::from_secs(90);

/// Ways to start a container where systemd does not run, the usual one first: the runtime of some
/// distributions does not know every arrangement of control groups.
const WAYS: [&[&str]; 3] = [
    &[],
    &["--cgroup-manager", "cgroupfs"],
    &["--cgroup-manager", "cgroupfs", "--runtime", "runc"],
];

#[test]
fn the_image_runs_as_compose_runs_it() {
    let Some(program) = program() else { return };
    let Some(mut engine) = Engine::with_image(program) else {
        return;
    };
    if !engine.finds_its_way() {
        return;
    }
    let user = engine.podman(&["image", "inspect", IMAGE, "--format", "{{.User}}"]);
    assert_eq!(said(&user).trim(), "65532:65532");

    // Nothing but its own loopback: what it says of itself is asked from within.
    let mut start = vec!["run", "--detach", "--name", NAME, "--network", "none"];
    start.extend(engine.as_compose());
    start.push(IMAGE);
    engine.does(&start);
    let began = Instant::now();
    engine.becomes_healthy();
    println!(
        "container: healthy {:.1?} after it was started",
        began.elapsed()
    );
    engine.does(&[
        "exec",
        NAME,
        "/cohort",
        "audit",
        "verify",
        "--data",
        "/data/cohort",
    ]);
    engine.stops_well();

    // The same container, on the volume that it left.
    engine.does(&["start", NAME]);
    engine.becomes_healthy();
    engine.stops_well();
    let logs = said(&engine.podman(&["logs", NAME]));
    let lines = |start: &str| logs.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!(
        (lines("ready"), lines("administrator admin ")),
        (2, 1),
        "{logs}"
    );
}

/// An engine whose images and containers stand in a folder of this test.
struct Engine {
    folder: TempDir,
    way: &'static [&'static str],
}

impl Engine {
    /// `None` where buildah or podman is not here, or this user may not build.
    fn with_image(program: &Path) -> Option<Self> {
        run(Command::new("podman").arg("--version"))?;
        run(Command::new("buildah").arg("--version"))?;
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        fs::create_dir_all(image.join("data")).unwrap();
        fs::set_permissions(image.join("data"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::copy(program, image.join("cohort")).unwrap();
        fs::set_permissions(image.join("cohort"), fs::Permissions::from_mode(0o555)).unwrap();
        fs::write(folder.path().join("Dockerfile"), last_stage()).unwrap();
        let engine = Self { folder, way: &[] };
        if !engine.may_mount() {
            println!("skipped: the image (buildah may not mount anything here)");
            return None;
        }
        // Docker's format: the other one has no health check.
        let mut build = engine.command("buildah");
        build.args(["bud", "--isolation", "chroot", "--format", "docker"]);
        let built = build.args(["--tag", IMAGE]).arg(engine.folder.path());
        let built = built.output().unwrap();
        assert!(built.status.success(), "{}", said(&built));
        engine.holds_the_program();
        Some(engine)
    }

    /// Whether images can be built: that takes the right to mount, which neither every user has
    /// nor the root of every container.
    fn may_mount(&self) -> bool {
        let made = self.command("buildah").args(["from", "scratch"]).output();
        let name = said(&made.unwrap());
        let mounted = self
            .command("buildah")
            .args(["mount", name.trim()])
            .output();
        mounted.unwrap().status.success()
    }

    /// What is in the image runs, in a root of its own, whether or not containers can be started.
    fn holds_the_program(&self) {
        let made = self.command("buildah").args(["from", IMAGE]).output();
        let name = said(&made.unwrap());
        let mut run = self.command("buildah");
        run.args(["run", "--isolation", "chroot", name.trim()]);
        let run = run.args(["--", "/cohort", "version"]).output().unwrap();
        assert!(said(&run).starts_with("cohort "), "{name}{}", said(&run));
    }

    /// Whether a container can be started at all, and how.
    fn finds_its_way(&mut self) -> bool {
        let mut why = String::new();
        for way in WAYS {
            self.way = way;
            let mut try_it = vec!["run", "--rm", "--network", "none"];
            try_it.extend(self.as_compose());
            try_it.extend([IMAGE, "version"]);
            let tried = self.podman(&try_it);
            // From 125 to 127 it is podman or its runtime that could not, else the program.
            if !matches!(tried.status.code(), Some(125..=127)) {
                assert!(tried.status.success(), "{}", said(&tried));
                return true;
            }
            why = said(&tried);
        }
        let why = why.lines().last().unwrap_or_default();
        println!("skipped: the image in a container (podman cannot start one here: {why})");
        false
    }

    /// What `compose.yaml` asks for, with the limits that this machine can give.
    fn as_compose(&self) -> Vec<&'static str> {
        vec![
            "--read-only",
            "--cap-drop",
            "ALL",
            "--security-opt",
            "no-new-privileges",
            "--pids-limit",
            "256",
            "--memory",
            "1g",
            "--ulimit",
            "nofile=4096:4096",
            "--ulimit",
            "nproc=1024:1024",
            "--log-driver",
            "k8s-file",
        ]
    }

    fn becomes_healthy(&self) {
        let began = Instant::now();
        loop {
            let health = self.podman(&["healthcheck", "run", NAME]);
            if health.status.success() {
                return;
            }
            let logs = || said(&self.podman(&["logs", NAME]));
            assert!(began.elapsed() < PATIENCE, "{}{}", said(&health), logs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Told to stop as `docker stop` tells it, it ends by itself.
    fn stops_well(&self) {
        self.does(&["stop", "--time", "40", NAME]);
        let ended = self.podman(&["inspect", NAME, "--format", "{{.State.ExitCode}}"]);
        assert_eq!(said(&ended).trim(), "0");
    }

    fn does(&self, arguments: &[&str]) {
        let done = self.podman(arguments);
        assert!(done.status.success(), "{arguments:?}: {}", said(&done));
    }

    fn podman(&self, arguments: &[&str]) -> Output {
        let mut command = self.command("podman");
        // Errors of the engine about systemd, which does not run here, are not the test's.
        command.args(["--log-level", "fatal"]).args(self.way);
        command.args(arguments).output().unwrap()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (flag, folder) in [("--root", "images"), ("--runroot", "run")] {
            command.arg(flag).arg(self.folder.path().join(folder));
        }
        // The one that works on every file system.
        command.args(["--storage-driver", "vfs"]);
        command
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.podman(&["rm", "--force", "--time", "0", "--volumes", NAME]);
    }
}

/// From its `FROM` on, with what it copies beside it.
fn last_stage() -> String {
    let stage = DOCKERFILE.rfind("\nFROM scratch\n").unwrap();
    let stage = DOCKERFILE[stage..].replace("--from=build ", "");
    assert_eq!(stage.matches(" /image/").count(), 2, "{stage}");
    stage.replace(" /image/", " image/")
}
