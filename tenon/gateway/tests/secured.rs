//! Services behind the gateway that speak TLS: who is believed, and what is kept.

#![expect(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use axum::{Extension, Router, body::Body};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tempfile::TempDir;
use tenon_core::{
    Lifecycle, PeerIdentity,
    config::{ClientAuth, GatewayConfig, ServerTlsConfig},
};
use tenon_gateway::Gateway;
use tenon_net::{Options, Peer, Protocol, ServerTls};
use tenon_test::authority::{Authority, Subject};
use tower::ServiceExt;

const GATEWAY: &str = "spiffe://test/gateway";

/// A service that answers with the identity of its caller, and the authority that both trust.
struct Home {
    folder: TempDir,
    authority: Authority,
    service: SocketAddr,
}

impl Home {
    async fn new(auth: ClientAuth) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path(), "own");
        let server = authority.issue(Subject::service("patient", "spiffe://test/patient"));
        let config = ServerTlsConfig {
            cert_file: server.cert,
            key_file: server.key,
            client_ca_file: (auth != ClientAuth::None).then(|| folder.path().join("own-root.crt")),
            client_auth: Some(auth),
        };
        let tls = ServerTls::load("rest.tls", &config, Protocol::Http1).unwrap();
        let service = serve(named(), Options::admin().tls(Some(tls))).await;
        Self {
            folder,
            authority,
            service,
        }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("own-root.crt")
    }
}

/// Answers with the identity that the caller's certificate proves, and its port.
fn named() -> Router {
    let answer = |caller: Option<Extension<PeerIdentity>>,
                  Extension(Peer(peer)): Extension<Peer>| async move {
        let caller = caller.map_or("nobody".to_owned(), |Extension(caller)| caller.to_string());
        format!("{caller} {}", peer.port())
    };
    Router::new().fallback(answer)
}

async fn serve(router: Router, options: Options) -> SocketAddr {
    let address = "127.0.0.1:0".parse().unwrap();
    let listener = tenon_net::bind(address, "rest.listen").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(tenon_net::serve(
        listener,
        router,
        options,
        Lifecycle::new(),
    ));
    address
}

/// The gateway's configuration of one upstream, with the section `tls` of it.
fn config(service: SocketAddr, tls: &str, timeout: &str) -> GatewayConfig {
    let text = format!(
        "upstreams: {{patient: {{http: {{endpoints: ['{service}'], timeout: {timeout}, {tls}}}, routes: [{{prefix: /}}]}}}}"
    );
    tenon_core::config::parse(&text, "gateway.yaml".as_ref()).unwrap()
}

fn trusting(root: &Path) -> String {
    format!("tls: {{caFile: '{}'}}", root.display())
}

async fn ask(gateway: &Gateway) -> (StatusCode, String) {
    let request = Request::get("/x").body(Body::empty()).unwrap();
    let response = gateway.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn a_service_is_believed_by_its_own_authority_alone() {
    let home = Home::new(ClientAuth::None).await;
    let gateway = Gateway::new(&config(home.service, &trusting(&home.root()), "2s"), None).unwrap();
    let (status, answer) = ask(&gateway).await;
    assert_eq!(status, StatusCode::OK);
    assert!(answer.starts_with("nobody "), "{answer}");

    Authority::new(home.folder.path(), "other");
    let other = trusting(&home.folder.path().join("other-root.crt"));
    let other = Gateway::new(&config(home.service, &other, "2s"), None).unwrap();
    let (status, problem) = ask(&other).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(problem.contains("UNAVAILABLE"), "{problem}");
    let plain = Gateway::new(&config(home.service, "plaintext: loopback", "2s"), None).unwrap();
    let (status, problem) = ask(&plain).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{problem}");
}

#[tokio::test]
async fn the_gateway_shows_its_certificate_to_who_asks_for_one() {
    let home = Home::new(ClientAuth::Required).await;
    let own = home.authority.issue(Subject::service("gateway", GATEWAY));
    let tls = format!(
        "tls: {{caFile: '{}', certFile: '{}', keyFile: '{}'}}",
        home.root().display(),
        own.cert.display(),
        own.key.display()
    );
    let gateway = Gateway::new(&config(home.service, &tls, "2s"), None).unwrap();
    let (status, answer) = ask(&gateway).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert!(answer.starts_with(GATEWAY), "{answer}");
    let none = trusting(&home.root());
    let none = Gateway::new(&config(home.service, &none, "2s"), None).unwrap();
    assert_ne!(ask(&none).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_table_that_changes_keeps_the_secured_connections() {
    let home = Home::new(ClientAuth::None).await;
    let tls = trusting(&home.root());
    let gateway = Gateway::new(&config(home.service, &tls, "2s"), None).unwrap();
    let (_, before) = ask(&gateway).await;
    gateway.reload(&config(home.service, &tls, "3s")).unwrap();
    let (_, after) = ask(&gateway).await;
    assert_eq!(before, after, "another connection was made");
}
