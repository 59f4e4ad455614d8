//! Taking an address, with an error that says what to change when it is taken already.

use std::{fmt, io, net::SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

/// How many connections the kernel holds for us before they are accepted.
const BACKLOG: u32 = 4096;

/// Listens on `addr`; port 0 takes a free one. `key` is the configuration key or flag that the
/// address came from, for the error text.
///
/// # Errors
/// The address is busy, not of this machine, or not permitted.
pub async fn bind(addr: SocketAddr, key: &str) -> Result<TcpListener, BindError> {
    listen(addr).map_err(|cause| BindError {
        addr,
        key: key.to_owned(),
        cause,
    })
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Connections of the process before this one may still be closing; they do not hold the port.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// An address that cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    addr: SocketAddr,
    key: String,
    cause: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { addr, key, cause } = self;
        write!(f, "could not listen on {addr}: ")?;
        match cause.kind() {
            io::ErrorKind::AddrInUse => write!(
                f,
                "another process holds the port; stop it or set `{key}` to another address"
            ),
            io::ErrorKind::AddrNotAvailable => write!(
                f,
                "this machine has no such address; set `{key}` to one that it has"
            ),
            io::ErrorKind::PermissionDenied => write!(
                f,
                "the port needs more rights than the process has; set `{key}` to a port above 1023"
            ),
            _ => write!(f, "{cause}; set `{key}` to another address"),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}
