//! Discovery by Kubernetes, against an API server in this process that serves the list and the
//! watch of EndpointSlices as the real one does, and misbehaves when it is told to.
#![cfg(feature = "kubernetes")]
#![expect(
    clippy::unwrap_used,
    reason = "helpers of a test fail it as its assertions do"
)]

#[path = "support/seen.rs"]
mod seen;
#[path = "support/status.rs"]
mod source;

use std::time::{Duration, Instant};

use seen::{addresses, until};
use source::status;
use tenon_core::config::{ClientConfig, KubernetesConfig, PortName};
use tenon_discovery::{Instances, follow};
use tenon_test::api_server::{ApiServer, Pod, slice};

fn place(server: &ApiServer) -> KubernetesConfig {
    KubernetesConfig {
        service: "trial".to_owned(),
        namespace: Some("cohort".to_owned()),
        port: Some(PortName::Name("grpc".to_owned())),
        server: Some(server.url()),
        ..KubernetesConfig::default()
    }
}

fn followed(kubernetes: KubernetesConfig) -> Instances {
    let config = ClientConfig {
        kubernetes: Some(kubernetes),
        ..ClientConfig::default()
    };
    follow("trial", &config).unwrap()
}

#[tokio::test]
async fn ready_endpoints_of_all_slices_are_followed_as_they_change() {
    let server = ApiServer::start().await;
    server.put(slice(
        "trial-a",
        &[Pod::ready("10.0.0.1"), Pod::unready("10.0.0.2")],
    ));
    server.put(slice("trial-b", &[Pod::ready("10.0.1.1")]));
    let mut instances = followed(place(&server));
    until(&mut instances, &["10.0.0.1:9102", "10.0.1.1:9102"]).await;
    // A rolling update: the new pod becomes ready, then the old one terminates, then it is gone.
    server.put(slice(
        "trial-a",
        &[Pod::ready("10.0.0.1"), Pod::ready("10.0.0.2")],
    ));
    let seen = until(
        &mut instances,
        &["10.0.0.1:9102", "10.0.0.2:9102", "10.0.1.1:9102"],
    )
    .await;
    server.put(slice(
        "trial-a",
        &[Pod::terminating("10.0.0.1"), Pod::ready("10.0.0.2")],
    ));
    let left = until(&mut instances, &["10.0.0.2:9102", "10.0.1.1:9102"]).await;
    server.delete("trial-b");
    until(&mut instances, &["10.0.0.2:9102"]).await;
    assert_eq!(instances.status().resyncs, 0);
    println!("figure: ready to seen {seen:?}, terminating to left out {left:?}");
}

#[tokio::test]
async fn a_port_is_named_or_numbered() {
    let server = ApiServer::start().await;
    server.put(slice("trial-a", &[Pod::ready("10.0.0.1")]));
    for (port, expected) in [("grpc", 9102), ("rest", 8102)] {
        let by_name = KubernetesConfig {
            port: Some(PortName::Name(port.to_owned())),
            ..place(&server)
        };
        until(&mut followed(by_name), &[&format!("10.0.0.1:{expected}")]).await;
        let by_number = KubernetesConfig {
            port: Some(PortName::Number(expected)),
            ..place(&server)
        };
        until(&mut followed(by_number), &[&format!("10.0.0.1:{expected}")]).await;
    }
}

#[tokio::test]
async fn a_version_that_is_gone_is_answered_by_a_new_list_and_nothing_is_missed() {
    let server = ApiServer::start().await;
    server.put(slice("trial-a", &[Pod::ready("10.0.0.1")]));
    let mut instances = followed(place(&server));
    until(&mut instances, &["10.0.0.1:9102"]).await;
    // Once within a running watch, once as the answer to a new one.
    for (round, within) in [(1, true), (2, false)] {
        server.expire(
            within,
            slice(
                "trial-a",
                &[
                    Pod::ready("10.0.0.1"),
                    Pod::ready(&format!("10.0.0.{}", round + 1)),
                ],
            ),
        );
        let expected = [
            "10.0.0.1:9102".to_owned(),
            format!("10.0.0.{}:9102", round + 1),
        ];
        let expected: Vec<_> = expected.iter().map(String::as_str).collect();
        until(&mut instances, &expected).await;
        let status = status(&instances, |status| status.resyncs == round).await;
        assert!(
            status.problem.is_none(),
            "an old version is no outage: {status:?}"
        );
    }
}

#[tokio::test]
async fn an_outage_of_the_api_server_loses_no_instance_and_what_changed_is_seen_after_it() {
    let server = ApiServer::start().await;
    server.put(slice(
        "trial-a",
        &[Pod::ready("10.0.0.1"), Pod::ready("10.0.0.2")],
    ));
    let mut instances = followed(place(&server));
    until(&mut instances, &["10.0.0.1:9102", "10.0.0.2:9102"]).await;
    server.cut();
    status(&instances, |status| !status.connected).await;
    let (mut asked, mut had) = (0, 0);
    for _ in 0..200 {
        asked += 1;
        had += usize::from(addresses(&instances).len() == 2);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(asked, had);
    server.put(slice(
        "trial-a",
        &[Pod::ready("10.0.0.2"), Pod::ready("10.0.0.3")],
    ));
    server.mend();
    let back = until(&mut instances, &["10.0.0.2:9102", "10.0.0.3:9102"]).await;
    assert!(instances.status().resyncs >= 1);
    println!(
        "figure: {had} of {asked} looks at the list during the outage had it; back after {back:?}"
    );
}

#[tokio::test]
async fn an_api_server_that_flaps_empties_no_list() {
    let server = ApiServer::start().await;
    server.put(slice(
        "trial-a",
        &[Pod::ready("10.0.0.1"), Pod::ready("10.0.0.2")],
    ));
    let mut instances = followed(place(&server));
    until(&mut instances, &["10.0.0.1:9102", "10.0.0.2:9102"]).await;
    let (mut asked, mut had) = (0_u32, 0_u32);
    for flap in 0..40_u64 {
        match flap % 4 {
            0 => server.cut(),
            1 => server.fail(503),
            2 => server.end_watches(),
            _ => server.mend(),
        }
        for _ in 0..5 {
            asked += 1;
            had += u32::from(addresses(&instances).len() == 2);
            tokio::time::sleep(Duration::from_millis(flap % 9 + 1)).await;
        }
    }
    server.mend();
    status(&instances, |status| status.connected).await;
    assert_eq!(asked, had);
    println!("figure: 40 flaps, {had} of {asked} looks complete");
}

#[tokio::test]
async fn a_watch_that_ends_in_good_order_goes_on_without_a_new_list() {
    let server = ApiServer::start().await;
    server.put(slice("trial-a", &[Pod::ready("10.0.0.1")]));
    let mut instances = followed(place(&server));
    until(&mut instances, &["10.0.0.1:9102"]).await;
    for round in 2..5 {
        server.watched().await;
        server.end_watches();
        server.put(slice("trial-a", &[Pod::ready(&format!("10.0.0.{round}"))]));
        until(&mut instances, &[&format!("10.0.0.{round}:9102")]).await;
    }
    assert_eq!(server.lists(), 1);
    assert_eq!(instances.status().resyncs, 0);
}

#[tokio::test]
async fn all_pods_unready_for_a_moment_leaves_the_last_list() {
    let server = ApiServer::start().await;
    server.put(slice("trial-a", &[Pod::ready("10.0.0.1")]));
    server.put(slice("trial-b", &[Pod::ready("10.0.1.1")]));
    let mut instances = followed(place(&server));
    until(&mut instances, &["10.0.0.1:9102", "10.0.1.1:9102"]).await;
    server.put(slice("trial-a", &[Pod::unready("10.0.0.1")]));
    until(&mut instances, &["10.0.1.1:9102"]).await;
    server.delete("trial-b");
    // Told after it, so that it was taken note of.
    server.put(slice("trial-c", &[Pod::ready("10.0.2.1")]));
    until(&mut instances, &["10.0.2.1:9102"]).await;
}

#[tokio::test]
async fn the_token_is_read_anew_for_each_request_and_a_refusal_says_what_is_needed() {
    let server = ApiServer::start().await;
    server.put(slice("trial-a", &[Pod::ready("10.0.0.1")]));
    server.ask_for("second");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "first\n").unwrap();
    let config = KubernetesConfig {
        token_file: Some(file.clone()),
        ..place(&server)
    };
    let mut instances = followed(config);
    let refused = status(&instances, |status| status.problem.is_some()).await;
    let problem = refused.problem.unwrap();
    assert!(
        problem.contains("endpointslices") && !problem.contains("first"),
        "{problem}"
    );
    std::fs::write(&file, "second\n").unwrap();
    until(&mut instances, &["10.0.0.1:9102"]).await;
}

#[tokio::test]
async fn a_long_list_is_read_page_by_page() {
    let server = ApiServer::start().await;
    let mut expected = Vec::new();
    for number in 0..1_200 {
        let (high, low) = (number / 250, number % 250);
        server.put(slice(
            &format!("trial-{number}"),
            &[Pod::ready(&format!("10.1.{high}.{low}"))],
        ));
        expected.push(format!("10.1.{high}.{low}:9102"));
    }
    expected.sort();
    let expected: Vec<_> = expected.iter().map(String::as_str).collect();
    let begun = Instant::now();
    let mut instances = followed(place(&server));
    until(&mut instances, &expected).await;
    assert_eq!(server.lists(), 3);
    println!("figure: 1,200 slices on 3 pages in {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_start_while_the_api_server_is_away_waits_and_goes_on_by_itself() {
    let server = ApiServer::start().await;
    server.cut();
    server.put(slice("trial-a", &[Pod::ready("10.0.0.1")]));
    let mut instances = followed(place(&server));
    let status = status(&instances, |status| status.problem.is_some()).await;
    assert!(!status.answered);
    server.mend();
    until(&mut instances, &["10.0.0.1:9102"]).await;
}
