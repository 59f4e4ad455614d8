//! Neighbours as a running process knows them. Instances that are found by a registry: they come and go, and the registry does, while calls go
//! on of which none may fail. The services are the real programs, the etcd is a real one.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tenon_test::{
    api_server::{ApiServer, Pod, slice_on},
    etcd::{self, Etcd},
};

use crate::{
    cast::Actor,
    run::Outcome,
    world::{Neighbours, World},
};

/// How many callers ask at once.
const CALLERS: usize = 8;
/// How many calls are answered before the next thing happens.
const BETWEEN: usize = 100;
/// How long anything that is waited for may take: a lease lives for 10 s, and one that was lost is
/// made again within that.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked whether it is there.
const LOOK: Duration = Duration::from_millis(20);

const ALONE: &str = "one process has no neighbours to find";

pub(super) async fn through_etcd_instances_come_and_go_and_no_call_fails(world: &World) -> Outcome {
    if !world.is_split() {
        return Outcome::Skipped(ALONE.to_owned());
    }
    if !etcd::is_installed() {
        return Outcome::Skipped("no etcd (Debian: etcd-server and etcd-client)".to_owned());
    }
    let mut etcd = Etcd::start().await;
    let world = World::start_finding(Neighbours::InEtcd(etcd.address())).await;
    let load = Load::prepare(&world).await;
    let (first, second) = (address(&world, "trial"), address(&world, "trial_2"));
    let both = [first.as_str(), second.as_str()];
    let found = async {
        let mut told = Vec::new();
        known(&world, &both).await;
        load.until_answered(BETWEEN).await;
        // Drained: it leaves the registry first, and answers what it has in hand.
        told.push((
            "one drained",
            restarted(&world, &load, "trial_2", &[&first]).await,
        ));
        known(&world, &both).await;
        told.push((
            "the other drained",
            restarted(&world, &load, "trial", &[&second]).await,
        ));
        known(&world, &both).await;
        let called = world.metric("trial_2", CALLS).await;
        load.until_answered(BETWEEN).await;
        assert!(
            world.metric("trial_2", CALLS).await > called,
            "it takes its share again"
        );

        let began = Instant::now();
        etcd.kill();
        until(async || world.client_of("progress", "trial").await["source"]["connected"] == false)
            .await;
        load.until_answered(BETWEEN).await;
        let admin = world.ports().admin("progress");
        let (ready, _) = world.client().plain(&admin, "/readyz").await;
        assert_eq!(ready, 200, "readiness is not what the registry says");
        known(&world, &both).await;
        etcd.resume().await;
        connected(&world).await;
        load.until_answered(BETWEEN).await;
        known(&world, &both).await;
        told.push(("etcd killed and started", began.elapsed()));

        // With its data it forgets the leases; the services notice and register anew.
        let began = Instant::now();
        etcd.kill();
        etcd.forget();
        etcd.resume().await;
        until(async || registered(&etcd) == both.len()).await;
        told.push(("registered anew after etcd lost all", began.elapsed()));
        connected(&world).await;
        load.until_answered(BETWEEN).await;
        known(&world, &both).await;
        told.push((
            "drained after that",
            restarted(&world, &load, "trial_2", &[&first]).await,
        ));
        load.is_over.store(true, Ordering::Release);
        told
    };
    let (told, ..) = tokio::join!(found, load.all());
    let outcome = load.told(&told);
    world.stop("trial_2").await;
    world.stop_all().await;
    outcome
}

pub(super) async fn through_kubernetes_instances_come_and_go_and_no_call_fails(
    world: &World,
) -> Outcome {
    if !world.is_split() {
        return Outcome::Skipped(ALONE.to_owned());
    }
    let server = ApiServer::start().await;
    let world = World::start_finding(Neighbours::InKubernetes(server.url())).await;
    let cluster = Cluster {
        server: &server,
        world: &world,
    };
    cluster.show("trial", Pod::ready);
    let load = Load::prepare(&world).await;
    let (first, second) = (address(&world, "trial"), address(&world, "trial_2"));
    let both = [first.as_str(), second.as_str()];
    let found = async {
        let mut told = Vec::new();
        known(&world, &[&first]).await;
        load.until_answered(BETWEEN).await;
        cluster.show("trial_2", Pod::unready);
        load.until_answered(BETWEEN).await;
        known(&world, &[&first]).await;
        let began = Instant::now();
        cluster.show("trial_2", Pod::ready);
        known(&world, &both).await;
        told.push(("ready to seen", began.elapsed()));
        load.until_answered(BETWEEN).await;

        for (name, left) in [("trial_2", &first), ("trial", &second)] {
            // A cluster tells the pod and the slices at the same time.
            let began = Instant::now();
            cluster.show(name, Pod::terminating);
            world.stop(name).await;
            known(&world, &[left]).await;
            load.until_answered(BETWEEN).await;
            server.delete(name);
            world.launch(name).await;
            cluster.show(name, Pod::ready);
            known(&world, &both).await;
            load.until_answered(BETWEEN).await;
            told.push((name, began.elapsed()));
        }

        let began = Instant::now();
        server.cut();
        until(async || world.client_of("progress", "trial").await["source"]["connected"] == false)
            .await;
        load.until_answered(BETWEEN).await;
        known(&world, &both).await;
        server.mend();
        connected(&world).await;
        told.push(("API server away and back", began.elapsed()));
        // What happened meanwhile is not told: the list is read anew.
        let began = Instant::now();
        server.expire(true, cluster.slice("trial_2", Pod::unready));
        known(&world, &[&first]).await;
        load.until_answered(BETWEEN).await;
        told.push(("versions expired", began.elapsed()));
        load.is_over.store(true, Ordering::Release);
        told
    };
    let (told, ..) = tokio::join!(found, load.all());
    let outcome = load.told(&told);
    world.stop("trial_2").await;
    world.stop_all().await;
    outcome
}

pub(super) async fn how_a_neighbour_is_called_follows_the_file_of_a_running_process(
    world: &World,
) -> Outcome {
    if !world.is_split() {
        return Outcome::Skipped(ALONE.to_owned());
    }
    let before = world.configuration("progress");
    let deadline = async || {
        let client = world.client_of("progress", "trial").await;
        let layers = client["layers"].as_array().unwrap().iter();
        let mut deadline = layers.filter(|layer| layer["name"] == "deadline");
        deadline.next().unwrap()["settings"].to_string()
    };
    assert!(deadline().await.contains("2s"));
    let began = Instant::now();
    world.configure(
        "progress",
        &before.replace("timeout: 2s", "timeout: 1500ms"),
    );
    until(async || deadline().await.contains("1.5s")).await;
    let followed = began.elapsed();
    let misspelt = "timeout: 9s, timeouts: { GetProgres: 1s }";
    world.configure("progress", &before.replace("timeout: 2s", misspelt));
    let log = || std::fs::read_to_string(world.logged("progress")).unwrap();
    until(async || log().contains("the nearest is `GetProgress`")).await;
    assert!(
        deadline().await.contains("1.5s"),
        "the old one stays in force"
    );
    world.configure("progress", &before);
    until(async || deadline().await.contains("2s")).await;
    let log = log();
    let line = log
        .lines()
        .find(|line| line.contains("clients.trial.timeout"));
    let line = line.unwrap();
    assert!(
        line.contains("\"old\":\"2s\"") && line.contains("\"new\":\"1500ms\""),
        "{line}"
    );
    Outcome::Measured(format!("followed after {followed:.1?}"))
}

/// The calls that a process has answered at its gRPC door.
const CALLS: &str = "rpc_server_call_duration_seconds_count";

/// The slices of a cluster, one for each instance, because each has a port of its own here.
struct Cluster<'a> {
    server: &'a ApiServer,
    world: &'a World,
}

impl Cluster<'_> {
    fn show(&self, name: &str, pod: fn(&str) -> Pod) {
        self.server.put(self.slice(name, pod));
    }

    fn slice(&self, name: &str, pod: fn(&str) -> Pod) -> serde_json::Value {
        let port = |door| self.world.ports().port(&format!("{name}.{door}"));
        slice_on(name, port("rpc"), port("rest"), &[pod("127.0.0.1")])
    }
}

fn address(world: &World, name: &str) -> String {
    world.ports().address(&format!("{name}.rpc"))
}

/// Drains an instance, and starts it again once its caller knows only `left`; how long it was away.
async fn restarted(world: &World, load: &Load<'_>, name: &'static str, left: &[&str]) -> Duration {
    let began = Instant::now();
    world.stop(name).await;
    known(world, left).await;
    load.until_answered(BETWEEN).await;
    world.launch(name).await;
    began.elapsed()
}

/// How many instances of `trial` the registry knows.
fn registered(etcd: &Etcd) -> usize {
    let keys = etcd.ctl(&["get", "--prefix", "--keys-only", "cohort/trial/rpc/"]);
    keys.lines().filter(|line| !line.is_empty()).count()
}

/// Waits until the caller knows of exactly these instances of `trial`.
async fn known(world: &World, expected: &[&str]) {
    until(async || {
        let client = world.client_of("progress", "trial").await;
        let instances = client["instances"].as_array().unwrap();
        let found = |address: &&str| instances.iter().any(|one| one["address"] == **address);
        instances.len() == expected.len() && expected.iter().all(found)
    })
    .await;
}

/// Waits until the registry answers the caller.
async fn connected(world: &World) {
    until(async || world.client_of("progress", "trial").await["source"]["connected"] == true).await;
}

async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(
            began.elapsed() < PATIENCE,
            "it is not so after {PATIENCE:?}"
        );
        tokio::time::sleep(LOOK).await;
    }
}

/// Callers of `progress`, which asks `trial`, which asks `patient`. Nobody sends again what failed.
struct Load<'w> {
    world: &'w World,
    path: String,
    is_over: AtomicBool,
    answered: AtomicUsize,
    failed: Mutex<Vec<String>>,
}

impl<'w> Load<'w> {
    /// Makes a study to ask for, and a second instance that knows it as well.
    async fn prepare(world: &'w World) -> Self {
        let cast = world.cast().await;
        let path = format!("/api/v1/trial/{}/progress", cast.own().place.study);
        let token = cast.token(Actor::Coordinator);
        world.get(token, path.clone()).await.expect(200);
        world.double_trial().await;
        Self {
            world,
            path,
            is_over: AtomicBool::new(false),
            answered: AtomicUsize::new(0),
            failed: Mutex::default(),
        }
    }

    async fn all(&self) {
        join_all((0..CALLERS).map(|_| self.call())).await;
    }

    async fn call(&self) {
        let progress = self.world.ports().rest("progress");
        while !self.is_over.load(Ordering::Acquire) {
            let call = self.world.call("GET", &*self.path).at(progress.clone());
            match call.try_send().await {
                Ok(answer) if answer.status == 200 => {}
                Ok(answer) => self.failed.lock().unwrap().push(answer.to_string()),
                Err(problem) => self.failed.lock().unwrap().push(problem),
            }
            self.answered.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Waits until this many more calls have ended.
    async fn until_answered(&self, more: usize) {
        let goal = self.answered.load(Ordering::Acquire) + more;
        until(async || self.answered.load(Ordering::Acquire) >= goal).await;
    }

    fn told(&self, steps: &[(&str, Duration)]) -> Outcome {
        let (calls, failed) = (
            self.answered.load(Ordering::Acquire),
            self.failed.lock().unwrap(),
        );
        assert!(
            failed.is_empty(),
            "{} of {calls} calls failed: {failed:#?}",
            failed.len()
        );
        let steps: Vec<_> = steps
            .iter()
            .map(|(what, took)| format!("{what} {took:.1?}"))
            .collect();
        Outcome::Measured(format!("{calls} calls, 0 failed; {}", steps.join("; ")))
    }
}
