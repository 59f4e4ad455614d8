//! TLS of doors and of those who call them, from files that may change under a running process.
//!
//! TLS 1.3, and 1.2 with authenticated ciphers, by rustls over aws-lc-rs. The content of the
//! files is looked at again, once a second by a door and before each connection by a client: a
//! certificate manager that writes new ones needs to tell nobody. What cannot be used (half
//! written, of another key) is logged, and the files before it stay in force.

mod client;
mod files;
mod identity;

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use tenon_core::{
    Live, PeerIdentity,
    config::{ClientAuth, ConfigError, Plaintext, ServerTlsConfig},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

pub use self::client::{ClientTls, is_loopback, plaintext_refused};
use self::files::Files;
use crate::Protocol;

/// How often a door looks at its files. Reading three small files costs some 50 microseconds.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The TLS of a door. Cheap to clone; clones share the certificates.
#[derive(Clone)]
pub struct ServerTls {
    inner: Arc<Inner>,
}

struct Inner {
    key: String,
    config: ServerTlsConfig,
    protocol: Protocol,
    current: Live<ServerConfig>,
    files: Files,
}

impl ServerTls {
    /// What a door that listens on `listen` speaks: TLS when it is configured, else plaintext
    /// where that is good enough. `key` names the door's section (`rest`) in errors.
    ///
    /// # Errors
    /// The address is not loopback, and neither `tls` nor `plaintext: allowed` is written; or
    /// the files cannot be used.
    pub fn of_door(
        key: &str,
        listen: SocketAddr,
        tls: Option<&ServerTlsConfig>,
        plaintext: Plaintext,
        protocol: Protocol,
    ) -> Result<Option<Self>, ConfigError> {
        if let Some(config) = tls {
            return Self::load(&format!("{key}.tls"), config, protocol).map(Some);
        }
        Self::check_door(key, listen, tls, plaintext)?;
        if !listen.ip().is_loopback() {
            tracing::warn!(door = key, %listen, "plaintext on an address that others reach, as configured");
        }
        Ok(None)
    }

    /// The part of [`ServerTls::of_door`] that opens no file: for who only looks whether a
    /// configuration is sound.
    ///
    /// # Errors
    /// The address is not loopback, and neither `tls` nor `plaintext: allowed` is written.
    pub fn check_door(
        key: &str,
        listen: SocketAddr,
        tls: Option<&ServerTlsConfig>,
        plaintext: Plaintext,
    ) -> Result<(), ConfigError> {
        if tls.is_some() || plaintext.allows(listen.ip()) {
            return Ok(());
        }
        let problem = format!(
            "{listen} is not loopback, and plaintext may be read by others there; write \
             `{key}.tls` with certFile and keyFile, or `{key}.plaintext: allowed` where \
             something else protects the network"
        );
        Err(ConfigError::new(format!("{key}.listen"), problem))
    }

    /// Reads the files of the section `key`.
    ///
    /// # Errors
    /// A file is missing, or they do not belong together.
    pub fn load(
        key: &str,
        config: &ServerTlsConfig,
        protocol: Protocol,
    ) -> Result<Self, ConfigError> {
        let refused = |problem| ConfigError::new(key, problem);
        let paths = [Some(&config.cert_file), Some(&config.key_file)]
            .into_iter()
            .chain([config.client_ca_file.as_ref()])
            .flatten();
        let files = Files::new(paths);
        let built = build(config, protocol).map_err(refused)?;
        Ok(Self {
            inner: Arc::new(Inner {
                key: key.to_owned(),
                config: config.clone(),
                protocol,
                current: Live::new(built),
                files,
            }),
        })
    }

    /// Greets a client. Gives the identity that its certificate proves, if it showed one.
    pub(crate) async fn accept<S>(
        &self,
        stream: S,
    ) -> std::io::Result<(TlsStream<S>, Option<PeerIdentity>)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = TlsAcceptor::from(self.inner.current.load());
        let stream = acceptor.accept(stream).await?;
        let (_, session) = stream.get_ref();
        let identity = session.peer_certificates().and_then(identity::of);
        Ok((stream, identity))
    }

    /// Takes changed files into use, for as long as it is polled.
    pub(crate) async fn follow(self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let inner = self.inner.clone();
            let _ = tokio::task::spawn_blocking(move || inner.look()).await;
        }
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.config.fmt(f)
    }
}

impl Inner {
    /// Connections that are open keep what they began with.
    fn look(&self) {
        if !self.files.changed() {
            return;
        }
        match build(&self.config, self.protocol) {
            Ok(built) => {
                self.current.store(built);
                tracing::info!(section = self.key, "took changed certificates into use");
            }
            Err(problem) => tracing::error!(
                section = self.key,
                problem,
                "changed certificates cannot be used; those before stay in force"
            ),
        }
    }
}

fn build(config: &ServerTlsConfig, protocol: Protocol) -> Result<ServerConfig, String> {
    let chain = files::certificates(&config.cert_file)?;
    let key = files::private_key(&config.key_file)?;
    let auth = config.client_auth()?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|cause| cause.to_string())?;
    let builder = match (auth, &config.client_ca_file) {
        (ClientAuth::Optional | ClientAuth::Required, Some(path)) => {
            let roots = Arc::new(files::roots(path)?);
            let mut verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
            if auth == ClientAuth::Optional {
                verifier = verifier.allow_unauthenticated();
            }
            let verifier = verifier.build().map_err(|cause| cause.to_string())?;
            builder.with_client_cert_verifier(verifier)
        }
        _ => builder.with_no_client_auth(),
    };
    let mut built = builder.with_single_cert(chain, key).map_err(|cause| {
        let (cert, key) = (config.cert_file.display(), config.key_file.display());
        format!("{cert} and {key} do not fit each other: {cause}")
    })?;
    built.alpn_protocols = vec![alpn(protocol)];
    if auth != ClientAuth::None {
        // A resumed session would vouch for a certificate that has expired since.
        built.session_storage = Arc::new(NoServerSessionStorage {});
        built.send_tls13_tickets = 0;
    }
    Ok(built)
}

fn alpn(protocol: Protocol) -> Vec<u8> {
    match protocol {
        Protocol::Http1 => b"http/1.1".to_vec(),
        Protocol::Http2 => b"h2".to_vec(),
    }
}

/// The one provider of cryptography, named so that none must be installed for the process.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
