//! Limits of time and number, and the end of a server.
#![expect(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

#[path = "support/server.rs"]
mod server;

use std::{
    future::pending,
    io,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use server::{Client, Event, Witness, patient, start, text, within};
use tenon_net::{Options, Peer};
use tokio::io::AsyncWriteExt;

const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_head_that_trickles_is_cut_and_a_rested_connection_is_not() {
    let options = Options {
        header_timeout: Duration::from_millis(200),
        ..patient()
    };
    let server = start(options, |_| async { text("ok") }).await;
    let mut client = Client::connect(server.addr).await;
    client.get("/").await;
    client.head().await;
    // Resting is not dawdling.
    tokio::time::sleep(Duration::from_millis(400)).await;
    client.get("/").await;
    client.head().await;
    let started = Instant::now();
    let trickle = async {
        while client.0.write_all(b"G").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(SOON, "cutting the slow head", trickle).await;
    assert!(started.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_cut() {
    let options = Options {
        header_timeout: Duration::from_millis(100),
        ..patient()
    };
    let server = start(options, |_| async { text("ok") }).await;
    let mut client = Client::connect(server.addr).await;
    let started = Instant::now();
    within(SOON, "cutting the silent client", client.closed()).await;
    assert!(started.elapsed() >= Duration::from_millis(95));
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let options = Options {
        idle_timeout: Duration::from_millis(150),
        ..patient()
    };
    let server = start(options, |request| async move {
        if request.uri().path() == "/slow" {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        text("ok")
    })
    .await;
    let mut client = Client::connect(server.addr).await;
    client.get("/slow").await;
    client.head().await;
    let started = Instant::now();
    within(SOON, "closing the idle connection", client.closed()).await;
    assert!(started.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_cut() {
    let options = Options {
        unread_timeout: Duration::from_millis(200),
        ..patient()
    };
    let server = start(options, |_| async { text(vec![b'x'; 64 << 20]) }).await;
    let mut client = Client::connect(server.addr).await;
    client.get("/").await;
    // Nothing is read for longer than the limit; what comes then is not the whole answer.
    tokio::time::sleep(Duration::from_millis(800)).await;
    let mut rest = Vec::new();
    let outcome = within(
        SOON,
        "reading what is left",
        tokio::io::AsyncReadExt::read_to_end(&mut client.0, &mut rest),
    )
    .await;
    assert!(outcome.is_err() || rest.len() < 64 << 20);
}

#[tokio::test]
async fn further_connections_wait_until_one_ends_and_the_log_says_so() {
    let log = Log::default();
    let lines = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || lines.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let options = Options {
        max_connections: 1,
        ..patient()
    };
    let server = start(options, |_| async { text("ok") }).await;
    let mut first = Client::connect(server.addr).await;
    first.get("/").await;
    first.head().await;
    let mut second = Client::connect(server.addr).await;
    second.get("/").await;
    let early = tokio::time::timeout(Duration::from_millis(200), second.head()).await;
    assert!(
        early.is_err(),
        "the second connection was served: {early:?}"
    );
    drop(first);
    let head = within(SOON, "serving the second connection", second.head()).await;
    assert!(head.starts_with("http/1.1 200"));
    let told = log.text();
    assert_eq!(told.matches("further ones wait").count(), 1, "{told}");
    assert!(told.contains(&server.addr.to_string()), "{told}");
}

#[tokio::test]
async fn a_newcomer_takes_the_place_of_who_has_waited_longest_where_room_is_made() {
    let options = Options {
        max_connections: 3,
        header_timeout: patient().header_timeout,
        ..Options::admin()
    };
    let server = start(options, |request| async move {
        if request.uri().path() == "/work" {
            std::future::pending::<()>().await;
        }
        text("ok")
    })
    .await;
    let mut working = Client::connect(server.addr).await;
    working.get("/work").await;
    let mut resting = Client::connect(server.addr).await;
    resting.get("/").await;
    resting.head().await;
    let mut half = Client::connect(server.addr).await;
    half.send("GET / HTTP/1.1\r\nho").await;
    // One that says half comes after one that rests, and gives way before it.
    let ask = async |seen: &str| {
        let mut newcomer = Client::connect(server.addr).await;
        newcomer.get("/").await;
        let head = within(SOON, seen, newcomer.head()).await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        newcomer
    };
    let second = ask("serving the first newcomer").await;
    within(SOON, "closing the half-sent head", half.closed()).await;
    let _third = ask("serving the second newcomer").await;
    within(SOON, "closing who rested longest", resting.closed()).await;
    drop(second);
    let left = tokio::time::timeout(Duration::from_millis(200), working.closed());
    assert!(left.await.is_err(), "who is answered was sent away");
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn draining_ends_what_is_in_flight_and_refuses_what_is_new() {
    let (witness, mut seen) = Witness::new();
    let server = start(patient(), move |request| {
        let witness = witness.clone();
        async move {
            if request.uri().path() == "/slow" {
                let _presence = witness.enter();
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            text("done")
        }
    })
    .await;
    let mut silent = Client::connect(server.addr).await;
    let mut idle = Client::connect(server.addr).await;
    idle.get("/").await;
    idle.head().await;
    let mut busy = Client::connect(server.addr).await;
    busy.get("/slow").await;
    assert_eq!(seen.recv().await, Some(Event::Started));
    server.life.drain();
    within(SOON, "closing the idle connection", idle.closed()).await;
    within(SOON, "closing the silent connection", silent.closed()).await;
    assert!(
        tokio::net::TcpStream::connect(server.addr).await.is_err(),
        "a new connection was taken"
    );
    let head = busy.head().await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("connection: close"), "{head}");
    within(SOON, "the end of the server", server.done)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn what_outlasts_the_grace_is_cut() {
    for kill in [false, true] {
        let (witness, mut seen) = Witness::new();
        let options = Options {
            grace: if kill {
                SOON * 10
            } else {
                Duration::from_millis(100)
            },
            ..patient()
        };
        let server = start(options, move |_| {
            let witness = witness.clone();
            async move {
                let _presence = witness.enter();
                pending().await
            }
        })
        .await;
        let mut client = Client::connect(server.addr).await;
        client.get("/").await;
        assert_eq!(seen.recv().await, Some(Event::Started));
        if kill {
            server.life.kill();
        } else {
            server.life.drain();
        }
        within(SOON, "the end of the server", server.done)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(seen.recv().await, Some(Event::Dropped));
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = start(patient(), |_| async { text("ok") }).await;
    let mut client = Client::connect(server.addr).await;
    let long = "x".repeat(40 << 10);
    client
        .send(format!(
            "GET / HTTP/1.1\r\nhost: test\r\nx-long: {long}\r\n\r\n"
        ))
        .await;
    let head = within(SOON, "the answer", client.head()).await;
    assert!(head.starts_with("http/1.1 431"), "{head}");
}

#[tokio::test]
async fn the_peer_is_the_socket_and_no_header() {
    let server = start(patient(), |request| async move {
        let peer = request.extensions().get::<Peer>().unwrap();
        text(peer.0.to_string())
    })
    .await;
    let mut client = Client::connect(server.addr).await;
    client
        .send("GET / HTTP/1.1\r\nhost: test\r\nx-forwarded-for: 203.0.113.7\r\n\r\n")
        .await;
    let answer = client.head().await;
    let own = client.0.local_addr().unwrap().to_string();
    assert!(answer.ends_with(&own), "{answer}");
}

#[tokio::test]
async fn a_busy_port_names_the_address_and_the_key() {
    let addr = "127.0.0.1:0".parse().unwrap();
    let holder = tenon_net::bind(addr, "rest.listen").await.unwrap();
    let addr = holder.local_addr().unwrap();
    let error = tenon_net::bind(addr, "rest.listen").await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&addr.to_string()), "{text}");
    assert!(text.contains("set `rest.listen`"), "{text}");
}

/// Runs inside a process with few descriptors; see the test after it.
#[tokio::test]
async fn out_of_descriptors_inside() {
    if std::env::var_os("TENON_FEW_DESCRIPTORS").is_none() {
        return;
    }
    let server = start(patient(), |_| async { text("ok") }).await;
    let mut held = Vec::new();
    // Both ends are in this process, so that accepting fails at about half the limit.
    while let Ok(tcp) = tokio::net::TcpStream::connect(server.addr).await {
        held.push(tcp);
    }
    assert!(held.len() > 5);
    // Nobody can be let in now; the loop must outlive that.
    tokio::time::sleep(Duration::from_millis(300)).await;
    held.clear();
    let mut client = Client::connect(server.addr).await;
    client.get("/").await;
    let head = within(SOON, "serving after the shortage", client.head()).await;
    assert!(head.starts_with("http/1.1 200"));
}

#[test]
fn running_out_of_descriptors_does_not_end_the_server() {
    let tests = std::env::current_exe().unwrap();
    let outcome = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""])
        .arg(tests)
        .args(["--exact", "out_of_descriptors_inside", "--nocapture"])
        .env("TENON_FEW_DESCRIPTORS", "1")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&outcome.stdout);
    assert!(outcome.status.success(), "{printed}");
    assert!(printed.contains("1 passed"), "{printed}");
}
