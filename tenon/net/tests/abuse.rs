//! Peers that abuse HTTP/2, and readers that dawdle: each is cut, others are served meanwhile, and
//! the cost is printed.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

#[path = "support/server.rs"]
mod server;

use std::{
    fs,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method, Request, Version};
use server::{Client, Event, Server, Witness, patient, start, text, within};
use tenon_net::{Options, Protocol};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const SOON: Duration = Duration::from_secs(20);
/// The client's half of the greeting: the preface and an empty frame of settings.
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// `POST http://test/`, coded without a table: RFC 7541, appendix A, entries 3, 6 and 4, and a
/// literal authority.
const HEAD: &[u8] = b"\x83\x86\x84\x41\x04test";

fn http2() -> Options {
    Options {
        protocol: Protocol::Http2,
        ..patient()
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

async fn greet(server: &Server) -> TcpStream {
    let mut tcp = TcpStream::connect(server.addr).await.unwrap();
    tcp.write_all(GREETING).await.unwrap();
    tcp
}

/// A good client's call, to see that the house still serves.
async fn call(server: &Server) -> Duration {
    let started = Instant::now();
    let tcp = TcpStream::connect(server.addr).await.unwrap();
    let (mut send, connection) = h2::client::handshake(tcp).await.unwrap();
    tokio::spawn(connection);
    let request = Request::builder()
        .method(Method::POST)
        .version(Version::HTTP_2)
        .uri("http://test/");
    let (response, _) = send.send_request(request.body(()).unwrap(), true).unwrap();
    let response = within(SOON, "a good call", response).await.unwrap();
    assert_eq!(response.status(), 200);
    started.elapsed()
}

/// User and system time of this process, which holds the server and the attacker.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, after) = stat.rsplit_once(')').unwrap();
    let fields: Vec<i64> = after
        .split_whitespace()
        .filter_map(|field| field.parse().ok())
        .collect();
    // Without the letter of the state, user time is the eleventh number.
    Duration::from_millis(u64::try_from((fields[10] + fields[11]) * 10).unwrap())
}

/// Sends `piece` until the server has closed, or `pieces_max` times. Answers are read and dropped
/// meanwhile.
async fn flood(
    tcp: TcpStream,
    pieces_max: usize,
    mut piece: impl FnMut(usize) -> Vec<u8>,
) -> Flood {
    let (mut read, mut write) = tcp.into_split();
    let (started, cpu_before) = (Instant::now(), cpu());
    let reader = tokio::spawn(async move {
        let mut answer = Vec::new();
        let _ = read.read_to_end(&mut answer).await;
        answer
    });
    let mut sent = 0;
    while sent < pieces_max && !reader.is_finished() {
        if write.write_all(&piece(sent)).await.is_err() {
            break;
        }
        sent += 1;
    }
    let closed = tokio::time::timeout(Duration::from_secs(5), reader).await;
    Flood {
        sent,
        closed: closed.is_ok(),
        answer: closed.map(Result::unwrap).unwrap_or_default(),
        elapsed: started.elapsed(),
        cpu: cpu().saturating_sub(cpu_before),
    }
}

struct Flood {
    sent: usize,
    closed: bool,
    answer: Vec<u8>,
    elapsed: Duration,
    cpu: Duration,
}

impl Flood {
    fn figures(&self, what: &str) -> String {
        format!(
            "{what}: {} sent, closed: {}, GOAWAY: {}, {:.2} s of CPU (both sides) in {:.2} s",
            self.sent,
            self.closed,
            self.goaway(),
            self.cpu.as_secs_f64(),
            self.elapsed.as_secs_f64()
        )
    }

    /// Whether a frame of kind 7 is among the answer.
    fn goaway(&self) -> bool {
        let mut rest = &self.answer[..];
        while let Some((head, after)) = rest.split_first_chunk::<9>() {
            if head[3] == 7 {
                return true;
            }
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            rest = after.get(length..).unwrap_or_default();
        }
        false
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_resets_what_it_asks_for_is_cut() {
    let server = start(http2(), |_| async {
        std::future::pending::<()>().await;
        text("never")
    })
    .await;
    let tcp = greet(&server).await;
    let attack = flood(tcp, 200_000, |n| {
        let stream = u32::try_from(2 * n + 1).unwrap();
        let mut pair = frame(1, 0x5, stream, HEAD);
        pair.extend(frame(3, 0, stream, &8_u32.to_be_bytes()));
        pair
    })
    .await;
    println!("{}", attack.figures("rapid reset"));
    assert!(attack.closed, "the connection still stands");
    assert!(attack.sent < 100_000, "{} calls were taken", attack.sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_rapid_reset_is_cut_as_well() {
    let server = start(http2(), |_| async {
        std::future::pending::<()>().await;
        text("never")
    })
    .await;
    let tcp = TcpStream::connect(server.addr).await.unwrap();
    let (mut send, connection) = h2::client::handshake(tcp).await.unwrap();
    let end = tokio::spawn(connection);
    // Each call is begun before it is reset: the limits of the protocol's library do not see it.
    let mut made = 0;
    while !end.is_finished() && made < 20_000 {
        let Ok(ready) = send.clone().ready().await else {
            break;
        };
        send = ready;
        let request = Request::post("http://test/").body(()).unwrap();
        let Ok((_, mut stream)) = send.send_request(request, false) else {
            break;
        };
        tokio::task::yield_now().await;
        stream.send_reset(h2::Reason::CANCEL);
        made += 1;
    }
    println!("reset of begun calls: cut after {made} calls");
    assert!(made < 20_000, "nobody cut the connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_all_calls_of_a_connection_cuts_nobody() {
    let (witness, mut seen) = Witness::new();
    let server = start(http2(), move |request| {
        let presence = (request.method() == Method::PUT).then(|| witness.enter());
        async move {
            if presence.is_some() {
                std::future::pending::<()>().await;
            }
            text("ok")
        }
    })
    .await;
    let tcp = TcpStream::connect(server.addr).await.unwrap();
    let (mut send, connection) = h2::client::handshake(tcp).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..3 {
        let mut begun = Vec::new();
        for _ in 0..200 {
            send = send.ready().await.unwrap();
            let request = Request::put("http://test/").body(()).unwrap();
            begun.push(send.send_request(request, true).unwrap());
            assert_eq!(seen.recv().await, Some(Event::Started));
        }
        drop(begun);
        for _ in 0..200 {
            assert_eq!(seen.recv().await, Some(Event::Dropped));
        }
    }
    send = send.ready().await.unwrap();
    let request = Request::post("http://test/").body(()).unwrap();
    let (response, _) = send.send_request(request, true).unwrap();
    let response = within(SOON, "the call after them", response).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_never_ends_is_cut() {
    let server = start(http2(), |_| async { text("ok") }).await;
    let tcp = greet(&server).await;
    // A header of 4 KiB in each frame, and none of them the last: CVE-2024-27316.
    let mut field = b"\x00\x01x\x7f\x81\x1f".to_vec();
    field.extend([b'a'; 4096]);
    let attack = flood(tcp, 50_000, |n| match n {
        0 => frame(1, 0, 1, HEAD),
        _ => frame(9, 0, 1, &field),
    })
    .await;
    println!("{}", attack.figures("endless head"));
    assert!(attack.closed && attack.sent < 10_000);
    call(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_and_settings_stop_nobody_else() {
    let server = start(http2(), |_| async { text("ok") }).await;
    for (what, kind, payload) in [("pings", 6, &[7; 8][..]), ("settings", 4, &[])] {
        let tcp = greet(&server).await;
        let attack = tokio::spawn(flood(tcp, 100_000, move |_| frame(kind, 0, 0, payload)));
        let slowest = {
            let mut slowest = Duration::ZERO;
            for _ in 0..20 {
                slowest = slowest.max(call(&server).await);
            }
            slowest
        };
        let attack = attack.await.unwrap();
        println!("{}", attack.figures(what));
        println!("slowest good call meanwhile: {slowest:?}");
    }
}

#[tokio::test]
async fn a_window_that_stays_shut_is_cut() {
    let options = Options {
        unread_timeout: Duration::from_millis(300),
        idle_timeout: Duration::from_secs(1000),
        ..http2()
    };
    let server = start(options, |_| async { text(vec![b'x'; 8 << 20]) }).await;
    let mut tcp = greet(&server).await;
    tcp.write_all(&frame(1, 0x5, 1, HEAD)).await.unwrap();
    // What came within the first window is read, and no other window is opened.
    let mut read = Vec::new();
    let outcome = within(SOON, "cutting", tcp.read_to_end(&mut read)).await;
    assert!(outcome.is_err() || read.len() < 1 << 20, "{}", read.len());
}

#[tokio::test]
async fn a_stream_that_only_has_nothing_to_say_is_not_cut() {
    let options = Options {
        unread_timeout: Duration::from_millis(100),
        ..http2()
    };
    let server = start(options, |_| async {
        tokio::time::sleep(Duration::from_millis(600)).await;
        text(vec![b'x'; 1 << 20])
    })
    .await;
    let tcp = TcpStream::connect(server.addr).await.unwrap();
    let (mut send, connection) = h2::client::handshake(tcp).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("http://test/").body(()).unwrap();
    let (response, _) = send.send_request(request, true).unwrap();
    let mut body = within(SOON, "the answer", response)
        .await
        .unwrap()
        .into_body();
    let mut read = 0;
    while let Some(piece) = body.data().await {
        let piece: Bytes = piece.unwrap();
        read += piece.len();
        body.flow_control().release_capacity(piece.len()).unwrap();
    }
    assert_eq!(read, 1 << 20);
}

#[tokio::test]
async fn a_reader_of_a_byte_now_and_then_is_cut() {
    let options = Options {
        unread_timeout: Duration::from_millis(500),
        grace: Duration::from_secs(1000),
        ..patient()
    };
    let server = start(options, |_| async { text(vec![b'x'; 64 << 20]) }).await;
    let mut client = Client::connect(server.addr).await;
    client.get("/").await;
    client.head().await;
    let trickle = tokio::spawn(async move {
        let mut byte = [0];
        while client.0.read(&mut byte).await.is_ok_and(|read| read > 0) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    // A server that was told to stop ends when its last connection has ended.
    server.life.drain();
    within(SOON, "cutting the slow reader", server.done)
        .await
        .unwrap()
        .unwrap();
    trickle.abort();
}
