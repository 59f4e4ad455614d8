//! The channel when instances come, go, break and stay silent.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "the helpers of a test fail it as its assertions do"
)]

#[path = "shape/patient.rs"]
pub mod patient;
#[path = "shape/ward.rs"]
pub mod ward;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use patient::{PatientClient, PatientService};
use tenon_core::{
    Code, Context, Error,
    catalogue::{DEADLINE_EXCEEDED, UNAVAILABLE},
    config::{ClientConfig, RpcConfig},
};
use tenon_rpc::{Channel, Metrics, catalogue::MESSAGE_TOO_LARGE};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use ward::{channel, house, house_at, remote, trial, ward};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

async fn ask(client: &PatientClient) -> Result<(), Error> {
    let cx = Context::background();
    client
        .get_patients_by_trial(&cx, trial("T1"))
        .await
        .map(|_| ())
}

/// A port on which nobody listens.
fn deserted() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], tenon_test::fixed_port()))
}

#[tokio::test]
async fn a_dead_endpoint_is_unavailable_at_once() {
    let client = PatientClient::remote(channel(&[deserted()], Duration::from_secs(2))).unwrap();
    for _ in 0..3 {
        let started = Instant::now();
        let error = ask(&client).await.unwrap_err();
        assert!(error.is(&UNAVAILABLE), "{error:?}");
        assert!(started.elapsed() < Duration::from_millis(500));
        let cause = error.cause_chain().unwrap();
        assert!(cause.contains("patient: 127.0.0.1:"), "{cause}");
        assert!(!error.to_string().contains("127.0.0.1"), "{error}");
    }
}

#[tokio::test]
async fn a_restarted_server_is_found_again() {
    let first = house(ward(None).0).await;
    let address = first.address;
    let client = remote(&first);
    ask(&client).await.unwrap();
    drop(first);
    let mut refused = 0;
    while ask(&client).await.is_ok() {
        refused += 1;
        assert!(refused < 1000, "the killed server goes on answering");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let error = ask(&client).await.unwrap_err();
    assert!(error.is(&UNAVAILABLE), "{error:?}");
    let _second = house_at(address, ward(None).0, RpcConfig::default()).await;
    let started = Instant::now();
    while ask(&client).await.is_err() {
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "not found again"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("restarted server found again after {:?}", started.elapsed());
}

#[tokio::test]
async fn calls_go_round_and_past_the_dead() {
    let (a, b) = (house(ward(None).0).await, house(ward(None).0).await);
    let places = [a.address, deserted(), b.address];
    let client = PatientClient::remote(channel(&places, Duration::from_secs(2))).unwrap();
    for _ in 0..60 {
        ask(&client).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let share = |house: &ward::House| {
        let text = house.metrics.encode();
        let line = text
            .lines()
            .find(|line| line.contains("_count") && line.contains("getPatientsByTrial"))
            .unwrap_or("0");
        line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()
    };
    let (a, b) = (share(&a), share(&b));
    assert_eq!(a + b, 60);
    assert!(a >= 15 && b >= 15, "{a} and {b} calls");
}

#[tokio::test]
async fn no_call_is_lost_when_an_instance_is_drained() {
    let (a, b) = (house(ward(None).0).await, house(ward(None).0).await);
    let client =
        PatientClient::remote(channel(&[a.address, b.address], Duration::from_secs(2))).unwrap();
    let calls = (0..8).map(|_| {
        let client = client.clone();
        tokio::spawn(async move {
            for _ in 0..400 {
                ask(&client).await.unwrap();
            }
        })
    });
    let calls: Vec<_> = calls.collect();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(
        calls.iter().all(|call| !call.is_finished()),
        "too late to drain"
    );
    a.life.drain();
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn a_message_over_a_limit_is_told_as_such_in_both_directions() {
    let roomy = RpcConfig {
        max_bytes: 16 << 20,
        ..RpcConfig::default()
    };
    let (strict, roomy) = (
        house(ward(None).0).await,
        house_at(ANY, ward(None).0, roomy).await,
    );
    let large = "T".repeat(5 << 20);
    // The first refuses the request, which is still being sent; the reply of the second is refused.
    for house in [&strict, &roomy] {
        let client = remote(house);
        for _ in 0..5 {
            let cx = Context::background();
            let error = client
                .get_patients_by_trial(&cx, trial(&large))
                .await
                .unwrap_err();
            assert!(error.is(&MESSAGE_TOO_LARGE), "{error:?}");
            assert_eq!(error.status(), Code::ResourceExhausted);
            assert_eq!(error.http_status(), 413);
        }
        ask(&client).await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_breaks_under_a_call_is_unavailable() {
    let listener = TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Long enough for the call to be written.
            tokio::time::sleep(Duration::from_millis(50)).await;
            drop(stream);
        }
    });
    let client = PatientClient::remote(channel(&[address], Duration::from_secs(2))).unwrap();
    let started = Instant::now();
    let error = ask(&client).await.unwrap_err();
    assert!(error.is(&UNAVAILABLE), "{error:?}");
    assert!(
        started.elapsed() < Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_server_that_speaks_no_http2_is_unavailable() {
    let listener = TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.try_write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
        }
    });
    let client = PatientClient::remote(channel(&[address], Duration::from_secs(2))).unwrap();
    for _ in 0..3 {
        let error = ask(&client).await.unwrap_err();
        assert!(error.is(&UNAVAILABLE), "{error:?}");
    }
}

#[tokio::test]
async fn a_silent_peer_is_left_at_the_deadline() {
    let listener = TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let client = PatientClient::remote(channel(&[address], Duration::from_millis(200))).unwrap();
    // The context's deadline, and the configured one where the context has none.
    for (cx, limit) in [
        (
            Context::background().with_timeout(Duration::from_millis(100)),
            100,
        ),
        (Context::background(), 200),
    ] {
        let started = Instant::now();
        let error = client
            .get_patients_by_trial(&cx, trial("T1"))
            .await
            .unwrap_err();
        assert!(error.is(&DEADLINE_EXCEEDED), "{error:?}");
        assert!((limit - 5..limit + 300).contains(&started.elapsed().as_millis()));
    }
}

#[tokio::test]
async fn callers_that_wait_for_a_connection_honour_their_context() {
    // A full backlog drops what comes further: connecting neither succeeds nor fails.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(ANY).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut fillers = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(address)).await
    {
        fillers.push(stream);
        assert!(fillers.len() < 64, "the backlog never fills");
    }
    let client = PatientClient::remote(channel(&[address], Duration::from_secs(3))).unwrap();
    let started = Instant::now();
    let cx = Context::background().with_timeout(Duration::from_millis(100));
    let error = client
        .get_patients_by_trial(&cx, trial("T1"))
        .await
        .unwrap_err();
    assert!(error.is(&DEADLINE_EXCEEDED), "{error:?}");
    assert!(started.elapsed() < Duration::from_millis(500));
    // One that may wait longer is told when the attempt is given up, after one second.
    let error = ask(&client).await.unwrap_err();
    assert!(error.is(&UNAVAILABLE), "{error:?}");
    assert!(
        started.elapsed() < Duration::from_millis(1800),
        "{:?}",
        started.elapsed()
    );
    assert!(
        error
            .cause_chain()
            .unwrap()
            .contains("no connection within 1s")
    );
}

#[tokio::test]
async fn a_dropped_channel_closes_its_connection() {
    let listener = TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = PatientClient::remote(channel(&[address], Duration::from_millis(100))).unwrap();
    let asked = tokio::spawn(async move { ask(&client).await });
    let (stream, _) = listener.accept().await.unwrap();
    assert!(asked.await.unwrap().is_err());
    let mut buffer = [0; 4096];
    let closed = tokio::time::timeout(Duration::from_secs(2), async {
        loop {
            stream.readable().await.unwrap();
            match stream.try_read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
    });
    closed
        .await
        .expect("the connection is closed with its channel");
}

#[test]
fn a_channel_outlives_the_runtime_that_connected_it() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let (servers, first, second) = (runtime(), runtime(), runtime());
    let house = servers.block_on(house(ward(None).0));
    std::thread::spawn(move || servers.block_on(std::future::pending::<()>()));
    let client = remote(&house);
    // The first runtime ends in the middle of its attempt to connect.
    first.block_on(async {
        let cx = Context::background();
        let mut call = std::pin::pin!(client.get_patients_by_trial(&cx, trial("T1")));
        assert!(futures_util::poll!(&mut call).is_pending());
    });
    drop(first);
    second.block_on(ask(&client)).unwrap();
}

#[test]
fn endpoints_are_checked_when_the_channel_is_made() {
    for endpoints in [
        vec![],
        vec!["patient"],
        vec!["127.0.0.1:9101", "http://patient:9101"],
    ] {
        let config = ClientConfig {
            endpoints: endpoints.into_iter().map(str::to_owned).collect(),
            timeout: Duration::from_secs(1),
            ..ClientConfig::default()
        };
        let error = Channel::new("patient", &config, &Metrics::new())
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("clients.patient") && error.contains("host:port"),
            "{error}"
        );
    }
}
