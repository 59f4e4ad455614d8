//! How connections to instances are made: TCP, and TLS over it where the configuration says so.
//! Plaintext stays on this machine unless the configuration lets it leave.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::Uri;
use hyper_util::{
    client::legacy::connect::{Connected, Connection, HttpConnector},
    rt::TokioIo,
};
use tenon_core::config::Plaintext;
use tenon_net::{ClientTls, tls::plaintext_refused};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tower::{BoxError, Service};

use crate::balance::CONNECT_TIMEOUT;

/// Connects to instances of one upstream.
#[derive(Clone)]
pub(crate) struct Connector {
    upstream: Arc<str>,
    tcp: HttpConnector,
    tls: Option<ClientTls>,
    /// Where plaintext is spoken.
    plaintext: Plaintext,
}

impl Connector {
    pub(crate) fn new(upstream: &str, tls: Option<ClientTls>, plaintext: Plaintext) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_nodelay(true);
        Self {
            upstream: upstream.into(),
            tcp,
            tls,
            plaintext,
        }
    }

    /// What a name or a registry led to is known only now.
    fn plain(&self, tcp: TcpStream) -> Result<Stream, BoxError> {
        let peer = tcp.peer_addr()?.ip();
        if self.plaintext.allows(peer) {
            return Ok(Stream::Plain(tcp));
        }
        let problem = plaintext_refused("", peer);
        Err(format!("upstream {}: {problem}", self.upstream).into())
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let host = uri.host().unwrap_or_default().to_owned();
        let connecting = self.tcp.call(uri);
        let own = self.clone();
        Box::pin(async move {
            let tcp = connecting.await?.into_inner();
            let stream: Box<dyn Duplex> = match &own.tls {
                None => return own.plain(tcp).map(TokioIo::new),
                Some(tls) => {
                    let greeted = tokio::time::timeout(CONNECT_TIMEOUT, tls.connect(&host, tcp));
                    Box::new(greeted.await??)
                }
            };
            Ok(TokioIo::new(Stream::Secured(stream)))
        })
    }
}

/// A connection to an instance.
pub(crate) enum Stream {
    Plain(TcpStream),
    Secured(Box<dyn Duplex>),
}

/// Bytes both ways.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

impl Stream {
    fn io(&mut self) -> Pin<&mut dyn Duplex> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp),
            Self::Secured(stream) => Pin::new(stream.as_mut()),
        }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.io().poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io().poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(tcp) => tcp.is_write_vectored(),
            Self::Secured(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr, UdpSocket};

    use tokio::net::TcpListener;

    use super::*;

    /// An address of this machine that is not loopback. Nothing is sent to find it.
    fn own_address() -> Option<IpAddr> {
        let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
        socket.connect("192.0.2.200:9").ok()?;
        let address = socket.local_addr().ok()?.ip();
        (!address.is_loopback() && !address.is_unspecified()).then_some(address)
    }

    async fn connect(address: SocketAddr, plaintext: Plaintext) -> Result<(), String> {
        let uri = format!("http://{address}/").parse().unwrap();
        let connected = Connector::new("patient", None, plaintext).call(uri).await;
        connected.map(drop).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn plaintext_leaves_the_machine_only_when_that_is_said() {
        let here = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = here.local_addr().unwrap();
        connect(here, Plaintext::Loopback).await.unwrap();
        let Some(outside) = own_address() else {
            println!("skipped: this machine has no address beyond loopback");
            return;
        };
        let there = TcpListener::bind((outside, 0)).await.unwrap();
        let there = there.local_addr().unwrap();
        let problem = connect(there, Plaintext::Loopback).await.unwrap_err();
        for word in ["upstream patient", "plaintext: allowed", "`tls`"] {
            assert!(problem.contains(word), "{problem}");
        }
        connect(there, Plaintext::Allowed).await.unwrap();
    }
}
