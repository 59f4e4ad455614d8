//! Clients that leave before they are answered: what was done for them ends.

use std::time::{Duration, Instant};

use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{cast::Actor, phq9, run::Outcome, world::World};

const ACTIVE: &str = "http_server_active_requests";

/// How long work may go on for a client that is gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// The processes that a submission comes through.
fn on_the_way(world: &World) -> Vec<&'static str> {
    match world.is_split() {
        true => vec!["gateway", "epro"],
        false => vec!["up"],
    }
}

/// A request with a body of this length of which nothing has been sent yet.
async fn begin(world: &World, length: usize) -> TcpStream {
    let token = world.cast().await.token(Actor::Patient);
    let address = world.ports().address("gateway.rest");
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/v1/epro/response HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket
}

/// Waits until this many requests are active in each process. Returns how long it took.
async fn until_active(world: &World, expected: f64, patience: Duration) -> Duration {
    let began = Instant::now();
    for process in on_the_way(world) {
        loop {
            let active = world.metric(process, ACTIVE).await;
            if (active - expected).abs() < 0.5 {
                break;
            }
            let waited = began.elapsed();
            assert!(
                waited < patience,
                "{process}: {active} active, not {expected}, after {waited:?}"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    began.elapsed()
}

pub(super) async fn work_ends_when_the_client_leaves_in_the_middle_of_its_body(
    world: &World,
) -> Outcome {
    until_active(world, 0.0, PATIENCE).await;
    let before = world.audited().await;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        let mut socket = begin(world, 1000).await;
        socket.write_all(b"{\"resourceType\":").await.unwrap();
        sockets.push(socket);
    }
    until_active(world, 20.0, PATIENCE).await;
    drop(sockets);
    let ended = until_active(world, 0.0, PATIENCE).await;
    assert_eq!(world.audited().await, before);
    Outcome::Measured(format!("20 clients left, nothing active after {ended:.1?}"))
}

/// The neighbour that is asked stands still, so that all of it waits when the client leaves.
pub(super) async fn work_below_ends_when_the_client_leaves(world: &World) -> Outcome {
    if !world.is_split() {
        return Outcome::Skipped("one process has no neighbour that can stand still".to_owned());
    }
    let subject = world.cast().await.own().id.clone();
    until_active(world, 0.0, PATIENCE).await;
    let before = world.audited().await;
    world.pause("patient");
    let mut sockets = Vec::new();
    for _ in 0..20 {
        let body = phq9::response(&subject, phq9::MILD).to_string();
        let mut socket = begin(world, body.len()).await;
        socket.write_all(body.as_bytes()).await.unwrap();
        sockets.push(socket);
    }
    until_active(world, 20.0, Duration::from_millis(1500)).await;
    let calling = world.metric("epro", "rpc_client_active_calls").await;
    drop(sockets);
    let ended = until_active(world, 0.0, Duration::from_secs(1)).await;
    world.resume("patient");
    // The neighbour had the calls in its socket; it is told that they are off.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.audited().await, before);
    Outcome::Measured(format!(
        "20 clients left ({calling} calls below), nothing active after {ended:.1?}"
    ))
}
