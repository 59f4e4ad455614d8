//! Bytes that are no HTTP, or HTTP that could mean two things. The connection ends; the process
//! lives, and no failure is counted.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{cast::Actor, run::Outcome, world::World};

/// How long the other side has to answer or to hang up.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) async fn what_is_no_http_ends_the_connection_and_nothing_else(world: &World) -> Outcome {
    let token = world.cast().await.token(Actor::Coordinator).to_owned();
    let head = format!(
        "POST /api/v1/patient HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    );
    let (mut told, texts) = (0, texts(&head));
    let count = texts.len();
    for (name, bytes) in texts {
        let answer = exchange(world, &bytes).await;
        let text = String::from_utf8_lossy(&answer);
        let status = text
            .strip_prefix("HTTP/1.1 ")
            .map(|rest| rest[..3].to_owned());
        assert!(
            status.as_ref().is_none_or(|status| status.starts_with('4')),
            "{name}: {}",
            text.chars().take(200).collect::<String>()
        );
        told += usize::from(status.is_some());
    }
    // A length and chunks together are how requests are smuggled: what stands behind the chunks
    // must not be taken for a request of its own and answered on this connection.
    let smuggled = format!(
        "{head}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /api/v1/identity/keys HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    );
    let answer = exchange(world, smuggled.as_bytes()).await;
    let text = String::from_utf8_lossy(&answer);
    assert!(!text.contains("\"kty\""), "{text}");
    world
        .call("GET", "/api/v1/patient")
        .token(&token)
        .send()
        .await
        .expect(200);
    Outcome::Measured(format!("{told} of {count} were told what was wrong"))
}

/// What each of them is, and its bytes; `head` begins a good request.
fn texts(head: &str) -> Vec<(&'static str, Vec<u8>)> {
    let many: String = (0..2_000)
        .map(|number| format!("X-{number}: y\r\n"))
        .collect();
    vec![
        (
            "no HTTP",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        ),
        ("no version", b"GET /\r\n\r\n".to_vec()),
        (
            "unknown version",
            b"GET / HTTP/9.9\r\nHost: x\r\n\r\n".to_vec(),
        ),
        (
            "space in the path",
            b"GET /api v1 HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        ),
        (
            "null in a header",
            format!("{head}X: a\0b\r\n\r\n").into_bytes(),
        ),
        ("too many headers", format!("{head}{many}\r\n").into_bytes()),
        (
            "a header of a megabyte",
            format!("{head}X: {}\r\n\r\n", "y".repeat(1 << 20)).into_bytes(),
        ),
        (
            "a path of a megabyte",
            format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "p".repeat(1 << 20)).into_bytes(),
        ),
        (
            "two lengths",
            format!("{head}Content-Length: 2\r\nContent-Length: 9\r\n\r\n{{}}").into_bytes(),
        ),
        (
            "a length that is none",
            format!("{head}Content-Length: -1\r\n\r\n").into_bytes(),
        ),
        (
            "a bad chunk",
            format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n").into_bytes(),
        ),
        (
            "unknown transfer",
            format!("{head}Transfer-Encoding: chunked, what\r\n\r\n0\r\n\r\n").into_bytes(),
        ),
    ]
}

/// Sends bytes and reads what comes until the other side hangs up.
async fn exchange(world: &World, bytes: &[u8]) -> Vec<u8> {
    let address = world.ports().address("gateway.rest");
    let mut socket = TcpStream::connect(address).await.unwrap();
    let mut answer = Vec::new();
    let talk = async {
        // The other side may hang up before it has read all of it.
        let _ = socket.write_all(bytes).await;
        let _ = socket.read_to_end(&mut answer).await;
    };
    let ended = tokio::time::timeout(PATIENCE, talk).await;
    assert!(
        ended.is_ok(),
        "the connection stays open: {}",
        String::from_utf8_lossy(&answer)
    );
    answer
}
