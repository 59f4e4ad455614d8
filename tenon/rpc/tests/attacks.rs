//! What hostile peers send to the gRPC address below the level of calls: each loses its
//! connection or its stream in bounded time, and others are served.

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

use patient::PatientService;
use tenon_core::{Context, Lifecycle, config::RpcConfig};
use tenon_net::Options;
use tenon_rpc::Server;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use ward::{House, house, remote, trial, ward};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: u8 = 4;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The head of a call, in literals that no table indexes.
fn head() -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/patient.PatientService/getPatientsByTrial"),
        (":authority", "ward"),
        ("content-type", "application/grpc"),
    ];
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let field = |(name, value)| [vec![0], text(name), text(value)].concat();
    fields.into_iter().flat_map(field).collect()
}

/// Sends the bytes and waits until the server closes; how long that took.
async fn thrown_out(address: SocketAddr, bytes: &[u8]) -> Duration {
    let started = Instant::now();
    let tcp = TcpStream::connect(address).await.unwrap();
    let (mut from, mut to) = tcp.into_split();
    // What the server says is read meanwhile, as a flood would otherwise block itself.
    let reading = tokio::spawn(async move {
        let mut answer = Vec::new();
        let _ = from.read_to_end(&mut answer).await;
    });
    let _ = to.write_all(bytes).await;
    let closed = tokio::time::timeout(Duration::from_secs(10), reading).await;
    closed.expect("the server keeps the connection").unwrap();
    started.elapsed()
}

async fn still_serves(house: &House) {
    let answer = remote(house)
        .get_patients_by_trial(&Context::background(), trial("T1"))
        .await;
    assert!(answer.is_ok(), "{answer:?}");
}

#[tokio::test]
async fn what_is_no_http2_is_thrown_out() {
    let house = house(ward(None).0).await;
    for bytes in [
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(8),
        b"\0".repeat(1 << 16),
        [PREFACE, b"not a frame at all, whatever it says"].concat(),
        // A frame of 16 MiB.
        [PREFACE, &[0xff, 0xff, 0xff, SETTINGS, 0, 0, 0, 0, 0]].concat(),
        // Settings on a stream, a head on stream zero, a continuation of nothing.
        [PREFACE.to_vec(), frame(SETTINGS, 0, 1, &[])].concat(),
        [
            PREFACE.to_vec(),
            frame(SETTINGS, 0, 0, &[]),
            frame(HEADERS, 5, 0, &head()),
        ]
        .concat(),
        [
            PREFACE.to_vec(),
            frame(SETTINGS, 0, 0, &[]),
            frame(CONTINUATION, 4, 1, &head()),
        ]
        .concat(),
        // A table index that does not exist.
        [
            PREFACE.to_vec(),
            frame(SETTINGS, 0, 0, &[]),
            frame(HEADERS, 5, 1, &[0xff, 0xff, 0xff, 0x7f]),
        ]
        .concat(),
    ] {
        thrown_out(house.address, &bytes).await;
    }
    still_serves(&house).await;
}

#[tokio::test]
async fn floods_end_the_connection() {
    let house = house(ward(None).0).await;
    let begin = [PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[])].concat();
    // CVE-2023-44487: streams that are opened and reset at once.
    let mut resets = begin.clone();
    for stream in (1..100_000).step_by(2) {
        resets.extend(frame(HEADERS, 4, stream, &head()));
        resets.extend(frame(RESET, 0, stream, &8_u32.to_be_bytes()));
    }
    // CVE-2024-27316: a head that goes on for ever.
    let mut endless = begin.clone();
    endless.extend(frame(HEADERS, 0, 1, &head()));
    let field = [&[0, 1, b'x', 100][..], &[b'y'; 100]].concat();
    for _ in 0..20_000 {
        endless.extend(frame(CONTINUATION, 0, 1, &field));
    }
    for flood in [resets, endless] {
        let took = thrown_out(house.address, &flood).await;
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
    still_serves(&house).await;
    // Pings are answered, one each, and neither pile up nor keep others waiting.
    let mut tcp = TcpStream::connect(house.address).await.unwrap();
    let pings = frame(PING, 0, 0, &[7; 8]).repeat(1_000);
    tcp.write_all(&[begin, pings].concat()).await.unwrap();
    still_serves(&house).await;
}

#[tokio::test]
async fn a_peer_that_does_not_greet_is_cut_and_one_that_did_may_rest() {
    let door = Server::new("ward", RpcConfig::default());
    let listener = tenon_net::bind("127.0.0.1:0".parse().unwrap(), "rpc.listen")
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    let options = Options {
        header_timeout: Duration::from_millis(200),
        ..Options::rpc(&RpcConfig::default())
    };
    let door = door.into_service().unwrap();
    tokio::spawn(tenon_net::serve(listener, door, options, Lifecycle::new()));
    for greeting in [&b""[..], b"P", &PREFACE[..20], PREFACE] {
        let took = thrown_out(address, greeting).await;
        assert!(took >= Duration::from_millis(150), "{took:?}");
    }
    let mut tcp = TcpStream::connect(address).await.unwrap();
    let greeting = [PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[])].concat();
    tcp.write_all(&greeting).await.unwrap();
    let mut answer = Vec::new();
    let reading = tcp.read_to_end(&mut answer);
    let closed = tokio::time::timeout(Duration::from_millis(600), reading).await;
    assert!(closed.is_err(), "a connection at rest was cut");
}
