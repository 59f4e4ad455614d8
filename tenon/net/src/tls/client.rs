//! The calling side of TLS.

use std::{fmt, io, sync::Arc};

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tenon_core::{
    Live,
    config::{ClientTlsConfig, ConfigError},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{alpn, files, files::Files, provider};
use crate::Protocol;

/// The TLS of a client of one service. Cheap to clone; clones share the certificates.
#[derive(Clone)]
pub struct ClientTls {
    inner: Arc<Inner>,
}

struct Inner {
    key: String,
    config: ClientTlsConfig,
    protocol: Protocol,
    current: Live<ClientConfig>,
    files: Files,
}

impl ClientTls {
    /// Reads the files of the section `key` (`clients.patient.tls`).
    ///
    /// # Errors
    /// A file is missing, they do not belong together, or the machine has no roots and none are
    /// configured.
    pub fn load(
        key: &str,
        config: &ClientTlsConfig,
        protocol: Protocol,
    ) -> Result<Self, ConfigError> {
        let refused = |problem| ConfigError::new(key, problem);
        let paths = [&config.ca_file, &config.cert_file, &config.key_file];
        let files = Files::new(paths.into_iter().flatten());
        if let Some(name) = &config.server_name {
            ServerName::try_from(name.as_str())
                .map_err(|_| refused("`serverName` is no DNS name or address".to_owned()))?;
        }
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

    /// Speaks TLS over `stream` to the server at `host` (a name or an address, without port),
    /// whose certificate must bear that name, or the configured one. Changed files are taken into
    /// use before. Waits as long as the server does: the caller sets the limit.
    ///
    /// # Errors
    /// The server is not who it should be, wants another certificate than is shown, or speaks
    /// another protocol.
    pub async fn connect<S>(&self, host: &str, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let inner = self.inner.clone();
        // Files may lie on a slow disk.
        let _ = tokio::task::spawn_blocking(move || inner.look()).await;
        let name = self.inner.config.server_name.as_deref().unwrap_or(host);
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(name.to_owned()).map_err(|_| {
            let problem = format!("`{name}` is no DNS name or address; set `serverName`");
            io::Error::new(io::ErrorKind::InvalidInput, problem)
        })?;
        let connector = TlsConnector::from(self.inner.current.load());
        let stream = connector.connect(name, stream).await?;
        let (_, session) = stream.get_ref();
        if session
            .alpn_protocol()
            .is_some_and(|spoken| spoken != alpn(self.inner.protocol))
        {
            return Err(io::Error::other(
                "the server chose a protocol that was not offered",
            ));
        }
        Ok(stream)
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.config.fmt(f)
    }
}

impl Inner {
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

/// Whether a host (a name or an address, without port) is this machine, as far as it says so
/// itself: a name other than `localhost` may resolve to anything.
pub fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<std::net::IpAddr>();
    bare == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Why plaintext is not spoken with the address, and what to write; `key` names the client's
/// section (`clients.patient`), where there is one name for it.
pub fn plaintext_refused(key: &str, address: impl fmt::Display) -> String {
    let dot = if key.is_empty() { "" } else { "." };
    format!(
        "{address} is not loopback, and plaintext may be read by others on the way; write \
         `{key}{dot}tls` (with caFile, certFile and keyFile for mutual TLS), or \
         `{key}{dot}plaintext: allowed` where something else protects the network"
    )
}

fn build(config: &ClientTlsConfig, protocol: Protocol) -> Result<ClientConfig, String> {
    let roots = match &config.ca_file {
        Some(path) => files::roots(path)?,
        None => of_the_machine()?,
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|cause| cause.to_string())?
        .with_root_certificates(roots);
    let mut built = match (&config.cert_file, &config.key_file) {
        (Some(cert), Some(key)) => builder
            .with_client_auth_cert(files::certificates(cert)?, files::private_key(key)?)
            .map_err(|cause| {
                let (cert, key) = (cert.display(), key.display());
                format!("{cert} and {key} do not fit each other: {cause}")
            })?,
        (None, None) => builder.with_no_client_auth(),
        (Some(_), None) => return Err("`certFile` needs `keyFile` beside it".to_owned()),
        (None, Some(_)) => return Err("`keyFile` needs `certFile` beside it".to_owned()),
    };
    built.alpn_protocols = vec![alpn(protocol)];
    Ok(built)
}

fn of_the_machine() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        return Err("this machine has no root certificates; write `caFile`".to_owned());
    }
    Ok(roots)
}
