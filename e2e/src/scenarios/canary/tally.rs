//! What was sent, how it was answered, and what was found where it must not be.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    Received, Route,
    exits::{Files, Pages},
    shapes::Shape,
};
use crate::canary::{self, Canary, EVERYTHING, Search, UNSEALED};

/// A search that was never done fails like one that found something: far fewer than are sent.
const REQUESTS_MIN: usize = 5_000;
/// Kinds of answers, and how many of each there must be at least.
const ANSWERS_MIN: [(u16, usize); 11] = [
    (0, 10),
    (200, 300),
    (201, 100),
    (204, 20),
    (400, 1_000),
    (401, 300),
    (403, 100),
    (404, 300),
    (405, 300),
    (413, 50),
    (415, 300),
];
/// How many kinds of findings are told.
const TOLD_MAX: usize = 30;

/// Routes that give what identifies a subject to those who may know it.
const SHOWS_PERSONS: [&str; 4] = [
    "POST /api/v1/patient",
    "GET /api/v1/patient",
    "GET /api/v1/patient/{patientId}",
    "POST /api/v1/patient/{patientId}/status",
];

/// Routes that give the names of accounts to who looks after them.
const SHOWS_ACCOUNTS: [&str; 2] = [
    "POST /api/v1/identity/account",
    "GET /api/v1/identity/account",
];

/// A questionnaire that cannot be published is told which of its own items is wrong.
const QUOTES_ITSELF: [(&str, &str); 1] = [("POST /api/v1/epro/questionnaire", "as every text")];

/// Counts everything. All that is found is told at the end, and not the first thing only.
#[derive(Default)]
pub(super) struct Tally {
    requests: AtomicUsize,
    calls: AtomicUsize,
    /// How many answers gave a canary to somebody who may have it.
    shown: AtomicUsize,
    pub(super) traces: AtomicUsize,
    statuses: Mutex<BTreeMap<u16, usize>>,
    combinations: Mutex<BTreeSet<(String, &'static str)>>,
    shapes: Mutex<BTreeSet<&'static str>>,
    /// By place and canary: how often, and the first one.
    hits: Mutex<BTreeMap<String, (usize, String)>>,
    /// By route and shape: how often, and the first one.
    surprises: Mutex<BTreeMap<String, (usize, String)>>,
}

impl Tally {
    /// A request was answered: as it had to be, unless it is sent again, and with nothing in it
    /// that its caller may not have.
    pub(super) fn answered(
        &self,
        shape: &Shape,
        route: &Route,
        canary: &'static Canary,
        received: &Received,
        is_again: bool,
    ) {
        let status = received.status().unwrap_or_default();
        let line = route.row.route;
        self.requests.fetch_add(1, Ordering::Relaxed);
        *self.statuses.lock().unwrap().entry(status).or_default() += 1;
        self.shapes.lock().unwrap().insert(shape.name);
        let combination = (line.to_owned(), canary.name);
        self.combinations.lock().unwrap().insert(combination);
        if !is_again && !is_expected(shape, route, status) {
            let body = String::from_utf8_lossy(received.body());
            let body: String = body.chars().take(300).collect();
            self.surprise(
                format!("{line} {}", shape.name),
                format!("{} {status} {body}", canary.name),
            );
        }
        let place = format!("the answer {status} to {line} {}", shape.name);
        self.search(&format!("the head of {place}"), received.head());
        if status / 100 != 2 {
            match QUOTES_ITSELF.contains(&(line, shape.name)) {
                true => self.search_for(&UNSEALED, &place, received.body()),
                false => self.search(&place, received.body()),
            }
            return;
        }
        // What was sent into free text comes back as it was; what belongs elsewhere does not.
        let hits = canary::ALL
            .iter()
            .filter(|other| other.is_in(received.body()));
        for other in hits {
            let may = (other.is_personal() && SHOWS_PERSONS.contains(&line))
                || (other.name == "username" && SHOWS_ACCOUNTS.contains(&line));
            match may {
                true => drop(self.shown.fetch_add(1, Ordering::Relaxed)),
                false => self.hit(&place, other.name, String::new()),
            }
        }
    }

    /// A call over gRPC was answered with these bytes.
    pub(super) fn called(&self, method: &str, shape: &'static str, answer: &[u8]) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.search(&format!("the answer to {method} {shape}"), answer);
    }

    /// Searches for everything.
    pub(super) fn search(&self, place: &str, bytes: &[u8]) {
        self.search_for(&EVERYTHING, place, bytes);
    }

    pub(super) fn search_for(&self, search: &Search, place: &str, bytes: &[u8]) {
        for hit in search.hits(bytes) {
            self.hit(place, hit.canary, hit.around);
        }
    }

    fn hit(&self, place: &str, canary: &str, around: String) {
        let mut hits = self.hits.lock().unwrap();
        let found = hits.entry(format!("{canary} in {place}"));
        found.or_insert((0, around)).0 += 1;
    }

    pub(super) fn surprise(&self, place: String, answer: String) {
        let mut surprises = self.surprises.lock().unwrap();
        surprises.entry(place).or_insert((0, answer)).0 += 1;
    }

    /// Fails if anything was found, and if too little was done to find anything.
    pub(super) fn judge(&self, routes: &[Route]) {
        let hits = self.hits.lock().unwrap();
        assert!(
            hits.is_empty(),
            "found where it must not be:\n{}",
            told(&hits)
        );
        let surprises = self.surprises.lock().unwrap();
        let told = told(&surprises);
        assert!(told.is_empty(), "answers that were not expected:\n{told}");
        let requests = self.requests.load(Ordering::Relaxed);
        assert!(requests >= REQUESTS_MIN, "{requests} requests");
        let combinations = self.combinations.lock().unwrap().len();
        assert_eq!(combinations, routes.len() * canary::ALL.len());
        let statuses = self.statuses.lock().unwrap();
        for (status, least) in ANSWERS_MIN {
            let count = statuses.get(&status).copied().unwrap_or_default();
            assert!(count >= least, "{count} answers {status}: {statuses:?}");
        }
        assert!(
            self.shown.load(Ordering::Relaxed) >= 100,
            "nobody is shown a canary"
        );
    }

    pub(super) fn figures(&self, routes: &[Route], pages: &Pages, files: &Files) -> String {
        let statuses = self.statuses.lock().unwrap();
        let mut answers = String::new();
        for (status, count) in &*statuses {
            let _ = write!(answers, " {status}:{count}");
        }
        let read = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        format!(
            "{} fields x {} routes x {} shapes: {} requests and {} calls ({} texts searched for; answers{answers}; \
             {} shown to who may know); 0 hits in {} log lines ({} kB), {} pages ({} kB), traces ({} kB), data and \
             backup ({} kB)",
            canary::ALL.len(),
            routes.len(),
            self.shapes.lock().unwrap().len(),
            read(&self.requests),
            read(&self.calls),
            EVERYTHING.size(),
            read(&self.shown),
            files.lines,
            files.log_bytes / 1024,
            pages.count,
            pages.bytes / 1024,
            read(&self.traces) / 1024,
            files.data_bytes / 1024,
        )
    }
}

/// Whether this status may answer this shape on this route.
fn is_expected(shape: &Shape, route: &Route, status: u16) -> bool {
    // The few tries of a minute may be used up.
    let is_limited = route.row.route.ends_with("/login") && status == 429;
    let fits: &[u16] = match route.row.is_open {
        true => &[200, 400, 401],
        false => &[200, 201, 204, 400, 404, 409],
    };
    match shape.answered {
        [] => is_limited || fits.contains(&status),
        // Nobody is asked for a token there.
        [401] if route.row.is_open => is_limited || fits.contains(&status),
        known => is_limited || known.contains(&status),
    }
}

fn told(found: &BTreeMap<String, (usize, String)>) -> String {
    let told = found.iter().take(TOLD_MAX);
    let line = |(place, (count, first)): (&String, &(usize, String))| {
        format!("  {place}, {count} times: {first}\n")
    };
    told.map(line).collect()
}
