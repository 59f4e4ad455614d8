//! Requests as bytes, for what no client would send, and what comes back as bytes, so that nothing
//! of it escapes a search.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How long the other side has to answer and to hang up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request over HTTP/1.1.
#[derive(Debug, Clone)]
pub(crate) struct Raw {
    pub(crate) method: String,
    /// Path and query as they are sent.
    pub(crate) target: String,
    /// As they are sent; length and end of the connection are added.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) ending: Ending,
}

/// How the body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With its length, all of it.
    Whole,
    /// With its length, and the sender leaves after the half of it.
    Cut,
    /// As chunks of which the second one has no length.
    BrokenChunks,
}

impl Raw {
    /// Sets a header, in place of one that has its name already.
    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers
            .retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += "Connection: close\r\n";
        let body = self.body.as_deref().unwrap_or_default();
        let mut bytes = match self.ending {
            Ending::BrokenChunks => {
                let length = body.len();
                format!("{text}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n").into_bytes()
            }
            _ if self.body.is_none() => format!("{text}\r\n").into_bytes(),
            _ => format!("{text}Content-Length: {}\r\n\r\n", body.len()).into_bytes(),
        };
        match self.ending {
            Ending::Whole => bytes.extend_from_slice(body),
            Ending::Cut => bytes.extend_from_slice(&body[..body.len() / 2]),
            Ending::BrokenChunks => {
                bytes.extend_from_slice(body);
                bytes.extend_from_slice(b"\r\nno length: ");
                bytes.extend_from_slice(body);
                bytes.extend_from_slice(b"\r\n");
            }
        }
        bytes
    }

    /// Sends it on a connection of its own and takes what comes until the other side hangs up.
    pub(crate) async fn send(&self, address: &str) -> Received {
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let (mut from, mut to) = socket.into_split();
        let bytes = self.bytes();
        let leaves = self.ending == Ending::Cut;
        let mut answer = Vec::new();
        // The other side may hang up before it has read all of it, and what it said counts.
        let speak = async {
            let _ = to.write_all(&bytes).await;
            if leaves {
                let _ = to.shutdown().await;
            }
        };
        let hear = async {
            let _ = from.read_to_end(&mut answer).await;
        };
        let talk = async { futures_util::join!(speak, hear) };
        let ended = tokio::time::timeout(PATIENCE, talk).await;
        assert!(
            ended.is_ok(),
            "{} {} is not answered",
            self.method,
            self.target
        );
        Received(answer)
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Received(pub(crate) Vec<u8>);

impl Received {
    /// The status; nothing where the connection was only closed.
    pub(crate) fn status(&self) -> Option<u16> {
        let rest = self.0.strip_prefix(b"HTTP/1.1 ")?;
        std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok()
    }

    /// All up to the body.
    pub(crate) fn head(&self) -> &[u8] {
        &self.0[..self.head_length()]
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.0[self.head_length()..]
    }

    fn head_length(&self) -> usize {
        crate::secrets::position(&self.0, b"\r\n\r\n").map_or(self.0.len(), |at| at + 4)
    }
}

/// A text in a path or a query.
pub(crate) fn percent(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}
