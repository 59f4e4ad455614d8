//! Discovery by DNS, against a name server in this process.
#![cfg(feature = "dns")]
#![expect(
    clippy::unwrap_used,
    reason = "helpers of a test fail it as its assertions do"
)]

#[path = "support/name_server.rs"]
mod name_server;
#[path = "support/seen.rs"]
mod seen;
#[path = "support/status.rs"]
mod source;

use std::time::{Duration, Instant};

use name_server::{Mood, NameServer, Record};
use seen::{addresses, until};
use source::status;
use tenon_core::config::{ClientConfig, DnsConfig};
use tenon_discovery::{Instances, follow};

const SOON: Duration = Duration::from_millis(20);

fn place(server: &NameServer) -> DnsConfig {
    DnsConfig {
        refresh_min: SOON,
        refresh_max: Duration::from_secs(30),
        servers: vec![server.address()],
        ..DnsConfig::default()
    }
}

fn by_name(server: &NameServer) -> Instances {
    followed(DnsConfig {
        name: "trial.cohort.test.".to_owned(),
        port: 9102,
        ..place(server)
    })
}

fn followed(dns: DnsConfig) -> Instances {
    let config = ClientConfig {
        dns: Some(dns),
        ..ClientConfig::default()
    };
    follow("trial", &config).unwrap()
}

#[tokio::test]
async fn addresses_are_followed_as_the_zone_changes() {
    let server = NameServer::start().await;
    server.addresses("trial.cohort.test", &["10.0.0.2", "10.0.0.1", "fd00::1"]);
    let mut instances = by_name(&server);
    until(&mut instances, &["10.0.0.1:9102", "10.0.0.2:9102"]).await;
    server.addresses("trial.cohort.test", &["10.0.0.3", "10.0.0.1"]);
    let seen = until(&mut instances, &["10.0.0.1:9102", "10.0.0.3:9102"]).await;
    server.addresses("trial.cohort.test", &["fd00::1"]);
    until(&mut instances, &["[fd00::1]:9102"]).await;
    println!("figure: a change was seen after {seen:?}, records of 0 s, asked each {SOON:?}");
}

#[tokio::test]
async fn services_tell_ports_and_weights_and_only_the_first_priority_counts() {
    let server = NameServer::start().await;
    let service = |priority, weight, port, target| Record::Service {
        priority,
        weight,
        port,
        target,
    };
    server.addresses("a.test", &["10.0.0.1"]);
    server.addresses("b.test", &["10.0.0.2", "10.0.0.3"]);
    server.addresses("spare.test", &["10.0.9.9"]);
    server.set(
        "_grpc._tcp.trial.test",
        &[
            service(10, 200, 9102, "a.test"),
            service(10, 50, 9103, "b.test"),
            service(10, 0, 9104, "nowhere.test"),
            service(20, 100, 9102, "spare.test"),
        ],
    );
    let mut instances = followed(DnsConfig {
        srv: "_grpc._tcp.trial.test.".to_owned(),
        ..place(&server)
    });
    until(
        &mut instances,
        &["10.0.0.1:9102", "10.0.0.2:9103", "10.0.0.3:9103"],
    )
    .await;
    let weights: Vec<_> = instances.now().iter().map(|one| one.weight).collect();
    assert_eq!(weights, [200, 50, 50]);
    // Without a choice to be made all are alike.
    server.set(
        "_grpc._tcp.trial.test",
        &[service(0, 0, 9102, "a.test"), service(20, 1, 1, "b.test")],
    );
    until(&mut instances, &["10.0.0.1:9102"]).await;
    assert_eq!(instances.now()[0].weight, 100);
}

#[tokio::test]
async fn an_outage_of_dns_loses_no_instance() {
    let server = NameServer::start().await;
    server.addresses("trial.cohort.test", &["10.0.0.1"]);
    let mut instances = by_name(&server);
    until(&mut instances, &["10.0.0.1:9102"]).await;
    let (mut asked, mut had) = (0, 0);
    for mood in [Mood::Failing, Mood::Silent] {
        server.mood(mood);
        status(&instances, |status| !status.connected).await;
        for _ in 0..100 {
            asked += 1;
            had += usize::from(addresses(&instances) == ["10.0.0.1:9102"]);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        server.mood(Mood::Well);
        status(&instances, |status| status.connected).await;
    }
    assert_eq!(asked, had);
    server.addresses("trial.cohort.test", &["10.0.0.2"]);
    until(&mut instances, &["10.0.0.2:9102"]).await;
    println!("figure: {had} of {asked} looks at the list while DNS failed or was silent had it");
}

#[tokio::test]
async fn a_name_that_vanishes_leaves_the_last_list_for_now() {
    let server = NameServer::start().await;
    server.addresses("trial.cohort.test", &["10.0.0.1"]);
    let mut instances = by_name(&server);
    until(&mut instances, &["10.0.0.1:9102"]).await;
    server.set("trial.cohort.test", &[]);
    let before = server.asked_at().len();
    while server.asked_at().len() < before + 10 {
        tokio::time::sleep(SOON).await;
    }
    assert_eq!(addresses(&instances), ["10.0.0.1:9102"]);
    assert!(
        instances.status().connected,
        "that there is none is an answer"
    );
}

#[tokio::test]
async fn records_are_asked_for_again_when_they_have_lived() {
    let server = NameServer::start().await;
    server.addresses("trial.cohort.test", &["10.0.0.1"]);
    server.ttl(1);
    let mut instances = by_name(&server);
    until(&mut instances, &["10.0.0.1:9102"]).await;
    while server.asked_at().len() < 3 {
        tokio::time::sleep(SOON).await;
    }
    let asked = server.asked_at();
    let gaps: Vec<_> = asked.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(
        gaps.iter().all(|gap| *gap >= Duration::from_millis(990)),
        "{gaps:?}"
    );
    println!("figure: records that live 1 s were asked for after {gaps:?}");
}

#[tokio::test]
async fn a_start_while_dns_is_away_waits_and_goes_on_by_itself() {
    let server = NameServer::start().await;
    server.mood(Mood::Failing);
    let mut instances = by_name(&server);
    let failed = status(&instances, |status| status.problem.is_some()).await;
    assert!(!failed.answered);
    server.addresses("trial.cohort.test", &["10.0.0.1"]);
    server.mood(Mood::Well);
    let begun = Instant::now();
    until(&mut instances, &["10.0.0.1:9102"]).await;
    println!("figure: answered {:?} after DNS did", begun.elapsed());
}
