//! Rolling restarts under load: each process is told to stop and started again, one after the
//! other, while clients go on. Those that send again lose nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;

use super::crash::list;
use crate::{
    cast::Actor,
    http::{Answer, text},
    phq9,
    run::Outcome,
    world::World,
};

const PATH: &str = "/api/v1/epro/response";

/// How many clients submit at once.
const SUBMITTING: usize = 8;
/// How many submissions are answered before a process is stopped, and after it is back.
const BETWEEN: usize = 60;
/// How long a client waits before it sends again.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a client goes on trying. A phone would go on for days.
const PERSISTENCE: Duration = Duration::from_secs(60);
/// The second instance of the gateway, which only this scenario has.
const SECOND: &str = "gateway_2";

pub(super) async fn a_retrying_client_loses_nothing_while_each_process_is_restarted(
    world: &World,
) -> Outcome {
    let cast = world.cast().await;
    let order: &[&'static str] = match world.is_split() {
        true => &[
            "identity", "trial", "patient", "epro", "progress", "gateway", SECOND,
        ],
        false => &["up"],
    };
    if world.is_split() {
        world.launch(SECOND).await;
    }
    let before: BTreeSet<_> = list(world, cast.token(Actor::Patient))
        .await
        .into_iter()
        .collect();
    let load = Load::new(world);
    let restarts = async {
        let mut outages = Vec::new();
        for name in order {
            load.until_answered(BETWEEN).await;
            let seen = load.mark();
            let began = Instant::now();
            world.stop(name).await;
            world.launch(name).await;
            let away = began.elapsed();
            load.until_answered(BETWEEN).await;
            outages.push(load.since(seen, name, away));
        }
        load.is_over.store(true, Ordering::Release);
        outages
    };
    let submitting = join_all((0..SUBMITTING).map(|number| load.submit(number)));
    let (outages, submitted, ..) = tokio::join!(
        restarts,
        submitting,
        join_all(Read::ALL.map(|read| load.read(read)))
    );
    if world.is_split() {
        world.stop(SECOND).await;
    }
    let submitted: Vec<String> = submitted.into_iter().flatten().collect();
    stored_once(world, &before, &submitted).await;
    world.audited().await;
    Outcome::Measured(load.told(submitted.len(), &outages))
}

/// Every acknowledged submission is there once, and nothing else came.
async fn stored_once(world: &World, before: &BTreeSet<String>, submitted: &[String]) {
    let token = world.cast().await.token(Actor::Patient);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for id in list(world, token).await {
        *counts.entry(id).or_default() += 1;
    }
    for id in submitted {
        assert_eq!(counts.get(id), Some(&1), "{id} was acknowledged");
    }
    assert_eq!(
        counts.len(),
        before.len() + submitted.len(),
        "what was stored and not acknowledged"
    );
}

/// What is read meanwhile, so that each process has something to answer.
#[derive(Clone, Copy)]
enum Read {
    /// Of identity: who the caller is.
    Account,
    /// Of trial.
    Study,
    /// Of patient.
    Subject,
    /// Of progress, at its own door.
    Progress,
}

impl Read {
    const ALL: [Self; 4] = [Self::Account, Self::Study, Self::Subject, Self::Progress];

    fn door(self) -> Door {
        match self {
            Self::Progress => Door::Progress,
            Self::Account | Self::Study | Self::Subject => Door::Gateway,
        }
    }

    async fn path(self, world: &World) -> String {
        let own = world.cast().await.own();
        let (study, subject) = (&own.place.study, &own.id);
        match self {
            Self::Account => "/api/v1/identity/me".to_owned(),
            Self::Study => format!("/api/v1/trial/{study}"),
            Self::Subject => format!("/api/v1/patient/{subject}"),
            Self::Progress => format!("/api/v1/trial/{study}/progress"),
        }
    }
}

#[derive(Clone, Copy)]
enum Door {
    Gateway,
    Progress,
}

/// The clients, and what they met.
struct Load<'w> {
    world: &'w World,
    is_over: AtomicBool,
    answered: AtomicUsize,
    tally: Mutex<Tally>,
}

#[derive(Default)]
struct Tally {
    /// When submissions were answered, in order.
    answers: Vec<Instant>,
    /// How long each took, with all that was sent again.
    took: Vec<Duration>,
    reads: usize,
    again: usize,
    again_reads: usize,
}

/// What the restart of one process did to the clients.
struct Outage {
    name: &'static str,
    away: Duration,
    longest_gap: Duration,
    again: usize,
    again_reads: usize,
}

impl<'w> Load<'w> {
    fn new(world: &'w World) -> Self {
        Self {
            world,
            is_over: AtomicBool::new(false),
            answered: AtomicUsize::new(0),
            tally: Mutex::default(),
        }
    }

    /// Submits one response after the other until the end. Returns the ids of those that were
    /// acknowledged, which must be all.
    async fn submit(&self, number: usize) -> Vec<String> {
        let cast = self.world.cast().await;
        let (own, token) = (cast.own(), cast.token(Actor::Patient));
        let mut acknowledged = Vec::new();
        while !self.is_over.load(Ordering::Acquire) {
            let response = phq9::response(&own.id, phq9::MILD);
            let began = Instant::now();
            let (answer, again) = self
                .persist(
                    Door::Gateway,
                    number + acknowledged.len(),
                    |call| call.token(token).json(&response),
                    ("POST", PATH),
                )
                .await;
            // 200 where an attempt was stored that the client was not told of.
            assert!([200, 201].contains(&answer.status), "{answer}");
            acknowledged.push(text(&response, "id"));
            self.answered.fetch_add(1, Ordering::AcqRel);
            let mut tally = self.tally.lock().unwrap();
            tally.answers.push(Instant::now());
            tally.took.push(began.elapsed());
            tally.again += again;
        }
        acknowledged
    }

    /// Reads the same thing until the end.
    async fn read(&self, read: Read) {
        let token = self.world.cast().await.token(Actor::Coordinator);
        let path = read.path(self.world).await;
        let mut turn = 0;
        while !self.is_over.load(Ordering::Acquire) {
            let (answer, again) = self
                .persist(
                    read.door(),
                    turn,
                    |call| call.token(token),
                    ("GET", path.as_str()),
                )
                .await;
            assert_eq!(answer.status, 200, "{path}: {answer}");
            turn += 1;
            self.count_read(again);
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn count_read(&self, again: usize) {
        let mut tally = self.tally.lock().unwrap();
        tally.reads += 1;
        tally.again_reads += again;
    }

    /// Sends until it is done, to one instance of the gateway and then to the other. Returns the
    /// answer and how often it was sent again.
    async fn persist<'c>(
        &self,
        door: Door,
        turn: usize,
        fill: impl Fn(crate::http::Call<'c>) -> crate::http::Call<'c>,
        (method, path): (&str, &str),
    ) -> (Answer, usize)
    where
        'w: 'c,
    {
        let began = Instant::now();
        for attempt in 0.. {
            let base = self.address(door, turn + attempt);
            let call = fill(self.world.call(method, path).at(base));
            let problem = match call.try_send().await {
                Ok(answer) if ![429, 502, 503, 504].contains(&answer.status) => {
                    return (answer, attempt);
                }
                Ok(answer) => answer.to_string(),
                Err(problem) => problem,
            };
            let waited = began.elapsed();
            assert!(
                waited < PERSISTENCE,
                "{method} {path} after {waited:?}: {problem}"
            );
            tokio::time::sleep(PAUSE).await;
        }
        unreachable!("the loop has no end")
    }

    fn address(&self, door: Door, turn: usize) -> String {
        let ports = self.world.ports();
        match door {
            Door::Progress => ports.rest("progress"),
            Door::Gateway if self.world.is_split() && turn % 2 == 1 => ports.rest(SECOND),
            Door::Gateway => ports.rest("gateway"),
        }
    }

    /// Waits until this many more submissions are answered. That they are is the test; the
    /// clients tell when they are not.
    async fn until_answered(&self, more: usize) {
        let goal = self.answered.load(Ordering::Acquire) + more;
        while self.answered.load(Ordering::Acquire) < goal {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How much was counted until now.
    fn mark(&self) -> (usize, usize, usize) {
        let tally = self.tally.lock().unwrap();
        (tally.answers.len(), tally.again, tally.again_reads)
    }

    fn since(&self, mark: (usize, usize, usize), name: &'static str, away: Duration) -> Outage {
        let tally = self.tally.lock().unwrap();
        let first = mark.0.saturating_sub(1);
        let gaps = tally.answers[first..]
            .windows(2)
            .map(|pair| pair[1] - pair[0]);
        Outage {
            name,
            away,
            longest_gap: gaps.max().unwrap_or_default(),
            again: tally.again - mark.1,
            again_reads: tally.again_reads - mark.2,
        }
    }

    fn told(&self, submitted: usize, outages: &[Outage]) -> String {
        let mut tally = self.tally.lock().unwrap();
        tally.took.sort_unstable();
        let p99 = tally.took[tally.took.len() * 99 / 100];
        let (reads, longest) = (
            tally.reads,
            outages.iter().map(|outage| outage.longest_gap).max(),
        );
        let each: Vec<String> = outages
            .iter()
            .map(|outage| {
                let Outage { name, away, longest_gap, again, again_reads } = outage;
                format!("{name} away {away:.0?}, gap {longest_gap:.0?}, sent again {again} + {again_reads} reads")
            })
            .collect();
        format!(
            "{submitted} submissions and {reads} reads over {} restarts: 0 lost, 0 failed; p99 {p99:.0?} with all \
             attempts, longest gap {:.0?}; {}",
            outages.len(),
            longest.unwrap_or_default(),
            each.join("; ")
        )
    }
}
