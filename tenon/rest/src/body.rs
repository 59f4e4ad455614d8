//! Bodies of requests: limited by what they claim, by what arrives and by what they unpack to.
//!
//! Nothing is read here before the operation asks for it; the limits travel with the body.

mod kept;
mod pace;

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use async_compression::tokio::bufread::{GzipDecoder, ZlibDecoder};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, TryStreamExt};
use http::{HeaderMap, HeaderValue, header, request};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use tenon_core::{Error, Result, catalogue};
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};
use tower::BoxError;

pub use self::kept::keeping;
pub use self::pace::Pace;
use crate::Request;

/// What a compressed body may be larger than the limit of its content: a body that does not
/// compress grows by its container.
const CONTAINER_BYTES: u64 = 1024;

/// The longest body that is read without being wanted: what fits in one read.
const DISCARD_BYTES: u64 = 64 << 10;
/// How long it may take to come: it was sent with its head, or the client is slow.
const DISCARD_TIME: Duration = Duration::from_millis(100);

/// How far the body of a request is, as [`Reading`] keeps it: not asked for, or some of it came.
const BEGUN: u8 = 0;
/// Asked for, and the client has not sent it.
const AWAITED: u8 = 1;
/// Read to its end.
const ENDED: u8 = 2;

/// Knows whether the body of a request was read to its end, and whether it is waited for.
///
/// A connection whose request was answered before that cannot carry another one, and the server
/// closes it. Without being told, a client that keeps connections sends somebody else's next
/// request into that close.
#[derive(Debug, Clone)]
pub(crate) struct Reading(Option<Arc<AtomicU8>>);

impl Reading {
    /// Watches the body of a request, once [`limit`] has been laid on it.
    pub(crate) fn of(request: &Request) -> Self {
        let empty = request.body().is_end_stream();
        Self((!empty).then(Arc::default))
    }

    fn is(&self, state: u8) -> bool {
        self.0.as_ref().map_or(ENDED, |now| now.load(Relaxed)) == state
    }

    fn set(&self, state: u8) {
        if let Some(now) = &self.0 {
            now.store(state, Relaxed);
        }
    }

    /// Why a request did not end in time: its client did not send what was waited for, or the
    /// operation is slow.
    pub(crate) fn late(&self) -> Error {
        match self.is(AWAITED) {
            true => catalogue::BODY_TOO_SLOW.error(),
            false => catalogue::DEADLINE_EXCEEDED.error(),
        }
    }

    /// Tells the client of a response that its connection closes, if it does.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        if !self.is(ENDED) {
            headers.insert(
                header::CONNECTION,
                const { HeaderValue::from_static("close") },
            );
        }
    }
}

/// Lays the limit of a route on the body of a request, and unpacks it.
///
/// # Errors
/// `BODY_TOO_LARGE` when the request itself says so, `MEDIA_TYPE_UNSUPPORTED` for an encoding
/// that is not taken. What shows later ends the body with the same errors.
pub(crate) fn limit(request: Request, limit: u64, reading: &Reading) -> Result<Request> {
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let coding = coding(request.headers())?;
    let raw_limit = match coding {
        Coding::Identity => limit,
        Coding::Gzip | Coding::Deflate => limit.saturating_add(CONTAINER_BYTES),
    };
    if request.body().size_hint().lower() > raw_limit {
        return Err(too_large(limit));
    }
    let (mut head, body) = request.into_parts();
    let raw = Limited::new(body, raw_limit, limit, reading.clone());
    let body = match coding {
        Coding::Identity => Body::new(raw),
        Coding::Gzip => {
            let mut decoder = GzipDecoder::new(reader(raw));
            decoder.multiple_members(true);
            Body::new(Limited::new(unpacked(decoder), limit, limit, Reading(None)))
        }
        Coding::Deflate => {
            let decoder = ZlibDecoder::new(reader(raw));
            Body::new(Limited::new(unpacked(decoder), limit, limit, Reading(None)))
        }
    };
    if !matches!(coding, Coding::Identity) {
        head.headers.remove(header::CONTENT_ENCODING);
        head.headers.remove(header::CONTENT_LENGTH);
    }
    Ok(Request::from_parts(head, body))
}

/// Reads and throws away a body that nobody will read, if it is short and on its way: its
/// connection can then carry another request. A new one, with its handshakes, costs both sides
/// more than these bytes, and those who are refused come again.
pub(crate) async fn discard(request: Request, reading: &Reading) {
    let asks_first = request.headers().contains_key(header::EXPECT);
    let mut body = request.into_body();
    let short = |most: u64| most <= DISCARD_BYTES;
    if asks_first || body.is_end_stream() || !body.size_hint().upper().is_some_and(short) {
        return;
    }
    let to_its_end = async {
        while let Some(frame) = body.frame().await {
            if frame.is_err() {
                return;
            }
        }
        reading.set(ENDED);
    };
    let _ = tokio::time::timeout(DISCARD_TIME, to_its_end).await;
}

/// Ends a request that was refused before its body was read, as the door does: a short body is
/// thrown away. Answers whether its connection can carry another request; if not, the response
/// must say `connection: close`.
pub async fn pass_over(request: Request) -> bool {
    let reading = Reading::of(&request);
    discard(request, &reading).await;
    reading.is(ENDED)
}

/// The head and the whole body of a request that no route of a [`crate::Door`] takes: not more
/// than `limit` bytes after decompression, and JSON if there is one.
///
/// # Errors
/// `BODY_TOO_LARGE`, `MEDIA_TYPE_UNSUPPORTED`, or `BODY_MALFORMED` when it breaks off.
pub async fn json(request: Request, limit: u64) -> Result<(request::Parts, Bytes)> {
    let reading = Reading::of(&request);
    let (head, body) = self::limit(request, limit, &reading)?.into_parts();
    let body = read_json(body, &head.headers).await?;
    Ok((head, body))
}

/// [`json`] of any media type.
///
/// # Errors
/// As there, but for the media type.
pub async fn whole(request: Request, limit: u64) -> Result<(request::Parts, Bytes)> {
    let reading = Reading::of(&request);
    let (head, body) = self::limit(request, limit, &reading)?.into_parts();
    Ok((head, read(body).await?))
}

/// The head of a request whose body is a stream, and that body unpacked: as long as it likes, and as
/// slow. Who reads it sets the limits of what it is made of, and tells its errors by [`fault`].
///
/// # Errors
/// `MEDIA_TYPE_UNSUPPORTED` for an encoding that is not taken.
pub fn streamed(request: Request) -> Result<(request::Parts, Body)> {
    let coding = coding(request.headers())?;
    let (mut head, body) = request.into_parts();
    if matches!(coding, Coding::Identity) || body.is_end_stream() {
        return Ok((head, body));
    }
    head.headers.remove(header::CONTENT_ENCODING);
    head.headers.remove(header::CONTENT_LENGTH);
    let packed = StreamReader::new(TryStreamExt::map_err(body.into_data_stream(), |error| {
        io::Error::other(bare(error.into()))
    }));
    let body = match coding {
        Coding::Deflate => unpacked(ZlibDecoder::new(packed)),
        Coding::Gzip | Coding::Identity => {
            let mut decoder = GzipDecoder::new(packed);
            decoder.multiple_members(true);
            unpacked(decoder)
        }
    };
    Ok((head, body))
}

/// What broke a body.
pub fn fault(error: axum::Error) -> Error {
    of_body(error.into())
}

/// The whole body, which must be JSON if there is one.
///
/// # Errors
/// What ended the body, or `MEDIA_TYPE_UNSUPPORTED`.
pub(crate) async fn read_json(body: Body, headers: &HeaderMap) -> Result<Bytes> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let bytes = read(body).await?;
    if bytes.is_empty() || is_json(headers) {
        return Ok(bytes);
    }
    Err(catalogue::MEDIA_TYPE_UNSUPPORTED
        .error()
        .param("expected", "application/json in UTF-8"))
}

/// Most bodies come in one piece and are not copied.
async fn read(mut body: Body) -> Result<Bytes> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| of_body(error.into()))?.into_data() else {
            continue;
        };
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return false;
    };
    let Ok(value) = value.to_str() else {
        return false;
    };
    let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
    let essence = essence.trim();
    let json = essence.eq_ignore_ascii_case("application/json") || {
        let lower = essence.to_ascii_lowercase();
        lower.starts_with("application/") && lower.ends_with("+json")
    };
    json && parameters.split(';').all(|parameter| {
        parameter
            .split_once('=')
            .filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))
            .is_none_or(|(_, charset)| {
                charset
                    .trim()
                    .trim_matches('"')
                    .eq_ignore_ascii_case("utf-8")
            })
    })
}

/// How a body is packed. Packing twice is not taken.
#[derive(Clone, Copy)]
enum Coding {
    Identity,
    Gzip,
    Deflate,
}

fn coding(headers: &HeaderMap) -> Result<Coding> {
    let mut found = Coding::Identity;
    for value in headers.get_all(header::CONTENT_ENCODING) {
        for name in value.to_str().unwrap_or("?").split(',') {
            let one = match name.trim().to_ascii_lowercase().as_str() {
                "" | "identity" => continue,
                "gzip" | "x-gzip" => Coding::Gzip,
                "deflate" => Coding::Deflate,
                _ => return Err(unsupported_coding()),
            };
            if !matches!(found, Coding::Identity) {
                return Err(unsupported_coding());
            }
            found = one;
        }
    }
    Ok(found)
}

fn unsupported_coding() -> Error {
    catalogue::MEDIA_TYPE_UNSUPPORTED
        .error()
        .param("expected", "packed once by gzip or deflate, or not at all")
}

fn too_large(limit: u64) -> Error {
    catalogue::BODY_TOO_LARGE.error().param("limit", limit)
}

fn reader(body: Limited<Body>) -> StreamReader<impl Stream<Item = io::Result<Bytes>>, Bytes> {
    let pieces = Body::new(body).into_data_stream();
    StreamReader::new(TryStreamExt::map_err(pieces, |error| {
        io::Error::other(bare(error.into()))
    }))
}

fn unpacked(decoder: impl AsyncRead + Send + 'static) -> Body {
    Body::from_stream(ReaderStream::with_capacity(decoder, 16 << 10))
}

/// What ended a body: our own limit, a decoder, or the connection.
fn of_body(error: BoxError) -> Error {
    let error = match bare(error).downcast::<Error>() {
        Ok(own) => return *own,
        Err(error) => error,
    };
    let error = match error.downcast::<io::Error>() {
        Ok(error) => match error.downcast::<Error>() {
            Ok(own) => return own,
            Err(error) => {
                return catalogue::BODY_MALFORMED
                    .error()
                    .param("expected", "what its content-encoding says")
                    .cause(error);
            }
        },
        Err(error) => error,
    };
    catalogue::BODY_MALFORMED
        .error()
        .param("expected", "a whole HTTP message")
        .cause(error)
}

/// Each body around a body wraps its error once more.
fn bare(mut error: BoxError) -> BoxError {
    loop {
        error = match error.downcast::<axum::Error>() {
            Ok(wrapped) => wrapped.into_inner(),
            Err(error) => return error,
        }
    }
}

/// A body that ends with an error once more than its limit has come.
struct Limited<B> {
    body: B,
    left: u64,
    /// The limit that the caller is told.
    limit: u64,
    /// Who is told of the end.
    reading: Reading,
    pace: Pace,
}

impl<B> Limited<B> {
    fn new(body: B, left: u64, limit: u64, reading: Reading) -> Self {
        Self {
            body,
            left,
            limit,
            reading,
            pace: Pace::default(),
        }
    }
}

impl<B> HttpBody for Limited<B>
where
    B: HttpBody<Data = Bytes, Error = axum::Error> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            self.reading.set(AWAITED);
            ready!(self.pace.poll_late(cx));
            return Poll::Ready(Some(Err(catalogue::BODY_TOO_SLOW.error().into())));
        };
        let Some(frame) = frame else {
            self.reading.set(ENDED);
            return Poll::Ready(None);
        };
        self.reading.set(BEGUN);
        let frame = frame?;
        // Who knows the length does not ask for what comes after the last piece.
        if self.body.is_end_stream() {
            self.reading.set(ENDED);
        }
        let came = frame.data_ref().map_or(0, |data| data.len() as u64);
        self.pace.came(came);
        match self.left.checked_sub(came) {
            Some(left) => {
                self.left = left;
                Poll::Ready(Some(Ok(frame)))
            }
            None => Poll::Ready(Some(Err(too_large(self.limit).into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
