//! The trap end to end: the profile of the service shows it, and shows that it is gone.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a step that fails is a test that fails, and figures are printed"
)]
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

#[path = "trap/scrapers.rs"]
mod scrapers;

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use prost::Message;
use tenon::profile::proto;
use tenon_test::fixed_port;

/// A made-up number.
const NUMBER: &str = "11010519491231002X";
/// Callers at once, enough to keep the service busy.
const CALLERS: usize = 2;
/// CPU time of the service over which requests are counted.
const BUDGET: Duration = Duration::from_millis(1500);
/// A service that does not start within it never will.
const PATIENCE: Duration = Duration::from_secs(60);

/// The service in a process of its own.
struct Service {
    child: Child,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Service {
    fn start() -> Self {
        let [address, admin] = [free(), free()];
        let child = Command::new(env!("CARGO_BIN_EXE_regex-trap"))
            .args([address.to_string(), admin.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let service = Self {
            child,
            address,
            admin,
        };
        let begun = Instant::now();
        while !(TcpStream::connect(admin).is_ok() && TcpStream::connect(address).is_ok()) {
            assert!(begun.elapsed() < PATIENCE, "the service did not start");
            thread::sleep(Duration::from_millis(20));
        }
        service
    }

    /// The CPU time that it has used, in the hundredths of a second that Linux counts it in.
    fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields = stat.rsplit_once(") ").unwrap().1;
        let ticks: u64 = fields
            .split(' ')
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().unwrap())
            .sum();
        Duration::from_millis(ticks * 10)
    }

    /// Calls a route from all sides while `meanwhile` runs. Gives its outcome, and the requests
    /// that were answered for each second of CPU time.
    fn under_load<T>(&self, path: &str, meanwhile: impl FnOnce() -> T) -> (T, f64) {
        let stop = AtomicBool::new(false);
        let answered = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..CALLERS {
                scope.spawn(|| {
                    let mut connection = BufReader::new(TcpStream::connect(self.address).unwrap());
                    while !stop.load(Ordering::Relaxed) {
                        if call(&mut connection, path) {
                            answered.fetch_add(1, Ordering::Relaxed);
                        } else {
                            // Told to come again later: this machine is too busy.
                            thread::sleep(Duration::from_millis(5));
                        }
                    }
                });
            }
            let (before, counted) = (self.cpu(), answered.load(Ordering::Relaxed));
            let outcome = meanwhile();
            let begun = Instant::now();
            while self.cpu() < before + BUDGET && begun.elapsed() < PATIENCE {
                thread::sleep(Duration::from_millis(20));
            }
            let rate = (answered.load(Ordering::Relaxed) - counted) as f64
                / (self.cpu() - before).as_secs_f64();
            stop.store(true, Ordering::Relaxed);
            (outcome, rate)
        })
    }

    fn profile(&self, query: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.admin).unwrap();
        let admin = self.admin;
        write!(
            stream,
            "GET /debug/pprof/profile?{query} HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        assert!(
            answer.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
        answer.split_off(end + 4)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], fixed_port()))
}

/// Calls once; false when the service sheds load.
fn call(connection: &mut BufReader<TcpStream>, path: &str) -> bool {
    let request = format!("GET /api/v1/{path}/{NUMBER} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    connection.get_mut().write_all(request.as_bytes()).unwrap();
    let mut length = 0;
    let mut line = String::new();
    assert!(
        connection.read_line(&mut line).unwrap() > 0,
        "the service closed the connection"
    );
    let is_shed = line.starts_with("HTTP/1.1 503") || line.starts_with("HTTP/1.1 429");
    loop {
        line.clear();
        assert!(
            connection.read_line(&mut line).unwrap() > 0,
            "the service closed the connection"
        );
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).unwrap();
    assert!(
        is_shed || body == br#"{"valid":true}"#,
        "{}",
        String::from_utf8_lossy(&body)
    );
    !is_shed
}

/// The part of a profile's CPU time that was spent below a function, by the format alone.
fn share(profile: &[u8], function: &str) -> f64 {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(profile)
        .read_to_end(&mut bytes)
        .unwrap();
    let profile = proto::Profile::decode(&*bytes).unwrap();
    let text = |number: i64| profile.string_table[usize::try_from(number).unwrap()].as_str();
    let names: HashMap<u64, &str> = profile
        .function
        .iter()
        .map(|function| (function.id, text(function.name)))
        .collect();
    let is_below: HashMap<u64, bool> = profile
        .location
        .iter()
        .map(|location| {
            let mut functions = location.line.iter().map(|line| names[&line.function_id]);
            (location.id, functions.any(|name| name.contains(function)))
        })
        .collect();
    let sum = |samples: &mut dyn Iterator<Item = &proto::Sample>| {
        samples.map(|sample| sample.value[1]).sum::<i64>() as f64
    };
    let below = sum(&mut profile
        .sample
        .iter()
        .filter(|it| it.location_id.iter().any(|id| is_below[id])));
    below / sum(&mut profile.sample.iter())
}

#[test]
fn the_profile_shows_the_trap_and_that_it_is_gone() {
    let service = Service::start();
    let (profile, slow) = service.under_load("trap", || service.profile("seconds=5"));
    let trapped = share(&profile, "regex::regex::string::Regex::new");
    let validating = share(&profile, "validate_patient_data");
    let (profile, fast) = service.under_load("fixed", || service.profile("seconds=5"));
    let fixed = share(&profile, "regex::regex::string::Regex::new");
    println!(
        "Regex::new {:.1} % of the CPU time, compiled once {:.1} %; validate_patient_data {:.1} %",
        trapped * 100.0,
        fixed * 100.0,
        validating * 100.0
    );
    println!(
        "requests per CPU second: {slow:.0}, compiled once {fast:.0}, ratio {:.1}",
        fast / slow
    );
    assert!(trapped > 0.5, "{trapped}");
    assert!(fixed < 0.01, "{fixed}");
    assert!(fast / slow > 5.0, "{}", fast / slow);
}

/// What `go tool pprof` says of a profile, from a file or an address; none without Go.
fn go_tool(arguments: &[&str], source: &str) -> Option<String> {
    let output = Command::new("go")
        .args(["tool", "pprof"])
        .args(arguments)
        .arg(source)
        .env("PPROF_TMPDIR", std::env::temp_dir())
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else {
        println!("skipped: go tool pprof (go is not installed)");
        return None;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{problem}");
    Some(text)
}

/// Both routes under load at once while `meanwhile` runs.
fn both<T>(service: &Service, meanwhile: impl FnOnce() -> T) -> T {
    let ((outcome, _), _) = service.under_load("trap", || service.under_load("fixed", meanwhile));
    outcome
}

#[test]
fn go_finds_it_as_the_article_does() {
    let service = Service::start();
    // The tool waits one and a half times the window and five seconds for an answer: a long window
    // leaves a busy machine room to look names up.
    let url = format!("http://{}/debug/pprof/profile?seconds=10", service.admin);
    let top = ["-top", "-cum", "-noinlines", "-nodecount=12"];
    let Some(top) = both(&service, || go_tool(&top, &url)) else {
        return;
    };
    println!("{top}");
    assert!(
        top.contains("Type: cpu") && top.contains("validate_patient_data"),
        "{top}"
    );
    let file = std::env::temp_dir().join(format!("regex-trap-{}.pb.gz", std::process::id()));
    fs::write(&file, both(&service, || service.profile("seconds=5"))).unwrap();
    let of_file = |arguments: &[&str]| go_tool(arguments, file.to_str().unwrap()).unwrap();
    let tags = of_file(&["-tags"]);
    assert!(
        tags.contains("route:") && tags.contains("/api/v1/trap/"),
        "{tags}"
    );
    let only = of_file(&["-top", "-tagfocus=route=/trap/"]);
    assert!(!only.contains("validate_patient_data_fixed"), "{only}");
    let peek = of_file(&["-peek", "validate_patient_data$"]);
    assert!(peek.contains("Regex::new"), "{peek}");
    let raw = of_file(&["-raw"]);
    assert!(raw.contains("[FN][FL][LN][IN]"), "{raw}");
    if Command::new("dot").arg("-V").output().is_ok() {
        let svg = of_file(&["-svg"]);
        assert!(svg.matches("class=\"node\"").count() >= 10, "{svg}");
    } else {
        println!("skipped: go tool pprof -svg (graphviz is not installed)");
    }
    let _ = fs::remove_file(file);
}
