//! Continuous profiling: the requests of Grafana Alloy (`pyroscope.scrape`) and of Parca, read from
//! their sources, against one service at once, with a person beside them. Each answer must pass
//! what both hold against it before they take it.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use prost::Message;
use tenon::profile::proto;

use super::{PATIENCE, Service, both};

/// A scraper: what it calls itself, and the window that it asks for with its default interval. Alloy
/// takes a second less than its 15, Parca all of its 10. What they ask besides is the same.
struct Scraper {
    agent: &'static str,
    seconds: u64,
}

const ALLOY: Scraper = Scraper {
    agent: "Alloy/v1.11.0 (linux)",
    seconds: 14,
};
const PARCA: Scraper = Scraper {
    agent: "conprof/v0.24.0",
    seconds: 10,
};
/// What both scrape by default beside CPU time; `allocs` wants a feature that this service lacks.
const OTHERS: [&str; 3] = ["goroutine", "block", "mutex"];

#[test]
fn two_scrapers_and_a_person_profile_one_service_at_once() {
    let service = Service::start();
    let (alloy, parca, person) = both(&service, || {
        thread::scope(|scope| {
            let alloy = scope.spawn(|| ALLOY.scrape(&service));
            let begun = Instant::now();
            while !service.is_sampled() {
                assert!(begun.elapsed() < PATIENCE, "nobody samples");
                thread::sleep(Duration::from_millis(10));
            }
            let parca = scope.spawn(|| PARCA.scrape(&service));
            let person = cpu_time(&check(&service.profile("seconds=2")));
            (alloy.join().unwrap(), parca.join().unwrap(), person)
        })
    });
    println!(
        "ns of CPU time: Alloy's window {alloy}, Parca's {parca}, two seconds of a person {person}"
    );
    // The person's window lies within Alloy's, and each sums its own.
    assert!(person > 0 && person <= alloy && parca > 0);
}

impl Scraper {
    /// One interval: the CPU profile, and the others meanwhile, each on a connection that is kept.
    /// Gives the CPU time of the profile.
    fn scrape(&self, service: &Service) -> i64 {
        thread::scope(|scope| {
            let others = scope.spawn(|| self.others(service));
            let mut connection = self.connect(service);
            let begun = Instant::now();
            let path = format!("profile?seconds={}", self.seconds);
            let answer = connection.get(&path);
            let late = begun
                .elapsed()
                .saturating_sub(Duration::from_secs(self.seconds));
            println!("{}: answered {late:.1?} after its window", self.agent);
            others.join().unwrap();
            let profile = answer.profile();
            let window = i64::try_from(self.seconds).unwrap() * 1_000_000_000;
            assert!(
                profile.duration_nanos >= window,
                "{}",
                profile.duration_nanos
            );
            cpu_time(&profile)
        })
    }

    fn others(&self, service: &Service) {
        let mut connection = self.connect(service);
        for path in OTHERS {
            let profile = connection.get(path).profile();
            // What Rust does not have is valid and empty: an error would be an alarm each interval.
            assert_eq!(profile.sample.is_empty(), path != "goroutine", "{path}");
        }
        let allocs = connection.get("allocs");
        let told = String::from_utf8_lossy(&allocs.body).into_owned();
        assert_eq!(allocs.status, 404, "{told}");
        // Alloy shows it as the reason of the failed scrape.
        assert!(told.contains("heap-profiling"), "{told}");
        // The connection goes on after it.
        connection.get("goroutine").profile();
    }

    fn connect(&self, service: &Service) -> Connection {
        let stream = TcpStream::connect(service.admin).unwrap();
        Connection {
            stream: BufReader::new(stream),
            // As Go's client asks.
            head: format!(
                "host: {}\r\nuser-agent: {}\r\naccept-encoding: gzip\r\n",
                service.admin, self.agent
            ),
        }
    }
}

impl Service {
    /// Whether its sampler is at work: it is a thread then.
    fn is_sampled(&self) -> bool {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        tasks
            .filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok())
            .any(|name| name.trim_end() == "pprof")
    }
}

/// A connection that is kept between scrapes.
struct Connection {
    stream: BufReader<TcpStream>,
    head: String,
}

impl Connection {
    fn get(&mut self, path: &str) -> Answer {
        let head = &self.head;
        let request = format!("GET /debug/pprof/{path} HTTP/1.1\r\n{head}\r\n");
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let status = self.line();
        let status = status.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = HashMap::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let mut body = vec![0; headers["content-length"].parse().unwrap()];
        self.stream.read_exact(&mut body).unwrap();
        Answer {
            status,
            headers,
            body,
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.stream.read_line(&mut line).unwrap() > 0, "closed");
        line.trim_end().to_owned()
    }
}

struct Answer {
    status: u16,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    /// The profile, if Alloy takes it (`validate.go`) and Parca does.
    fn profile(&self) -> proto::Profile {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, 200, "{text}");
        assert_eq!(self.headers["content-type"], "application/octet-stream");
        assert!(!self.headers.contains_key("content-encoding"));
        assert!(self.body.starts_with(&[0x1f, 0x8b]), "not gzip");
        check(&self.body)
    }
}

/// Parca's `ValidatePprofProfile`: numbers in sequence, and nothing referred to that is not there.
fn check(body: &[u8]) -> proto::Profile {
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(body)
        .read_to_end(&mut bytes)
        .unwrap();
    let profile = proto::Profile::decode(&*bytes).unwrap();
    let is_text = |number: &i64| (0..profile.string_table.len() as i64).contains(number);
    assert_eq!(profile.string_table[0], "");
    in_sequence(profile.mapping.iter().map(|mapping| mapping.id));
    in_sequence(profile.function.iter().map(|function| function.id));
    in_sequence(profile.location.iter().map(|location| location.id));
    let kinds = profile.sample_type.iter().chain(&profile.period_type);
    let mut texts: Vec<i64> = kinds.flat_map(|kind| [kind.kind, kind.unit]).collect();
    texts.extend(
        profile
            .mapping
            .iter()
            .flat_map(|it| [it.filename, it.build_id]),
    );
    texts.extend(
        profile
            .function
            .iter()
            .flat_map(|it| [it.name, it.system_name, it.filename]),
    );
    for location in &profile.location {
        assert!(location.mapping_id <= profile.mapping.len() as u64);
        for line in &location.line {
            assert!(line.function_id <= profile.function.len() as u64);
        }
    }
    for sample in &profile.sample {
        assert_eq!(sample.value.len(), profile.sample_type.len());
        let locations = 1..=profile.location.len() as u64;
        assert!(sample.location_id.iter().all(|id| locations.contains(id)));
        assert!(sample.label.iter().all(|label| label.key != 0));
        texts.extend(sample.label.iter().flat_map(|label| [label.key, label.str]));
    }
    assert!(texts.iter().all(is_text) && !profile.sample_type.is_empty());
    profile
}

fn in_sequence(ids: impl Iterator<Item = u64>) {
    assert!(ids.zip(1..).all(|(id, number)| id == number));
}

/// What a CPU profile sums to, in nanoseconds.
fn cpu_time(profile: &proto::Profile) -> i64 {
    let last = profile.sample_type.last().unwrap();
    let text = |number: i64| profile.string_table[usize::try_from(number).unwrap()].as_str();
    assert_eq!((text(last.kind), text(last.unit)), ("cpu", "nanoseconds"));
    profile.sample.iter().map(|sample| sample.value[1]).sum()
}
