//! An empty root folder with the program, and the processes that run in it as nobody in particular.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take: machines that test are busy.
const PATIENCE: Duration = Duration::from_secs(90);

/// The user of the image.
const USER: u32 = 65532;

/// A folder that is a whole root: the program, its data, and the two sources of randomness in `/dev`, which every
/// engine gives.
pub(crate) struct Root(TempDir);

impl Root {
    /// `None` where this test may not make one: that takes root's rights.
    pub(crate) fn new(program: &Path) -> Option<Self> {
        let root = Self(tempfile::tempdir().unwrap());
        let folder = root.0.path();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["data", "dev"] {
            fs::create_dir(folder.join(name)).unwrap();
        }
        fs::copy(program, folder.join("cohort")).unwrap();
        fs::set_permissions(folder.join("cohort"), fs::Permissions::from_mode(0o555)).unwrap();
        fs::set_permissions(folder.join("data"), fs::Permissions::from_mode(0o700)).unwrap();
        let owned = std::os::unix::fs::chown(folder.join("data"), Some(USER), Some(USER)).is_ok();
        let device = |name: &str, minor: &str| {
            let mut command = Command::new("mknod");
            command
                .args(["-m", "0666"])
                .arg(folder.join("dev").join(name));
            command.args(["c", "1", minor]).output()
        };
        let tried = owned
            && [("random", "8"), ("urandom", "9")]
                .iter()
                .all(|(name, minor)| device(name, minor).is_ok_and(|made| made.status.success()));
        if !tried || !root.cohort(&["version"]).status.success() {
            println!("skipped: an empty root (needs root's rights, chroot and mknod)");
            return None;
        }
        Some(root)
    }

    /// Mounts `/proc` in it, as engines do, until it is dropped; `false` where this test may not.
    pub(crate) fn with_proc(&self) -> bool {
        let path = self.proc();
        fs::create_dir(&path).unwrap();
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "proc", "proc"]).arg(&path).output();
        let mounted = mounted.is_ok_and(|mounted| mounted.status.success());
        if !mounted {
            println!("skipped: /proc in an empty root (needs the right to mount)");
        }
        mounted
    }

    fn proc(&self) -> PathBuf {
        self.0.path().join("proc")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("chroot");
        command
            .arg(format!("--userspec={USER}:{USER}"))
            .arg("--groups=");
        command.arg(self.0.path()).arg("/cohort").args(arguments);
        // Nothing of this machine shows the way to anything.
        command.env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    /// Runs `cohort` in it to its end.
    pub(crate) fn cohort(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts the platform in it and waits until it is ready.
    pub(crate) fn start(&self) -> Process {
        let mut command = self.command(&[
            "up",
            "--data",
            "/data/cohort",
            "--demo",
            "--log-level",
            "warn",
        ]);
        for flag in ["--listen", "--progress", "--admin"] {
            command.args([flag, "127.0.0.1:0"]);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if line == "ready" {
                return Process { child, lines };
            }
            lines.push(line);
        }
        let _ = child.kill();
        panic!(
            "it ended before it was ready: {}, {lines:?}",
            child.wait().unwrap()
        )
    }

    pub(crate) fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.0.path().join(path)).unwrap()
    }

    /// Writes a file that everybody in it may read.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path: PathBuf = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// What stands at its top, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        if self.proc().join("self").exists() {
            let _ = Command::new("umount").arg("-l").arg(self.proc()).status();
        }
    }
}

/// A platform that says `ready`.
pub(crate) struct Process {
    child: Child,
    lines: Vec<String>,
}

impl Process {
    /// `host:port` of a door.
    pub(crate) fn address(&self, door: &str) -> String {
        let mut lines = self.lines.iter();
        let found = lines.find_map(|line| line.strip_prefix(door)?.strip_prefix(" http://"));
        found.unwrap().to_owned()
    }

    /// Tells it to stop, as engines do, and waits for exit code 0.
    pub(crate) fn terminate(&mut self) {
        let told = format!("kill -TERM {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &told])
                .status()
                .unwrap()
                .success()
        );
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert_eq!(status.code(), Some(0), "it was told to stop");
                return;
            }
            assert!(began.elapsed() < PATIENCE, "it does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is answered at a path, whole.
pub(crate) fn text(address: &str, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    exchange(address, &request)
}

/// One request on a connection of its own: status and JSON of the answer.
pub(crate) fn call(
    address: &str,
    method: &str,
    path: &str,
    token: &str,
    body: &Value,
) -> (u16, Value) {
    let body = body.to_string();
    let authorization = match token {
        "" => String::new(),
        token => format!("Authorization: Bearer {token}\r\n"),
    };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{authorization}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(address, &request);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_default())
}

fn exchange(address: &str, request: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}
