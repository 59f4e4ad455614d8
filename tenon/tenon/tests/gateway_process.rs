//! A gateway as a process of its own, `tenon::edge`: its file changes while connections are open.

#![cfg(feature = "gateway")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    env,
    fs::{self, File},
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tenon::{EdgeConfig, config};

/// What a loaded machine may take for anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// The file of the gateway, where this program is to be one.
const CHILD: &str = "TENON_TEST_GATEWAY";

/// The gateway, where a test asks for it; by itself it proves nothing and passes.
#[test]
fn the_gateway_itself() {
    let Some(path) = env::var_os(CHILD) else {
        return;
    };
    let path = Path::new(&path);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let loaded: EdgeConfig = config::load(path).unwrap();
        let process = tenon::edge(loaded).await.unwrap();
        let process = process.configured::<EdgeConfig>(path).unwrap();
        process.runtime().life.on_signals().unwrap();
        let running = process.start().await.unwrap();
        for (door, address) in running.addresses() {
            tracing::info!(door, %address, "listening");
        }
        running.wait().await.unwrap();
    });
}

struct Gateway {
    child: Child,
    folder: TempDir,
}

impl Gateway {
    fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gateway.yaml");
        fs::write(&file, config).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "the_gateway_itself", "--nocapture"])
            .env(CHILD, &file)
            .stdout(Stdio::null())
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        let gateway = Self { child, folder };
        gateway.wait_for(r#""door":"gateway.rest""#);
        gateway
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("gateway.yaml")
    }

    fn change(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
    }

    /// The first line of the log with this text.
    fn wait_for(&self, text: &str) -> String {
        let began = Instant::now();
        loop {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap();
            if let Some(line) = log.lines().find(|line| line.contains(text)) {
                return line.to_owned();
            }
            assert!(began.elapsed() < PATIENCE, "no {text} in:\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn open(&self, door: &str) -> TcpStream {
        let line = self.wait_for(&format!(r#""door":"{door}""#));
        let address = line.split(r#""address":""#).nth(1).unwrap();
        let socket = TcpStream::connect(address.split('"').next().unwrap()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// One request over a connection of its own; the whole answer.
    fn ask(&self, door: &str, path: &str) -> String {
        let mut socket = self.open(door);
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A service that begins an answer at `/stream` and goes on with it when it is told to, speaks
/// back what it hears at `/socket`, and answers its name anywhere else.
struct Backend {
    address: String,
    go_on: mpsc::Sender<()>,
}

impl Backend {
    fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (go_on, told) = mpsc::channel();
        std::thread::spawn(move || {
            let mut told = Some(told);
            for socket in listener.incoming() {
                let mut socket = socket.unwrap();
                let Some(head) = head(&mut socket) else {
                    continue;
                };
                if head.contains("/stream ") {
                    let told = told.take().unwrap();
                    std::thread::spawn(move || stream(socket, &told));
                } else if head.contains("/socket ") {
                    std::thread::spawn(move || echo(socket));
                } else {
                    let length = name.len();
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{name}"
                    );
                    socket.write_all(answer.as_bytes()).unwrap();
                }
            }
        });
        Self { address, go_on }
    }
}

/// The head of a message; nothing when the other side only looked whether somebody listens.
fn head(socket: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if socket.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    Some(String::from_utf8(head).unwrap())
}

fn stream(mut socket: TcpStream, told: &mpsc::Receiver<()>) {
    let begin = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nfirst \r\n";
    socket.write_all(begin).unwrap();
    for piece in ["7\r\nsecond \r\n", "4\r\nlast\r\n0\r\n\r\n"] {
        told.recv().unwrap();
        socket.write_all(piece.as_bytes()).unwrap();
    }
}

fn echo(mut socket: TcpStream) {
    let agreed =
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    socket.write_all(agreed.as_bytes()).unwrap();
    let mut heard = [0; 64];
    while let Ok(length @ 1..) = socket.read(&mut heard) {
        socket.write_all(&heard[..length]).unwrap();
    }
}

/// Reads until what came ends in `end`.
fn read_until(socket: &mut TcpStream, end: &str) {
    let mut came = Vec::new();
    let mut byte = [0];
    while !came.ends_with(end.as_bytes()) {
        let read = socket.read(&mut byte).unwrap();
        assert_eq!(read, 1, "closed after {}", String::from_utf8_lossy(&came));
        came.push(byte[0]);
    }
}

fn said(socket: &mut TcpStream, text: &str) {
    socket.write_all(text.as_bytes()).unwrap();
    read_until(socket, text);
}

const DOORS: &str = "rest: {listen: '127.0.0.1:0'}\nadmin: {listen: '127.0.0.1:0'}\n";

fn config_of(upstreams: &[(&str, &str, &str)]) -> String {
    let mut text = format!("{DOORS}gateway:\n  upstreams:\n");
    for (name, prefix, address) in upstreams {
        text += &format!(
            "    {name}: {{http: {{endpoints: ['{address}']}}, routes: [{{prefix: {prefix}}}]}}\n"
        );
    }
    text
}

#[test]
fn plaintext_that_leaves_the_machine_is_warned_of_once() {
    let here = Backend::start("here");
    let away = |routes: &str| {
        let own = config_of(&[("here", "/here", &here.address)]);
        format!(
            "{own}    away: {{http: {{endpoints: ['patient:80'], plaintext: allowed}}, routes: [{routes}]}}\n"
        )
    };
    let gateway = Gateway::start(&away("{prefix: /away}"));
    let warned = gateway.wait_for("plaintext on any network, as configured");
    assert!(warned.contains(r#""upstream":"away""#), "{warned}");
    // Another table of the same upstream is no other start.
    gateway.change(&away("{prefix: /away}, {prefix: /further}"));
    gateway.wait_for(r#""key":"gateway.upstreams.away.routes""#);
    let log = fs::read_to_string(gateway.folder.path().join("log")).unwrap();
    assert_eq!(log.matches("plaintext on any network").count(), 1, "{log}");
    assert!(!warned.contains(r#""upstream":"here""#));
}

#[test]
fn a_changed_file_is_taken_while_streams_and_sockets_stay_open() {
    let (one, other) = (Backend::start("one"), Backend::start("other"));
    let first = config_of(&[("one", "/one", &one.address)]);
    let gateway = Gateway::start(&first);
    assert!(gateway.ask("gateway.rest", "/one/x").ends_with("one"));
    assert!(gateway.ask("admin", "/readyz").starts_with("HTTP/1.1 200"));
    let mut stream = gateway.open("gateway.rest");
    stream
        .write_all(b"GET /one/stream HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    read_until(&mut stream, "first \r\n");
    let mut socket = gateway.open("gateway.rest");
    socket
        .write_all(b"GET /one/socket HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        .unwrap();
    read_until(&mut socket, "\r\n\r\n");
    said(&mut socket, "before");

    // The route that both came by goes, another one and a limit on it come.
    let second = config_of(&[("other", "/other", &other.address)]).replace(
        "listen: '127.0.0.1:0'}\nadmin",
        "listen: '127.0.0.1:0', rateLimits: [{name: few, by: route, requests: 2, per: 1h, routes: ['* /other/*']}]}\nadmin",
    );
    gateway.change(&second);
    gateway.wait_for(r#""key":"gateway.upstreams.other"#);
    assert!(
        gateway
            .ask("gateway.rest", "/one/x")
            .starts_with("HTTP/1.1 404")
    );
    assert!(gateway.ask("gateway.rest", "/other/x").ends_with("other"));
    let routes = gateway.ask("admin", "/routes");
    assert!(
        routes.contains("/other/*") && !routes.contains("/one/*"),
        "{routes}"
    );
    assert!(routes.contains("few by route 2/3600s"), "{routes}");
    one.go_on.send(()).unwrap();
    read_until(&mut stream, "second \r\n");
    said(&mut socket, "during");

    // A bad file says what is wrong with it, and changes nothing.
    let twice = config_of(&[
        ("other", "/other", &other.address),
        ("one", "/other/", &one.address),
    ]);
    gateway.change(&twice);
    let refused = gateway.wait_for("the new configuration is refused");
    assert!(refused.contains("stands twice"), "{refused}");
    assert!(gateway.ask("gateway.rest", "/other/x").ends_with("other"));
    let limited = gateway.ask("gateway.rest", "/other/x");
    assert!(limited.starts_with("HTTP/1.1 429"), "{limited}");
    gateway.change(&config_of(&[("away", "/away", "patient:80")]));
    gateway.wait_for("patient:80 is not loopback");

    one.go_on.send(()).unwrap();
    read_until(&mut stream, "last\r\n0\r\n\r\n");
    said(&mut socket, "after");
    let metrics = gateway.ask("admin", "/metrics");
    for line in [
        "config_reloads_total{outcome=\"taken\"} 1",
        "config_reloads_total{outcome=\"refused\"} 2",
        "discovery_instances{client=\"other\",source=\"static\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    assert!(!metrics.contains("client=\"one\""), "{metrics}");
}
