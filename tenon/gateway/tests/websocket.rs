//! Connections that become WebSockets, over real sockets.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

use std::{net::SocketAddr, time::Duration};

use tenon_core::{
    Lifecycle,
    config::{ClientConfig, GatewayConfig, RouteConfig, UpstreamConfig},
};
use tenon_gateway::Gateway;
use tenon_net::Options;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

fn upstream(service: SocketAddr) -> UpstreamConfig {
    UpstreamConfig {
        http: Some(ClientConfig::to([service.to_string()])),
        routes: vec![RouteConfig::new("/")],
        ..UpstreamConfig::default()
    }
}

fn config(upstream: UpstreamConfig) -> GatewayConfig {
    GatewayConfig {
        upstreams: [("chat".to_owned(), upstream)].into(),
    }
}

async fn gateway(upstream: UpstreamConfig) -> SocketAddr {
    let router = Gateway::new(&config(upstream), None).unwrap().router();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = Options::admin();
    tokio::spawn(tenon_net::serve(
        listener,
        router,
        options,
        Lifecycle::new(),
    ));
    address
}

/// A service that takes any upgrade to a WebSocket and answers each byte with the next one.
async fn echo_socket() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut tcp, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    head.push(char::from(tcp.read_u8().await.unwrap()));
                }
                let head = head.to_ascii_lowercase();
                if !head.contains("upgrade: websocket") || !head.contains("connection: upgrade") {
                    let answer =
                        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nplain";
                    tcp.write_all(answer.as_bytes()).await.unwrap();
                    return;
                }
                assert!(head.contains("sec-websocket-key: dGhl".to_ascii_lowercase().as_str()));
                // The first byte comes in one piece with the head.
                let answer = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n!";
                tcp.write_all(answer.as_bytes()).await.unwrap();
                while let Ok(byte) = tcp.read_u8().await {
                    tcp.write_u8(byte + 1).await.unwrap();
                }
            });
        }
    });
    address
}

/// Asks for a WebSocket; the connection, and the head of the answer.
async fn open_socket(gateway: SocketAddr, upgrade: &str) -> (TcpStream, String) {
    let mut tcp = TcpStream::connect(gateway).await.unwrap();
    let head = format!(
        "GET /chat HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, Upgrade\r\nupgrade: {upgrade}\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
    );
    tcp.write_all(head.as_bytes()).await.unwrap();
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(tcp.read_u8().await.unwrap()));
    }
    (tcp, head)
}

#[tokio::test]
async fn a_websocket_is_a_tunnel_both_ways() {
    let gateway = gateway(upstream(echo_socket().await)).await;
    let (mut tcp, head) = open_socket(gateway, "websocket").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(
        head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        "{head}"
    );
    assert_eq!(tcp.read_u8().await.unwrap(), b'!');
    for byte in [1, 100, 200] {
        tcp.write_u8(byte).await.unwrap();
        assert_eq!(tcp.read_u8().await.unwrap(), byte + 1);
    }
    // Each side's end is the other's.
    tcp.shutdown().await.unwrap();
    assert_eq!(tcp.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn other_upgrades_and_forbidden_websockets_do_not_pass() {
    let service = echo_socket().await;
    let mut closed = upstream(service);
    closed.routes[0].websocket = false;
    for (gateway, upgrade) in [
        (gateway(upstream(service)).await, "h2c"),
        (gateway(closed).await, "websocket"),
    ] {
        let (_, head) = open_socket(gateway, upgrade).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{upgrade}: {head}");
    }
}

#[tokio::test]
async fn a_websocket_that_is_silent_for_too_long_is_closed() {
    let mut upstream = upstream(echo_socket().await);
    upstream.idle_timeout = Duration::from_millis(100);
    let gateway = gateway(upstream).await;
    let (mut tcp, _) = open_socket(gateway, "websocket").await;
    assert_eq!(tcp.read_u8().await.unwrap(), b'!');
    let closed = tcp.read(&mut [0; 8]).await;
    assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
}

#[tokio::test]
async fn a_websocket_outlives_the_order_to_stop_by_the_grace_and_no_longer() {
    let config = config(upstream(echo_socket().await));
    let router = Gateway::new(&config, None).unwrap().router();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let life = Lifecycle::new();
    let options = Options {
        grace: Duration::from_millis(300),
        ..Options::admin()
    };
    let served = tokio::spawn(tenon_net::serve(listener, router, options, life.clone()));
    let (mut tcp, _) = open_socket(address, "websocket").await;
    assert_eq!(tcp.read_u8().await.unwrap(), b'!');
    life.drain();
    // Within the grace it goes on.
    tcp.write_u8(7).await.unwrap();
    assert_eq!(tcp.read_u8().await.unwrap(), 8);
    let closed = tcp.read(&mut [0; 8]).await;
    assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
    served.await.unwrap().unwrap();
}
