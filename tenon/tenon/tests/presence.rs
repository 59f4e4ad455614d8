//! How a process is found and how it leaves, against a real etcd. Skipped with one line where
//! there is none.
#![cfg(feature = "etcd")]
#![expect(
    clippy::unwrap_used,
    reason = "helpers of a test fail it as its assertions do"
)]

#[path = "../../discovery/tests/support/seen.rs"]
mod seen;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use seen::{addresses, until};
use tenon::{
    App, Context, Json, Process, Request, Result, Runtime, catalogue,
    config::{AdminConfig, ClientConfig, RegistrationConfig, RestConfig},
    discovery::{Instances, follow},
};
use tenon_test::etcd::{self, Etcd};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const DRAIN_DELAY: Duration = Duration::from_millis(1500);

fn anywhere() -> RestConfig {
    RestConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        ..RestConfig::default()
    }
}

/// A service with one route, registered in `etcd` when there is one.
fn process(etcd: Option<&Etcd>) -> Process {
    async fn ping(_: Context, _: Request) -> Result<Json> {
        Ok(Json::Bool(true))
    }
    let runtime = Runtime::default();
    let app = App::new("trial");
    app.group("").get("/ping", ping);
    let registration = RegistrationConfig {
        etcd: etcd.map(|etcd| etcd.config("trial")),
        drain_delay: DRAIN_DELAY,
        ..RegistrationConfig::default()
    };
    let service = app.service(anywhere()).registration(Some(registration));
    let open = service.open(&runtime).unwrap();
    open.serve(Process::new(runtime))
        .unwrap()
        .admin(AdminConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            ..AdminConfig::default()
        })
}

fn followed(etcd: &Etcd) -> Instances {
    let config = ClientConfig {
        etcd: Some(etcd.config("trial/rest")),
        ..ClientConfig::default()
    };
    follow("trial", &config).unwrap()
}

/// The status of a GET, on a connection of its own; none when it is refused or broken.
async fn status(address: &str, path: &str) -> Option<u16> {
    let mut socket = TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.ok()?;
    let mut reply = String::new();
    socket.read_to_string(&mut reply).await.ok()?;
    reply.split(' ').nth(1)?.parse().ok()
}

#[tokio::test]
async fn at_a_stop_readiness_flips_then_the_registry_then_the_doors() {
    if !etcd::is_installed() {
        return;
    }
    let etcd = Etcd::start().await;
    let mut instances = followed(&etcd);
    let first = process(Some(&etcd)).start().await.unwrap();
    let second = process(Some(&etcd)).start().await.unwrap();
    let at = |running: &tenon::Running, door: &str| running.address(door).unwrap().to_string();
    let (leaver, admin) = (at(&first, "trial.rest"), at(&first, "admin"));
    let stayer = at(&second, "trial.rest");
    let mut both = [leaver.as_str(), stayer.as_str()];
    both.sort_unstable();
    until(&mut instances, &both).await;

    let begun = Instant::now();
    first.life().drain();
    assert_eq!(
        status(&admin, "/readyz").await,
        Some(503),
        "readiness flips first"
    );
    until(&mut instances, &[&stayer]).await;
    let left = begun.elapsed();
    assert_eq!(
        status(&leaver, "/ping").await,
        Some(200),
        "the doors are still open"
    );
    let gone = tokio::spawn(first.wait());
    let mut answered = 0;
    while status(&leaver, "/ping").await.is_some() {
        answered += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let closed = begun.elapsed();
    gone.await.unwrap().unwrap();
    assert!(closed >= DRAIN_DELAY, "{closed:?}");
    assert!(answered > 0);
    println!(
        "figure: left the registry after {left:?}, {answered} late calls answered, closed after {closed:?}"
    );
    second.life().kill();
    second.wait().await.unwrap();
}

#[tokio::test]
async fn a_rolling_restart_loses_no_call_of_a_caller_that_follows_the_registry() {
    if !etcd::is_installed() {
        return;
    }
    let etcd = Etcd::start().await;
    let mut instances = followed(&etcd);
    let mut running = process(Some(&etcd)).start().await.unwrap();
    until(
        &mut instances,
        &[&running.address("trial.rest").unwrap().to_string()],
    )
    .await;
    let stop = Arc::new(AtomicBool::new(false));
    let calling = tokio::spawn({
        let (stop, instances) = (stop.clone(), instances.clone());
        async move {
            let (mut made, mut failed) = (0_usize, 0_usize);
            while !stop.load(Ordering::SeqCst) {
                let list = addresses(&instances);
                let target = &list[made % list.len()];
                made += 1;
                failed += usize::from(status(target, "/ping").await != Some(200));
            }
            (made, failed)
        }
    });
    for _ in 0..3 {
        let next = process(Some(&etcd)).start().await.unwrap();
        let address = next.address("trial.rest").unwrap().to_string();
        while !addresses(&instances).contains(&address) {
            instances.changed().await;
        }
        running.life().drain();
        running.wait().await.unwrap();
        running = next;
    }
    stop.store(true, Ordering::SeqCst);
    let (made, failed) = calling.await.unwrap();
    assert_eq!(failed, 0, "of {made}");
    println!("figure: 3 restarts, {failed} of {made} calls failed, without any retry");
    running.life().kill();
    running.wait().await.unwrap();
}

#[tokio::test]
async fn a_process_is_announced_when_its_probes_say_so_and_not_before() {
    if !etcd::is_installed() {
        return;
    }
    let etcd = Etcd::start().await;
    let instances = followed(&etcd);
    instances.answered().await;
    let ready = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(tokio::sync::Notify::new());
    let (told, notified) = (ready.clone(), asked.clone());
    let process = process(Some(&etcd)).probe("data", move || {
        notified.notify_one();
        let ready = told.load(Ordering::SeqCst);
        async move {
            if ready {
                Ok(())
            } else {
                Err(catalogue::UNAVAILABLE.error())
            }
        }
    });
    let running = process.start().await.unwrap();
    for _ in 0..3 {
        asked.notified().await;
    }
    assert!(addresses(&instances).is_empty());
    ready.store(true, Ordering::SeqCst);
    let address = running.address("trial.rest").unwrap().to_string();
    until(&mut instances.clone(), &[&address]).await;
    let metrics = status(&running.address("admin").unwrap().to_string(), "/metrics").await;
    assert_eq!(metrics, Some(200));
    running.life().kill();
    running.wait().await.unwrap();
    let left = etcd.ctl(&["get", "--prefix", "trial/", "--keys-only"]);
    assert_eq!(
        left.trim(),
        "",
        "also one that ends at once takes its leave"
    );
}

#[tokio::test]
async fn a_start_while_the_registry_is_away_is_not_ready_and_an_outage_later_changes_nothing() {
    if !etcd::is_installed() {
        return;
    }
    let mut etcd = Etcd::stopped("http", Vec::new(), Vec::new()).await;
    let runtime = Runtime::default();
    let config = ClientConfig {
        etcd: Some(etcd.config("trial/rpc")),
        ..ClientConfig::default()
    };
    let _channel = runtime.channel("trial", &config).unwrap();
    let process = Process::new(runtime).admin(AdminConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        ..AdminConfig::default()
    });
    let running = process.start().await.unwrap();
    let admin = running.address("admin").unwrap().to_string();
    assert_eq!(status(&admin, "/readyz").await, Some(503));
    assert_eq!(status(&admin, "/healthz").await, Some(200));
    etcd.resume().await;
    let begun = Instant::now();
    while status(&admin, "/readyz").await != Some(200) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("figure: ready {:?} after etcd answered", begun.elapsed());
    etcd.kill();
    for _ in 0..20 {
        assert_eq!(status(&admin, "/readyz").await, Some(200));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.life().kill();
    running.wait().await.unwrap();
}

#[tokio::test]
async fn without_a_registry_only_the_drain_delay_holds() {
    let running = process(None).start().await.unwrap();
    let address = running.address("trial.rest").unwrap().to_string();
    let begun = Instant::now();
    running.life().drain();
    assert_eq!(status(&address, "/ping").await, Some(200));
    running.wait().await.unwrap();
    assert!(begun.elapsed() >= DRAIN_DELAY);
    assert_eq!(status(&address, "/ping").await, None);
}
