//! Mutual TLS between services: who is called, who may call, and certificates that change.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail it as its assertions do"
)]

#[path = "governed/house.rs"]
pub mod house;

use std::{path::PathBuf, time::Duration};

use house::{Conduct, House, Load, WRITE, call, once, open};
use tempfile::TempDir;
use tenon_core::{
    catalogue::UNAVAILABLE,
    config::{ClientConfig, ClientTlsConfig, Plaintext, ServerTlsConfig},
};
use tenon_net::{Protocol, ServerTls};
use tenon_rpc::{Channel, Metrics};
use tenon_test::authority::{Authority, Issued, Subject};

const EPRO: &str = "spiffe://cohort/epro";

/// A folder of certificates, and an instance that wants one.
struct Home {
    folder: TempDir,
    authority: Authority,
    house: House,
}

impl Home {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path(), "good");
        let server = authority.issue(Subject::service("notes", "spiffe://cohort/notes"));
        let config = ServerTlsConfig {
            cert_file: server.cert,
            key_file: server.key,
            client_ca_file: Some(folder.path().join("good-root.crt")),
            client_auth: None,
        };
        let tls = ServerTls::load("rpc.tls", &config, Protocol::Http2).unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let house = open(listen, Conduct::default(), Some(tls)).await;
        Self {
            folder,
            authority,
            house,
        }
    }

    fn root(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}-root.crt"))
    }

    fn config(&self, root: &str, shown: Option<&Issued>) -> ClientConfig {
        ClientConfig {
            tls: Some(ClientTlsConfig {
                ca_file: Some(self.root(root)),
                cert_file: shown.map(|issued| issued.cert.clone()),
                key_file: shown.map(|issued| issued.key.clone()),
                server_name: None,
            }),
            ..once(&[self.house.address])
        }
    }
}

fn channel(config: &ClientConfig) -> Channel {
    Channel::new("notes", config, &Metrics::new()).unwrap()
}

#[tokio::test]
async fn the_handler_knows_which_service_calls() {
    let home = Home::new().await;
    let epro = home.authority.issue(Subject::service("epro", EPRO));
    let answer = call(&channel(&home.config("good", Some(&epro))), &WRITE).await;
    assert_eq!(answer.unwrap(), EPRO);
}

#[tokio::test]
async fn of_those_who_prove_nothing_none_is_served() {
    let home = Home::new().await;
    let stranger = Authority::new(home.folder.path(), "stranger");
    let forged = stranger.issue(Subject::service("forged", EPRO));
    let epro = home.authority.issue(Subject::service("epro", EPRO));
    let expired = home.authority.issue(Subject {
        is_expired: true,
        ..Subject::service("expired", EPRO)
    });
    let plaintext = ClientConfig {
        tls: None,
        plaintext: Plaintext::Loopback,
        ..home.config("good", None)
    };
    let refused = [
        ("plaintext", plaintext),
        ("no certificate", home.config("good", None)),
        (
            "one of another authority",
            home.config("good", Some(&forged)),
        ),
        ("an expired one", home.config("good", Some(&expired))),
        (
            "a server of another authority",
            home.config("stranger", Some(&epro)),
        ),
    ];
    let mut accepted = 0;
    for (what, config) in refused {
        let channel = channel(&config);
        for _ in 0..20 {
            match call(&channel, &WRITE).await {
                Ok(_) => accepted += 1,
                Err(error) => assert!(error.is(&UNAVAILABLE), "{what}: {error:?}"),
            }
        }
    }
    println!("accepted of 100 without proof: {accepted}");
    assert_eq!((accepted, home.house.conduct.calls()), (0, 0));
}

#[tokio::test]
async fn certificates_change_under_load_and_no_call_fails() {
    let home = Home::new().await;
    let epro = home.authority.issue(Subject::service("epro", EPRO));
    let channel = channel(&home.config("good", Some(&epro)));
    let load = Load::start(&channel, &WRITE, 4);
    for _ in 0..2 {
        home.authority
            .issue(Subject::service("notes", "spiffe://cohort/notes"));
        home.authority.issue(Subject::service("epro", EPRO));
        tokio::time::sleep(Duration::from_millis(1200)).await;
        // Those who connect now meet the new ones, with the connections of before still there.
        let another = self::channel(&home.config("good", Some(&epro)));
        assert_eq!(call(&another, &WRITE).await.unwrap(), EPRO);
    }
    let (made, failed) = load.stop().await;
    println!(
        "certificates changed twice: {} of {made} calls failed",
        failed.len()
    );
    assert!(failed.is_empty(), "{failed:?}");
}

#[tokio::test]
async fn the_name_in_the_certificate_counts() {
    let home = Home::new().await;
    let epro = home.authority.issue(Subject::service("epro", EPRO));
    let named = |name: &str| {
        let mut config = home.config("good", Some(&epro));
        config.tls.as_mut().unwrap().server_name = Some(name.to_owned());
        channel(&config)
    };
    call(&named("localhost"), &WRITE).await.unwrap();
    let error = call(&named("patient.cohort.svc"), &WRITE)
        .await
        .unwrap_err();
    let cause = error.cause_chain().unwrap();
    assert!(
        error.is(&UNAVAILABLE) && cause.contains("no TLS"),
        "{cause}"
    );
}
