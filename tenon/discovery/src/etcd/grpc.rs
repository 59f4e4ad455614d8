//! gRPC as far as etcd needs it: one message out, and one or many in, over one HTTP/2 connection
//! ("gRPC over HTTP2" of the gRPC project). The full client is in `tenon-rpc`, which stands on
//! this room.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response, Uri, Version, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message;
use tokio::{task::JoinHandle, time::timeout};

use crate::connect::{Connected, chain};

/// How long a call may take: go-zero's time for requests.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection is asked whether its peer is there after this much silence. etcd refuses to be
/// asked more often than each 5 s (`--grpc-keepalive-min-time`).
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// How long the peer may take to answer that.
const PING_TIMEOUT: Duration = Duration::from_secs(3);
/// The largest message taken: some 10,000 instances.
const MESSAGE_MAX: usize = 4 << 20;
/// One byte for compression, four for the length.
const PREFIX: usize = 5;

/// Why a call gave no answer.
#[derive(Debug)]
pub(super) enum Problem {
    /// The connection did not carry it.
    Broken(String),
    /// etcd refused it.
    Refused { code: i32, message: String },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(text) => f.write_str(text),
            Self::Refused { code, message } => write!(f, "etcd refused with {code}: {message}"),
        }
    }
}

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self::Broken(text)
    }
}

/// An HTTP/2 connection, which ends when this is dropped.
pub(super) struct Link {
    sender: SendRequest<Outgoing>,
    driver: JoinHandle<()>,
    base: String,
    token: Option<HeaderValue>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Link {
    /// Speaks HTTP/2 on a connection to `host`.
    pub(super) async fn open(connected: Connected, host: &str, tls: bool) -> Result<Self, Problem> {
        let shaking = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .handshake(TokioIo::new(connected.stream));
        let (sender, connection) = match timeout(CALL_TIMEOUT, shaking).await {
            Ok(shaken) => shaken.map_err(|error| Problem::Broken(chain(&error)))?,
            Err(_) => {
                return Err(Problem::Broken(format!(
                    "{host}: no HTTP/2 handshake in time"
                )));
            }
        };
        let driver = tokio::spawn(async move {
            // Whoever has a call on it is told; here there is nobody to tell.
            let _ = connection.await;
        });
        let scheme = if tls { "https" } else { "http" };
        Ok(Self {
            sender,
            driver,
            base: format!("{scheme}://{host}"),
            token: None,
        })
    }

    /// What etcd knows this connection's user by; sent with each call from now on.
    pub(super) fn authenticated(&mut self, token: &str) -> Result<(), Problem> {
        let value = HeaderValue::try_from(token);
        let mut value = value.map_err(|_| Problem::Broken("a token that is no text".to_owned()))?;
        value.set_sensitive(true);
        self.token = Some(value);
        Ok(())
    }

    /// One message out, one in.
    pub(super) async fn call<Req: Message, Resp: Message + Default>(
        &self,
        path: &'static str,
        req: &Req,
    ) -> Result<Resp, Problem> {
        let call = async {
            let mut stream = self.start(path, req, false).await?;
            let Some(resp) = stream.next().await? else {
                return Err(Problem::Broken(format!("{path}: ended without an answer")));
            };
            // The status comes last, and says whether the answer counts.
            while stream.next::<Resp>().await?.is_some() {}
            Ok(resp)
        };
        match timeout(CALL_TIMEOUT, call).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Problem::Broken(format!(
                "{path}: no answer within {CALL_TIMEOUT:?}"
            ))),
        }
    }

    /// One message out, many in. With `open` the request is not ended after its message.
    pub(super) async fn stream<Req: Message>(
        &self,
        path: &'static str,
        req: &Req,
    ) -> Result<Stream, Problem> {
        match timeout(CALL_TIMEOUT, self.start(path, req, true)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Problem::Broken(format!(
                "{path}: no answer within {CALL_TIMEOUT:?}"
            ))),
        }
    }

    async fn start<Req: Message>(
        &self,
        path: &'static str,
        req: &Req,
        open: bool,
    ) -> Result<Stream, Problem> {
        let mut request = Request::new(Outgoing {
            message: Some(framed(req)?),
            open,
        });
        *request.method_mut() = http::Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = Uri::try_from(format!("{}{path}", self.base))
            .map_err(|error| Problem::Broken(error.to_string()))?;
        let headers = request.headers_mut();
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        let kind = HeaderValue::from_static("application/grpc");
        headers.insert(header::CONTENT_TYPE, kind);
        // A member that lost its leader ends what it can no longer answer truly.
        headers.insert("hasleader", HeaderValue::from_static("true"));
        if let Some(token) = &self.token {
            headers.insert("token", token.clone());
        }
        let response = self.sender.clone().send_request(request).await;
        let response = response.map_err(|error| Problem::Broken(chain(&error)))?;
        Stream::begin(response)
    }
}

fn framed<M: Message>(message: &M) -> Result<Bytes, Problem> {
    let length = u32::try_from(message.encoded_len());
    let length = length.map_err(|_| Problem::Broken("a message is too large".to_owned()))?;
    let mut buffer = BytesMut::with_capacity(PREFIX + message.encoded_len());
    buffer.put_u8(0);
    buffer.put_u32(length);
    let encoded = message.encode(&mut buffer);
    encoded.map_err(|error| Problem::Broken(error.to_string()))?;
    Ok(buffer.freeze())
}

/// The messages that come in.
pub(super) struct Stream {
    body: Incoming,
    buffer: BytesMut,
    ended: bool,
}

impl Stream {
    fn begin(response: Response<Incoming>) -> Result<Self, Problem> {
        // A call that is refused at once has its status here.
        if let Some(outcome) = status(response.headers()) {
            outcome?;
        }
        if response.status() != http::StatusCode::OK {
            return Err(Problem::Broken(format!(
                "HTTP status {}",
                response.status()
            )));
        }
        Ok(Self {
            body: response.into_body(),
            buffer: BytesMut::new(),
            ended: false,
        })
    }

    /// The next message; `None` at a good end.
    pub(super) async fn next<M: Message + Default>(&mut self) -> Result<Option<M>, Problem> {
        loop {
            if let Some(message) = self.take()? {
                let decoded = M::decode(message);
                return decoded
                    .map(Some)
                    .map_err(|error| Problem::Broken(error.to_string()));
            }
            if self.ended {
                return Ok(None);
            }
            let Some(frame) = self.body.frame().await else {
                return Err(Problem::Broken(
                    "the stream ended without a status".to_owned(),
                ));
            };
            match frame
                .map_err(|error| Problem::Broken(chain(&error)))?
                .into_data()
            {
                Ok(data) => self.buffer.extend_from_slice(&data),
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    match status(&trailers) {
                        Some(outcome) => outcome?,
                        None => return Err(Problem::Broken("no status".to_owned())),
                    }
                    self.ended = true;
                }
            }
        }
    }

    fn take(&mut self) -> Result<Option<Bytes>, Problem> {
        let Some(mut prefix) = self.buffer.get(..PREFIX) else {
            return Ok(None);
        };
        if prefix.get_u8() != 0 {
            return Err(Problem::Broken(
                "a compressed message that nobody asked for".to_owned(),
            ));
        }
        let length = prefix.get_u32() as usize;
        if length > MESSAGE_MAX {
            return Err(Problem::Broken(format!(
                "a message above {MESSAGE_MAX} bytes"
            )));
        }
        if self.buffer.len() < PREFIX + length {
            return Ok(None);
        }
        self.buffer.advance(PREFIX);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }
}

/// The status, where the headers have one.
fn status(headers: &HeaderMap) -> Option<Result<(), Problem>> {
    let text = headers.get("grpc-status")?.to_str().unwrap_or("2");
    let code = text.parse().unwrap_or(2);
    if code == 0 {
        return Some(Ok(()));
    }
    let message = headers
        .get("grpc-message")
        .and_then(|message| message.to_str().ok());
    let message = message.unwrap_or("without a reason").to_owned();
    Some(Err(Problem::Refused { code, message }))
}

/// One message; then the end, or silence.
pub(super) struct Outgoing {
    message: Option<Bytes>,
    open: bool,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.message.take() {
            Some(message) => Poll::Ready(Some(Ok(Frame::data(message)))),
            // Nothing more is ever said, so nobody needs to be woken for it.
            None if self.open => Poll::Pending,
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.message.is_none() && !self.open
    }

    fn size_hint(&self) -> SizeHint {
        match &self.message {
            Some(message) if !self.open => SizeHint::with_exact(message.len() as u64),
            _ => SizeHint::default(),
        }
    }
}
