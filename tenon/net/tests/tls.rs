//! TLS at the door: who is let in, what is known of them, and certificates that change.

#![expect(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use hyper::body::Incoming;
use tempfile::TempDir;
use tenon_core::config::{ClientAuth, ClientTlsConfig, Plaintext, ServerTlsConfig};
use tenon_net::{ClientTls, Options, PeerIdentity, Protocol, ServerTls};
use tenon_test::authority::{Authority, Issued, Subject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[path = "support/server.rs"]
mod server;

use server::{Client, Server, Witness, patient, start, text, within};

const EPRO: &str = "spiffe://cohort/epro";
const SHORT: Duration = Duration::from_secs(10);

/// A folder with the root of a good authority and the certificate of a server.
struct Home {
    folder: TempDir,
    authority: Authority,
    server: Issued,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path(), "good");
        let server = authority.issue(Subject::service("server", "spiffe://cohort/patient"));
        Self {
            folder,
            authority,
            server,
        }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("good-root.crt")
    }

    fn config(&self, auth: ClientAuth) -> ServerTlsConfig {
        ServerTlsConfig {
            cert_file: self.server.cert.clone(),
            key_file: self.server.key.clone(),
            client_ca_file: (auth != ClientAuth::None).then(|| self.root()),
            client_auth: Some(auth),
        }
    }

    fn options(&self, auth: ClientAuth) -> Options {
        let tls = ServerTls::load("rest.tls", &self.config(auth), Protocol::Http1).unwrap();
        patient().tls(Some(tls))
    }

    /// A server that answers with the identity of its caller.
    async fn serve(&self, options: Options) -> Server {
        start(options, |request: hyper::Request<Incoming>| async move {
            let identity = request.extensions().get::<PeerIdentity>();
            text(identity.map_or("nobody".to_owned(), ToString::to_string))
        })
        .await
    }

    fn client(&self, shown: Option<&Issued>) -> ClientTls {
        client(&self.root(), shown)
    }
}

fn client(root: &Path, shown: Option<&Issued>) -> ClientTls {
    let config = ClientTlsConfig {
        ca_file: Some(root.to_owned()),
        cert_file: shown.map(|issued| issued.cert.clone()),
        key_file: shown.map(|issued| issued.key.clone()),
        server_name: None,
    };
    ClientTls::load("clients.patient.tls", &config, Protocol::Http1).unwrap()
}

/// One request over a connection of its own; the body of the answer.
async fn ask(tls: &ClientTls, address: SocketAddr) -> std::io::Result<String> {
    let tcp = TcpStream::connect(address).await?;
    let mut stream = tls.connect("127.0.0.1", tcp).await?;
    let request = b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (_, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| std::io::Error::other("closed before the answer"))?;
    Ok(body.to_owned())
}

#[tokio::test]
async fn the_identity_of_a_client_reaches_the_handler() {
    let home = Home::new();
    let server = home.serve(home.options(ClientAuth::Required)).await;
    let epro = home.authority.issue(Subject::service("epro", EPRO));
    assert_eq!(
        ask(&home.client(Some(&epro)), server.addr).await.unwrap(),
        EPRO
    );
    // Without a URI the DNS name is the identity.
    let trial = home.authority.issue(Subject {
        name: "trial",
        uri: None,
        dns: "trial.cohort.svc",
        is_expired: false,
    });
    let answer = ask(&home.client(Some(&trial)), server.addr).await.unwrap();
    assert_eq!(answer, "trial.cohort.svc");
}

#[tokio::test]
async fn of_those_who_prove_nothing_none_is_served() {
    let home = Home::new();
    let stranger = Authority::new(home.folder.path(), "stranger");
    let served = Arc::new(AtomicUsize::new(0));
    let count = served.clone();
    let server = start(home.options(ClientAuth::Required), move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        async { text("served") }
    })
    .await;
    let forged = stranger.issue(Subject::service("forged", EPRO));
    let expired = home.authority.issue(Subject {
        is_expired: true,
        ..Subject::service("expired", EPRO)
    });
    let refused = [
        ("no certificate", home.client(None)),
        ("one of another authority", home.client(Some(&forged))),
        ("an expired one", home.client(Some(&expired))),
    ];
    let mut accepted = 0;
    for (what, tls) in &refused {
        for _ in 0..20 {
            let answer = within(SHORT, what, ask(tls, server.addr)).await;
            accepted += usize::from(answer.is_ok());
        }
    }
    for _ in 0..20 {
        let mut plain = Client::connect(server.addr).await;
        plain.get("/").await;
        within(SHORT, "plaintext", plain.closed()).await;
    }
    println!("accepted of 80 without proof: {accepted}");
    assert_eq!((accepted, served.load(Ordering::SeqCst)), (0, 0));
    // The door works for one who has it.
    let epro = home.authority.issue(Subject::service("epro", EPRO));
    assert_eq!(
        ask(&home.client(Some(&epro)), server.addr).await.unwrap(),
        "served"
    );
}

#[tokio::test]
async fn a_server_that_is_not_who_it_should_be_is_left() {
    let home = Home::new();
    let server = home.serve(home.options(ClientAuth::None)).await;
    Authority::new(home.folder.path(), "stranger");
    let other = client(&home.folder.path().join("stranger-root.crt"), None);
    let problem = ask(&other, server.addr).await.unwrap_err();
    assert!(problem.to_string().contains("certificate"), "{problem}");
    let named = ClientTlsConfig {
        ca_file: Some(home.root()),
        server_name: Some("trial.cohort.svc".to_owned()),
        ..ClientTlsConfig::default()
    };
    let named = ClientTls::load("clients.trial.tls", &named, Protocol::Http1).unwrap();
    let problem = ask(&named, server.addr).await.unwrap_err();
    assert!(problem.to_string().contains("certificate"), "{problem}");
    assert_eq!(
        ask(&home.client(None), server.addr).await.unwrap(),
        "nobody"
    );
}

#[tokio::test]
async fn with_optional_certificates_a_client_without_is_nobody_and_one_with_a_bad_is_refused() {
    let home = Home::new();
    let server = home.serve(home.options(ClientAuth::Optional)).await;
    assert_eq!(
        ask(&home.client(None), server.addr).await.unwrap(),
        "nobody"
    );
    let stranger = Authority::new(home.folder.path(), "stranger");
    let forged = stranger.issue(Subject::service("forged", EPRO));
    assert!(ask(&home.client(Some(&forged)), server.addr).await.is_err());
}

#[tokio::test]
async fn certificates_change_under_load_and_no_call_fails() {
    let home = Home::new();
    let epro = home.authority.issue(Subject::service("epro", EPRO));
    let server = home.serve(home.options(ClientAuth::Required)).await;
    let stop = Arc::new(AtomicBool::new(false));
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let (stop, tls, addr) = (stop.clone(), home.client(Some(&epro)), server.addr);
            tokio::spawn(async move {
                let (mut made, mut failed) = (0, 0);
                while !stop.load(Ordering::Relaxed) {
                    made += 1;
                    failed += usize::from(ask(&tls, addr).await.is_err());
                }
                (made, failed)
            })
        })
        .collect();
    let shown = || async {
        let tls = home.client(Some(&epro));
        let tcp = TcpStream::connect(server.addr).await.unwrap();
        let stream = tls.connect("127.0.0.1", tcp).await.unwrap();
        let (_, session) = stream.get_ref();
        session.peer_certificates().unwrap()[0].to_vec()
    };
    let before = shown().await;
    // A key that does not belong to the certificate: what was there stays in force.
    let key = fs::read(&home.server.key).unwrap();
    fs::write(&home.server.key, fs::read(&epro.key).unwrap()).unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(shown().await, before);
    fs::write(&home.server.key, key).unwrap();
    // New files of the server, and of the client.
    home.authority
        .issue(Subject::service("server", "spiffe://cohort/patient"));
    home.authority.issue(Subject::service("epro", EPRO));
    within(SHORT, "the new certificate", async {
        while shown().await == before {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    let (mut made, mut failed) = (0, 0);
    for call in calls {
        let (more, bad) = call.await.unwrap();
        made += more;
        failed += bad;
    }
    println!("{made} calls, each with its handshake, over the change; failed: {failed}");
    assert_eq!(failed, 0);
    assert!(made > 0);
}

#[tokio::test]
async fn who_does_not_end_the_greeting_is_cut() {
    let home = Home::new();
    let options = Options {
        header_timeout: Duration::from_millis(200),
        ..home.options(ClientAuth::None)
    };
    let server = home.serve(options).await;
    // Nothing at all; and the head of a greeting that never comes.
    for begun in [&b""[..], &[22, 3, 1, 2, 0, 1, 0]] {
        let mut client = Client::connect(server.addr).await;
        client.send(begun).await;
        within(SHORT, "the cut", client.closed()).await;
    }
    // Greeted, and silent from then on.
    let tcp = TcpStream::connect(server.addr).await.unwrap();
    let mut stream = home.client(None).connect("127.0.0.1", tcp).await.unwrap();
    let mut rest = Vec::new();
    let _ = within(SHORT, "the cut", stream.read_to_end(&mut rest)).await;
}

#[tokio::test]
async fn a_peer_that_leaves_is_seen_below_tls() {
    let home = Home::new();
    let (witness, mut seen) = Witness::new();
    let server = start(home.options(ClientAuth::None), move |_| {
        let presence = witness.enter();
        async move {
            let _presence = presence;
            std::future::pending().await
        }
    })
    .await;
    let tcp = TcpStream::connect(server.addr).await.unwrap();
    let mut stream = home.client(None).connect("127.0.0.1", tcp).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(
        within(SHORT, "the start", seen.recv()).await,
        Some(server::Event::Started)
    );
    // A request behind it hides the end from whoever only reads.
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
        .await
        .unwrap();
    drop(stream);
    assert_eq!(
        within(SHORT, "the drop", seen.recv()).await,
        Some(server::Event::Dropped)
    );
}

#[tokio::test]
async fn a_drained_server_says_goodbye_over_tls() {
    let home = Home::new();
    let server = home.serve(home.options(ClientAuth::None)).await;
    let tcp = TcpStream::connect(server.addr).await.unwrap();
    let mut stream = home.client(None).connect("127.0.0.1", tcp).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
        .await
        .unwrap();
    let mut buffer = [0; 1024];
    assert!(stream.read(&mut buffer).await.unwrap() > 0);
    server.life.drain();
    within(SHORT, "the close", stream.read(&mut buffer))
        .await
        .unwrap();
    within(SHORT, "the drain", server.done)
        .await
        .unwrap()
        .unwrap();
}

#[test]
fn plaintext_on_an_address_that_others_reach_must_be_said() {
    let of = |listen: &str, plaintext| {
        let listen = listen.parse().unwrap();
        ServerTls::of_door("patient: rpc", listen, None, plaintext, Protocol::Http2)
    };
    assert!(of("127.0.0.1:9101", Plaintext::Loopback).unwrap().is_none());
    assert!(of("0.0.0.0:9101", Plaintext::Allowed).unwrap().is_none());
    let problem = of("0.0.0.0:9101", Plaintext::Loopback)
        .unwrap_err()
        .to_string();
    for word in [
        "patient: rpc",
        "0.0.0.0:9101",
        "certFile",
        "plaintext: allowed",
    ] {
        assert!(problem.contains(word), "{problem}");
    }
}

#[test]
fn files_that_do_not_belong_together_are_refused_at_start() {
    let home = Home::new();
    let other = home.authority.issue(Subject::service("other", EPRO));
    let sound = home.config(ClientAuth::Required);
    let missing = PathBuf::from("/nonexistent.crt");
    let cases = [
        (
            ServerTlsConfig {
                key_file: other.key,
                ..sound.clone()
            },
            "do not fit",
        ),
        (
            ServerTlsConfig {
                cert_file: missing.clone(),
                ..sound.clone()
            },
            "nonexistent.crt",
        ),
        (
            ServerTlsConfig {
                key_file: home.server.cert.clone(),
                ..sound.clone()
            },
            "no private key",
        ),
        (
            ServerTlsConfig {
                client_ca_file: Some(missing),
                ..sound.clone()
            },
            "nonexistent.crt",
        ),
        (
            ServerTlsConfig {
                client_ca_file: None,
                ..sound
            },
            "clientCaFile",
        ),
    ];
    for (config, expected) in cases {
        let problem = ServerTls::load("rpc.tls", &config, Protocol::Http2)
            .unwrap_err()
            .to_string();
        assert!(
            problem.contains("rpc.tls") && problem.contains(expected),
            "{problem}"
        );
    }
}
