//! A peer that leaves stops the work done for it, at once and in every posture.

#[path = "support/server.rs"]
mod server;

use std::{future::pending, time::Duration};

use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use server::{Client, Event, Witness, patient, start, text, within};
use tenon_net::{Options, Protocol};

/// Far above the fraction of a millisecond that it takes, far below the handlers' patience.
const SOON: Duration = Duration::from_secs(2);

async fn waiting_server() -> (server::Server, tokio::sync::mpsc::UnboundedReceiver<Event>) {
    let (witness, seen) = Witness::new();
    let server = start(patient(), move |_| {
        let witness = witness.clone();
        async move {
            let _presence = witness.enter();
            pending().await
        }
    })
    .await;
    (server, seen)
}

#[tokio::test]
async fn a_close_while_the_handler_waits() {
    let (server, mut seen) = waiting_server().await;
    let mut client = Client::connect(server.addr).await;
    client.get("/").await;
    assert_eq!(seen.recv().await, Some(Event::Started));
    drop(client);
    let event = within(SOON, "dropping the handler", seen.recv()).await;
    assert_eq!(event, Some(Event::Dropped));
}

#[tokio::test]
async fn a_close_behind_a_pipelined_request() {
    let (server, mut seen) = waiting_server().await;
    let mut client = Client::connect(server.addr).await;
    client.get("/first").await;
    assert_eq!(seen.recv().await, Some(Event::Started));
    client.get("/second").await;
    drop(client);
    let event = within(SOON, "dropping the handler", seen.recv()).await;
    assert_eq!(event, Some(Event::Dropped));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(seen.try_recv().is_err(), "the second request was started");
}

#[tokio::test]
async fn a_reset_behind_a_large_body_that_nobody_reads() {
    let (server, mut seen) = waiting_server().await;
    let mut client = Client::connect(server.addr).await;
    client
        .send("POST / HTTP/1.1\r\nhost: test\r\ncontent-length: 67108864\r\n\r\n")
        .await;
    assert_eq!(seen.recv().await, Some(Event::Started));
    // Until the socket buffers are full on both sides.
    let chunk = vec![b'x'; 1 << 20];
    while tokio::time::timeout(Duration::from_millis(50), client.send(&chunk))
        .await
        .is_ok()
    {}
    client.reset();
    let event = within(SOON, "dropping the handler", seen.recv()).await;
    assert_eq!(event, Some(Event::Dropped));
}

#[tokio::test]
async fn a_close_of_an_http2_connection() {
    let (witness, mut seen) = Witness::new();
    let options = Options {
        protocol: Protocol::Http2,
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
    let tcp = std::net::TcpStream::connect(server.addr).unwrap();
    tcp.set_nonblocking(true).unwrap();
    let wire = tcp.try_clone().unwrap();
    let tcp = tokio::net::TcpStream::from_std(tcp).unwrap();
    let (mut send, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tcp))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = || http::Request::new(Empty::<bytes::Bytes>::new());
    let calls = [send.send_request(request()), send.send_request(request())];
    for _ in 0..2 {
        assert_eq!(seen.recv().await, Some(Event::Started));
    }
    wire.shutdown(std::net::Shutdown::Both).unwrap();
    for _ in 0..2 {
        let event = within(SOON, "dropping the handlers", seen.recv()).await;
        assert_eq!(event, Some(Event::Dropped));
    }
    drop(calls);
}

#[tokio::test]
async fn an_answer_reaches_a_client_whose_upload_was_refused() {
    let server = start(patient(), |_| async { text("too large") }).await;
    let mut client = Client::connect(server.addr).await;
    let body = vec![b'x'; 8 << 20];
    client
        .send(format!(
            "POST / HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n",
            body.len()
        ))
        .await;
    // The whole body is sent before the answer is looked at, as most clients do.
    within(SOON, "sending the body", client.send(&body)).await;
    assert!(client.head().await.starts_with("http/1.1 200"));
}

#[tokio::test]
async fn an_http2_client_is_answered() {
    let options = Options {
        protocol: Protocol::Http2,
        ..patient()
    };
    let server = start(options, |request| async move {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        text(body)
    })
    .await;
    let tcp = tokio::net::TcpStream::connect(server.addr).await.unwrap();
    let (mut send, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(tcp))
            .await
            .unwrap();
    let driver = tokio::spawn(connection);
    let request = http::Request::new(http_body_util::Full::<bytes::Bytes>::from("ping"));
    let response = send.send_request(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "ping");
    // Told to stop, the server says farewell and the connection ends by itself.
    server.life.drain();
    within(SOON, "the end of the connection", driver)
        .await
        .unwrap()
        .unwrap();
    within(SOON, "the end of the server", server.done)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_response_that_breaks_off_does_not_look_whole() {
    // An old client without lengths: the end of the stream is the end of the answer.
    let listener = tenon_net::bind("127.0.0.1:0".parse().unwrap(), "rest.listen")
        .await
        .unwrap();
    let addr = listener.local_addr().unwrap();
    let service = tower::service_fn(|_| async {
        let pieces = [Ok(bytes::Bytes::from("half")), Err("the store went away")];
        let frames = pieces.map(|piece| piece.map(http_body::Frame::data));
        let body = http_body_util::StreamBody::new(tokio_stream::iter(frames));
        Ok::<_, std::convert::Infallible>(http::Response::new(body))
    });
    tokio::spawn(tenon_net::serve(
        listener,
        service,
        patient(),
        tenon_core::Lifecycle::new(),
    ));
    let mut client = Client::connect(addr).await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    let mut text = Vec::new();
    let outcome = tokio::io::AsyncReadExt::read_to_end(&mut client.0, &mut text).await;
    assert!(outcome.is_err(), "{:?}", String::from_utf8_lossy(&text));
}
