//! The door as a bare HTTP/2 client sees it: statuses, headers, malformed and oversized input.

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
    io::Write,
    time::{Duration, Instant},
};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode};
use prost::Message;
use tenon_core::{Code, catalogue, config::RpcConfig};
use tenon_rpc::Server;
use tokio::net::TcpStream;
use ward::{House, house, house_at, trial, ward};

const LIST: &str = "/patient.PatientService/getPatientsByTrial";

/// One HTTP/2 connection to a house.
struct Raw {
    sender: h2::client::SendRequest<Bytes>,
}

/// An answer, read to its end.
#[derive(Debug)]
struct Answer {
    http: StatusCode,
    headers: HeaderMap,
    data: Bytes,
    trailers: Option<HeaderMap>,
}

impl Answer {
    /// The gRPC status, wherever it stands.
    fn status(&self) -> i32 {
        let trailers = self.trailers.as_ref();
        let value = self
            .headers
            .get("grpc-status")
            .or_else(|| trailers.and_then(|trailers| trailers.get("grpc-status")));
        value.expect("a status").to_str().unwrap().parse().unwrap()
    }
}

impl Raw {
    async fn to(house: &House) -> Self {
        let tcp = TcpStream::connect(house.address).await.unwrap();
        let (sender, connection) = h2::client::handshake(tcp).await.unwrap();
        tokio::spawn(connection);
        Self { sender }
    }

    async fn call(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.send("POST", path, headers, body).await
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut sender = self.sender.clone().ready().await.unwrap();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://ward{path}"));
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/grpc");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (response, mut stream) = sender
            .send_request(request.body(()).unwrap(), false)
            .unwrap();
        // The server may refuse and reset before it has read everything.
        let _ = stream.send_data(Bytes::copy_from_slice(body), true);
        let (parts, mut body) = response.await.unwrap().into_parts();
        let mut data = BytesMut::new();
        while let Some(piece) = body.data().await {
            let piece = piece.unwrap();
            body.flow_control().release_capacity(piece.len()).unwrap();
            data.extend_from_slice(&piece);
        }
        Answer {
            http: parts.status,
            headers: parts.headers,
            data: data.freeze(),
            trailers: body.trailers().await.unwrap(),
        }
    }
}

fn framed(compressed: u8, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![compressed];
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.extend_from_slice(message);
    frame
}

fn asking(trial_id: &str) -> Vec<u8> {
    framed(0, &trial(trial_id).encode_to_vec())
}

#[tokio::test]
async fn an_answer_is_one_message_and_a_status_in_the_trailers() {
    let house = house(ward(None).0).await;
    let answer = Raw::to(&house).await.call(LIST, &[], &asking("T1")).await;
    assert_eq!(answer.http, StatusCode::OK);
    assert_eq!(answer.headers["content-type"], "application/grpc");
    assert!(answer.headers.get("grpc-status").is_none());
    assert_eq!(answer.trailers.as_ref().unwrap()["grpc-status"], "0");
    let resp = patient::GetPatientsByTrialResp::decode(&answer.data[5..]).unwrap();
    assert_eq!(resp.patients[0].id, "T1");
}

#[tokio::test]
async fn a_passed_deadline_is_4_though_the_handler_ignores_its_context() {
    let (ward, mut events) = ward(None);
    let house = house(ward).await;
    let raw = Raw::to(&house).await;
    let started = Instant::now();
    let answer = raw
        .call(LIST, &[("grpc-timeout", "100m")], &asking("sleep"))
        .await;
    let took = started.elapsed();
    assert_eq!(answer.status(), 4, "{answer:?}");
    assert!((95..400).contains(&took.as_millis()), "{took:?}");
    events.began().await;
    let (dropped, ended, how) = events.stopped().await;
    assert!(how.is(&catalogue::DEADLINE_EXCEEDED) || how.is(&catalogue::CANCELLED));
    println!(
        "grpc-timeout 100m: answered after {took:?}, work stopped after {:?}",
        dropped - started
    );
    assert!((dropped - started).as_millis() < 400 && (ended - started).as_millis() < 400);
}

#[tokio::test]
async fn a_caller_without_a_deadline_gets_the_configured_one() {
    let config = RpcConfig {
        timeout: Duration::from_millis(100),
        ..RpcConfig::default()
    };
    let house = house_at("127.0.0.1:0".parse().unwrap(), ward(None).0, config).await;
    let raw = Raw::to(&house).await;
    for headers in [&[][..], &[("grpc-timeout", "1H")]] {
        let started = Instant::now();
        assert_eq!(raw.call(LIST, headers, &asking("sleep")).await.status(), 4);
        assert!(started.elapsed() < Duration::from_millis(500));
    }
}

#[tokio::test]
async fn a_body_that_never_ends_is_cut_at_the_deadline() {
    let house = house(ward(None).0).await;
    let raw = Raw::to(&house).await;
    let mut sender = raw.sender.clone().ready().await.unwrap();
    let request = Request::post(format!("http://ward{LIST}"))
        .header("content-type", "application/grpc")
        .header("grpc-timeout", "100m")
        .body(())
        .unwrap();
    let (response, mut stream) = sender.send_request(request, false).unwrap();
    stream
        .send_data(Bytes::from_static(&[0, 0, 0]), false)
        .unwrap();
    let response = tokio::time::timeout(Duration::from_secs(2), response)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(response.headers()["grpc-status"], "4");
}

#[tokio::test]
async fn a_malformed_timeout_is_an_invalid_argument() {
    let house = house(ward(None).0).await;
    let raw = Raw::to(&house).await;
    for bad in ["", "m", "100", "-5m", "123456789m", "1.5S", "5h"] {
        let answer = raw
            .call(LIST, &[("grpc-timeout", bad)], &asking("T1"))
            .await;
        assert_eq!(answer.status(), 3, "{bad}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_message_are_refused_and_harm_nothing() {
    let house = house(ward(None).0).await;
    let raw = Raw::to(&house).await;
    let two = [asking("T1"), asking("T2")].concat();
    let cases: [(&str, &[u8]); 7] = [
        ("nothing", &[]),
        ("half a prefix", &[0, 0]),
        ("less than announced", &[0, 0, 0, 0, 9, 1]),
        ("two messages", &two),
        ("an unknown flag", &framed(7, b"x")),
        ("compressed without an encoding", &framed(1, b"x")),
        ("another message", &framed(0, &[0x0a, 0xff, 0xff])),
    ];
    for (name, body) in cases {
        let answer = raw.call(LIST, &[], body).await;
        assert_eq!(answer.status(), 3, "{name}: {answer:?}");
        assert!(answer.data.is_empty() && answer.http == StatusCode::OK);
    }
    assert_eq!(raw.call(LIST, &[], &asking("T1")).await.status(), 0);
    assert_eq!(house.peers.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_before_it_is_read() {
    let config = RpcConfig {
        max_bytes: 1024,
        ..RpcConfig::default()
    };
    let house = house_at("127.0.0.1:0".parse().unwrap(), ward(None).0, config).await;
    let raw = Raw::to(&house).await;
    let at_limit = trial(&"x".repeat(1021)).encode_to_vec();
    assert_eq!(at_limit.len(), 1024);
    assert_eq!(raw.call(LIST, &[], &framed(0, &at_limit)).await.status(), 0);
    let over = trial(&"x".repeat(1022)).encode_to_vec();
    assert_eq!(raw.call(LIST, &[], &framed(0, &over)).await.status(), 8);
    // Four announced gigabytes of which none ever comes.
    let announced = raw.call(LIST, &[], &[0, 0xff, 0xff, 0xff, 0xff]).await;
    assert_eq!(announced.status(), 8);
    // Few bytes that unpack to many.
    let bomb = gzip(&trial(&"x".repeat(1 << 20)).encode_to_vec());
    assert!(bomb.len() < 2048);
    let packed = [("grpc-encoding", "gzip")];
    assert_eq!(
        raw.call(LIST, &packed, &framed(1, &bomb[..]))
            .await
            .status(),
        8
    );
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(plain).unwrap();
    packer.finish().unwrap()
}

#[tokio::test]
async fn gzip_is_read_and_other_encodings_are_unimplemented() {
    let house = house(ward(None).0).await;
    let raw = Raw::to(&house).await;
    let packed = framed(1, &gzip(&trial("T9").encode_to_vec()));
    let answer = raw.call(LIST, &[("grpc-encoding", "gzip")], &packed).await;
    assert_eq!(answer.status(), 0);
    let resp = patient::GetPatientsByTrialResp::decode(&answer.data[5..]).unwrap();
    assert_eq!(resp.patients[0].id, "T9");
    let answer = raw.call(LIST, &[("grpc-encoding", "zstd")], &packed).await;
    assert_eq!(answer.status(), 12);
    assert_eq!(answer.headers["grpc-accept-encoding"], "identity,gzip");
}

#[tokio::test]
async fn what_is_not_served_is_unimplemented() {
    let house = house(ward(None).0).await;
    let raw = Raw::to(&house).await;
    for path in [
        "/patient.PatientService/getPatientsByTrail",
        "/patient.PatientServices/getPatientsByTrial",
        "/patient.PatientService/getPatientsByTrial/",
        "/",
        "/grpc.health.v1.Health/Watches",
    ] {
        assert_eq!(
            raw.call(path, &[], &asking("T1")).await.status(),
            12,
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_is_not_grpc_gets_a_plain_answer() {
    let house = house(ward(None).0).await;
    let raw = Raw::to(&house).await;
    for kind in ["application/json", "application/grpcx", ""] {
        let answer = raw.call(LIST, &[("content-type", kind)], b"{}").await;
        assert_eq!(answer.http, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
    }
    let proto = [("content-type", "application/grpc+proto")];
    assert_eq!(raw.call(LIST, &proto, &asking("T1")).await.status(), 0);
    let answer = raw.send("GET", LIST, &[], b"").await;
    assert_eq!(answer.http, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers["allow"], "POST");
}

#[tokio::test]
async fn a_bad_token_is_16_and_none_is_nobody() {
    let house = house(ward(None).0).await;
    let raw = Raw::to(&house).await;
    let good = format!("Bearer {}", ward::token("account-1"));
    assert_eq!(
        raw.call(LIST, &[("authorization", &good)], &asking("T1"))
            .await
            .status(),
        0
    );
    assert_eq!(raw.call(LIST, &[], &asking("T1")).await.status(), 0);
    let forged = format!("{}x", good);
    for bad in ["", "Bearer", "Basic abc", "Bearer a.b.c", &forged] {
        let answer = raw
            .call(LIST, &[("authorization", bad)], &asking("T1"))
            .await;
        assert_eq!(answer.status(), Code::Unauthenticated as i32, "{bad}");
        let shown = format!("{answer:?}");
        assert!(!shown.contains("a.b.c") && !shown.contains(ward::SECRET));
    }
}

#[tokio::test]
async fn a_reset_stream_stops_the_work_and_not_the_connection() {
    let (ward, mut events) = ward(None);
    let house = house(ward).await;
    let raw = Raw::to(&house).await;
    let mut sender = raw.sender.clone().ready().await.unwrap();
    let request = Request::post(format!("http://ward{LIST}"))
        .header("content-type", "application/grpc")
        .body(())
        .unwrap();
    let (_response, mut stream) = sender.send_request(request, false).unwrap();
    stream
        .send_data(Bytes::from(asking("sleep")), true)
        .unwrap();
    events.began().await;
    let left = Instant::now();
    stream.send_reset(h2::Reason::CANCEL);
    let (dropped, ended, how) = events.stopped().await;
    assert!(how.is(&catalogue::CANCELLED), "{how:?}");
    println!(
        "reset: work stopped after {:?}, context after {:?}",
        dropped - left,
        ended - left
    );
    assert!((dropped - left).as_millis() < 300 && (ended - left).as_millis() < 300);
    assert_eq!(raw.call(LIST, &[], &asking("T1")).await.status(), 0);
}

#[tokio::test]
async fn a_broken_connection_stops_the_work() {
    let (ward, mut events) = ward(None);
    let house = house(ward).await;
    let tcp = TcpStream::connect(house.address).await.unwrap();
    let (sender, connection) = h2::client::handshake(tcp).await.unwrap();
    let connection = tokio::spawn(connection);
    // Not by `Raw`, whose panic would be written with its stack while the clock runs.
    let call = tokio::spawn(async move {
        let mut sender = sender.ready().await.ok()?;
        let request =
            Request::post(format!("http://ward{LIST}")).header("content-type", "application/grpc");
        let (response, mut stream) = sender.send_request(request.body(()).ok()?, false).ok()?;
        stream.send_data(asking("sleep").into(), true).ok()?;
        response.await.ok()
    });
    events.began().await;
    let left = Instant::now();
    connection.abort();
    let (dropped, ended, how) = events.stopped().await;
    assert!(how.is(&catalogue::CANCELLED), "{how:?}");
    println!("connection gone: work stopped after {:?}", dropped - left);
    assert!((dropped - left).as_millis() < 300 && (ended - left).as_millis() < 300);
    let answer = call.await.unwrap();
    assert!(
        answer.is_none(),
        "the caller of a broken connection gets no answer"
    );
}

#[tokio::test]
async fn health_follows_the_life_of_the_process() {
    let house = house(ward(None).0).await;
    let raw = Raw::to(&house).await;
    let check = "/grpc.health.v1.Health/Check";
    let named = |name: &str| framed(0, &name.to_owned().encode_to_vec());
    // `HealthCheckRequest` and a lone string have the same encoding: field 1.
    for name in ["", "patient.PatientService", "grpc.health.v1.Health"] {
        let answer = raw.call(check, &[], &named(name)).await;
        if name == "grpc.health.v1.Health" {
            assert_eq!(answer.status(), 5, "health does not name itself");
        } else {
            assert_eq!(&answer.data[..], [0, 0, 0, 0, 2, 8, 1], "{name} serves");
        }
    }
    assert_eq!(
        raw.call(check, &[], &named("no.such.Service"))
            .await
            .status(),
        5
    );
}

#[test]
fn a_service_that_is_added_twice_is_refused() {
    let twice = Server::new("ward", RpcConfig::default())
        .service(patient::serve(ward(None).0))
        .service(patient::serve(ward(None).0));
    let problem = twice.into_service().err().unwrap().to_string();
    assert!(problem.contains(LIST), "{problem}");
}
