//! The first service, asked over a socket.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use hello::Config;
use tenon::Running;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const CONFIG: &str = "name: hello\nrest:\n  listen: 127.0.0.1:0\nadmin:\n  listen: 127.0.0.1:0\n";

async fn start() -> Running {
    let config: Config = tenon::config::parse(CONFIG, "test.yaml".as_ref()).unwrap();
    let log = config.log.clone();
    let process = hello::build(config).await.unwrap().process(&log).unwrap();
    process.start().await.unwrap()
}

async fn get(running: &Running, path: &str) -> String {
    let mut socket = TcpStream::connect(running.address("hello.rest").unwrap())
        .await
        .unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn it_greets_as_often_as_asked_and_no_more() {
    let running = start().await;
    let once = get(&running, "/api/v1/hello/li").await;
    assert!(once.ends_with(r#"{"message":"hello, li"}"#), "{once}");
    let twice = get(&running, "/api/v1/hello/li?times=2").await;
    assert!(
        twice.ends_with(r#"{"message":"hello, li; hello, li"}"#),
        "{twice}"
    );
    let refused = get(&running, "/api/v1/hello/li?times=4").await;
    assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
    assert!(
        refused.contains(r#""in":"query","path":"times","rule":"range""#),
        "{refused}"
    );
}

#[test]
fn the_shipped_configuration_is_sound() {
    tenon::config::load::<Config>("etc/hello.yaml".as_ref()).unwrap();
}
