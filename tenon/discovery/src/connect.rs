//! A connection to a registry: TCP, and TLS by rustls with aws-lc-rs where it is asked for.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// How long a connection may take to be made, TLS included. A registry is near; what takes
/// longer than this is better asked elsewhere.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A peer that vanished without a word is noticed after this and three probes of five seconds.
const KEEPALIVE: Duration = Duration::from_secs(10);
const PROBE: Duration = Duration::from_secs(5);
const PROBES: u32 = 3;

/// Either kind of connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection that was made.
pub(crate) struct Connected {
    pub(crate) stream: Box<dyn Stream>,
    /// The address of this machine on the way to the registry.
    #[cfg_attr(
        not(feature = "etcd"),
        expect(dead_code, reason = "asked for by registration")
    )]
    pub(crate) local: SocketAddr,
}

/// What TLS is spoken with; files are read at each connection, so that they may be renewed.
pub(crate) struct Tls {
    pub(crate) ca: PathBuf,
    /// The certificate and the key that are shown.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    /// The name in the certificate of the peer.
    pub(crate) server_name: String,
    /// What is spoken inside: `h2` or `http/1.1`.
    pub(crate) protocol: &'static str,
}

/// Connects to `host:port`.
///
/// # Errors
/// It cannot be reached in time, or does not prove who it is.
pub(crate) async fn connect(address: &str, tls: Option<&Tls>) -> Result<Connected, String> {
    let connecting = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let keepalive = TcpKeepalive::new()
            .with_time(KEEPALIVE)
            .with_interval(PROBE)
            .with_retries(PROBES);
        SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        let local = stream.local_addr()?;
        let stream: Box<dyn Stream> = match tls {
            Some(tls) => {
                let name = ServerName::try_from(tls.server_name.clone()).map_err(|_| {
                    io::Error::other("the name of the server is neither a host nor an address")
                })?;
                let connector = TlsConnector::from(Arc::new(tls.config()?));
                Box::new(connector.connect(name, stream).await?)
            }
            None => Box::new(stream),
        };
        Ok::<_, io::Error>(Connected { stream, local })
    };
    match timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(Ok(connected)) => Ok(connected),
        Ok(Err(problem)) => Err(format!("{address}: {problem}")),
        Err(_) => Err(format!(
            "{address}: no connection within {CONNECT_TIMEOUT:?}"
        )),
    }
}

impl Tls {
    fn config(&self) -> io::Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.ca)? {
            roots.add(certificate).map_err(io::Error::other)?;
        }
        // Named, because a process may have other users of rustls that installed none.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            Some((certificate, key)) => {
                let key_read =
                    PrivateKeyDer::from_pem_file(key).map_err(|cause| unread(key, &cause))?;
                let chain = certificates(certificate)?;
                builder
                    .with_client_auth_cert(chain, key_read)
                    .map_err(io::Error::other)?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![self.protocol.as_bytes().to_vec()];
        Ok(config)
    }
}

fn certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(io::Error::other(format!(
            "{} holds no certificate",
            file.display()
        ))),
        other => other.map_err(|cause| unread(file, &cause)),
    }
}

fn unread(file: &Path, cause: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("{} cannot be read: {cause}", file.display()))
}

/// An error with its causes: hyper's own text names only the outermost.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
