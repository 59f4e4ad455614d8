//! Each fault does what its name says, and nothing else.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tenon_test::{FaultProxy, Faults};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A service that sends everything back.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = tcp.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    address
}

async fn proxy() -> FaultProxy {
    FaultProxy::to(echo().await, 7).await.unwrap()
}

async fn connect(proxy: &FaultProxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

async fn exchange(tcp: &mut TcpStream, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    tcp.write_all(bytes).await?;
    let mut back = vec![0; bytes.len()];
    tcp.read_exact(&mut back).await?;
    Ok(back)
}

#[tokio::test]
async fn without_faults_bytes_and_ends_pass() {
    let proxy = proxy().await;
    let mut tcp = connect(&proxy).await;
    let sent: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    assert_eq!(exchange(&mut tcp, &sent).await.unwrap(), sent);
    tcp.shutdown().await.unwrap();
    assert_eq!(tcp.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(proxy.accepted(), 1);
}

#[tokio::test]
async fn latency_holds_each_way() {
    let proxy = proxy().await;
    let latency = Duration::from_millis(30);
    proxy.set(Faults {
        latency,
        ..Faults::default()
    });
    let mut tcp = connect(&proxy).await;
    let started = Instant::now();
    exchange(&mut tcp, b"ping").await.unwrap();
    assert!(started.elapsed() >= 2 * latency);
}

#[tokio::test]
async fn a_narrow_line_takes_its_time() {
    let proxy = proxy().await;
    proxy.set(Faults {
        bytes_per_second: Some(10_000),
        slice: Some(100),
        ..Faults::default()
    });
    let mut tcp = connect(&proxy).await;
    let started = Instant::now();
    exchange(&mut tcp, &[1; 1000]).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(90));
}

#[tokio::test]
async fn a_black_hole_is_silent_and_delivers_when_it_heals() {
    let proxy = proxy().await;
    let mut old = connect(&proxy).await;
    exchange(&mut old, b"before").await.unwrap();
    proxy.set(Faults {
        black_hole: true,
        ..Faults::default()
    });
    let mut new = connect(&proxy).await;
    for tcp in [&mut old, &mut new] {
        tcp.write_all(b"x").await.unwrap();
        let silence = tokio::time::timeout(Duration::from_millis(100), tcp.read_u8()).await;
        assert!(silence.is_err());
    }
    proxy.heal();
    assert_eq!(old.read_u8().await.unwrap(), b'x');
    assert_eq!(new.read_u8().await.unwrap(), b'x');
}

#[tokio::test]
async fn a_reset_comes_after_exactly_so_many_bytes() {
    let proxy = proxy().await;
    proxy.set(Faults {
        reset_after: Some(5),
        ..Faults::default()
    });
    let mut tcp = connect(&proxy).await;
    tcp.write_all(b"0123456789").await.unwrap();
    let mut back = Vec::new();
    let end = tcp.read_to_end(&mut back).await;
    // A reset may overtake what was sent before it; more than that never comes.
    assert!(end.is_err(), "{back:?}");
    assert!(back.len() <= 5);
}

#[tokio::test]
async fn refusals_and_cuts_reset() {
    let proxy = proxy().await;
    let mut tcp = connect(&proxy).await;
    exchange(&mut tcp, b"up").await.unwrap();
    assert_eq!(proxy.open(), 1);
    proxy.cut();
    assert!(tcp.read_u8().await.is_err());
    proxy.set(Faults {
        refuse: true,
        ..Faults::default()
    });
    let mut refused = connect(&proxy).await;
    assert!(exchange(&mut refused, b"up").await.is_err());
    proxy.heal();
    assert!(exchange(&mut connect(&proxy).await, b"up").await.is_ok());
}
