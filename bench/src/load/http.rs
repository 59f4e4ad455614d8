//! A small HTTP/1.1 client over a bare socket: it costs little beside the server, and reads
//! nothing that it need not check.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::Caller;

/// The largest answer that is taken; a longer one is a fault of the row.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A keep-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
}

/// An answer.
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: u16,
    /// Its body.
    pub(crate) body: Bytes,
    /// Whether no other request can follow on its connection.
    pub(crate) closes: bool,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        // Closing resets: ten thousand ports in TIME-WAIT would starve the next row.
        socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO))?;
        Ok(Self {
            stream,
            buffer: BytesMut::new(),
        })
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        self.stream.write_all(request).await?;
        loop {
            if let Some(answer) = take(&mut self.buffer)? {
                return Ok(answer);
            }
            if self.buffer.len() > ANSWER_BYTES_MAX {
                bail!("an answer is larger than {ANSWER_BYTES_MAX} bytes");
            }
            self.buffer.reserve(4 << 10);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed the connection before its answer");
            }
        }
    }
}

/// Takes one answer from the front of the buffer, once it is whole.
fn take(buffer: &mut BytesMut) -> anyhow::Result<Option<Answer>> {
    let Some(head_bytes) = find(buffer, b"\r\n\r\n").map(|at| at + 4) else {
        return Ok(None);
    };
    let head = buffer.get(..head_bytes).unwrap_or_default();
    let head = std::str::from_utf8(head).context("the head of the answer is no text")?;
    let status: u16 = head
        .get(9..12)
        .and_then(|digits| digits.parse().ok())
        .context("the answer has no status")?;
    let body_bytes = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let matches = name.eq_ignore_ascii_case("content-length");
        matches.then(|| value.trim().parse::<usize>().ok())?
    });
    let closes = head
        .lines()
        .any(|line| line.eq_ignore_ascii_case("connection: close"));
    let body_bytes = match (body_bytes, status) {
        (Some(bytes), _) => bytes,
        (None, 204) => 0,
        (None, _) => bail!("the answer does not tell its length"),
    };
    if buffer.len() < head_bytes + body_bytes {
        return Ok(None);
    }
    let mut answer = buffer.split_to(head_bytes + body_bytes);
    let body = answer.split_off(head_bytes).freeze();
    Ok(Some(Answer {
        status,
        body,
        closes,
    }))
}

/// Where `wanted` begins.
pub(crate) fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len())
        .position(|window| window == wanted)
}

/// A request as it goes over the wire.
pub(crate) fn request(method: &str, path: &str, token: &str, kind: &str, body: &[u8]) -> Bytes {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n");
    if !token.is_empty() {
        text.push_str(&format!("authorization: Bearer {token}\r\n"));
    }
    if !body.is_empty() {
        let length = body.len();
        text.push_str(&format!(
            "content-type: {kind}\r\ncontent-length: {length}\r\n"
        ));
    }
    text.push_str("\r\n");
    let mut bytes = BytesMut::from(text.as_bytes());
    bytes.extend_from_slice(body);
    bytes.freeze()
}

/// A caller that sends the same request again and again.
pub(crate) struct Repeat {
    connection: Connection,
    request: Bytes,
    /// What a good answer holds.
    marker: &'static str,
}

impl Repeat {
    /// Several of them, each with a connection of its own.
    pub(crate) async fn many(
        count: usize,
        address: SocketAddr,
        request: &Bytes,
        marker: &'static str,
    ) -> anyhow::Result<Vec<Self>> {
        let mut callers = Vec::with_capacity(count);
        for _ in 0..count {
            callers.push(Self {
                connection: Connection::open(address).await?,
                request: request.clone(),
                marker,
            });
        }
        Ok(callers)
    }
}

impl Caller for Repeat {
    async fn call(&mut self) -> anyhow::Result<()> {
        let answer = self.connection.exchange(&self.request).await?;
        if answer.status != 200 || find(&answer.body, self.marker.as_bytes()).is_none() {
            let text = String::from_utf8_lossy(&answer.body);
            bail!(
                "expected 200 with {}, got {} {text}",
                self.marker,
                answer.status
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_whole_and_one_by_one() {
        let mut buffer = BytesMut::from(
            &b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 404 Not Found\r\ncontent-length: 3\r\n\r\nno"[..],
        );
        let first = take(&mut buffer).unwrap().unwrap();
        assert_eq!((first.status, &first.body[..]), (200, &b"hi"[..]));
        assert!(take(&mut buffer).unwrap().is_none());
        buffer.extend_from_slice(b"!");
        let second = take(&mut buffer).unwrap().unwrap();
        assert_eq!((second.status, &second.body[..]), (404, &b"no!"[..]));
        assert!(buffer.is_empty());
    }

    #[test]
    fn an_answer_without_a_length_is_refused() {
        let mut buffer = BytesMut::from(&b"HTTP/1.1 200 OK\r\n\r\n"[..]);
        assert!(take(&mut buffer).is_err());
    }
}
