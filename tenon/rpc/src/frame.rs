//! Length-prefixed messages: one byte that says whether the message is compressed, four that give
//! its length, big endian, and the message (gRPC over HTTP/2, "Length-Prefixed-Message").

use std::{
    io::Read,
    pin::Pin,
    task::{self, Poll, ready},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName};
use http_body::Body;
use http_body_util::BodyExt;
use prost::Message;

use crate::BoxError;

/// How messages are compressed.
pub(crate) const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
/// What the other side may send.
pub(crate) const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
/// What this side reads.
pub(crate) const ACCEPTED: &str = "identity,gzip";

const PREFIX: usize = 5;

/// Frames a message, uncompressed; `None` when it is larger than the format can say.
pub(crate) fn encode<M: Message>(message: &M) -> Option<Bytes> {
    let length = message.encoded_len();
    let announced = u32::try_from(length).ok()?;
    let mut buffer = BytesMut::with_capacity(PREFIX + length);
    buffer.put_u8(0);
    buffer.put_u32(announced);
    message.encode(&mut buffer).ok()?;
    Some(buffer.freeze())
}

/// Frames the bytes of a message that somebody else encoded.
pub(crate) fn wrap(message: &[u8]) -> Option<Bytes> {
    let announced = u32::try_from(message.len()).ok()?;
    let mut buffer = BytesMut::with_capacity(PREFIX + message.len());
    buffer.put_u8(0);
    buffer.put_u32(announced);
    buffer.extend_from_slice(message);
    Some(buffer.freeze())
}

/// How much is sent in one frame of HTTP/2: what its peers take at least, and mostly at most.
const PACKED: usize = 16 << 10;

/// Joins framed messages that are ready at once, so that small ones share a frame of HTTP/2. A
/// peer that reads slowly counts frames beside bytes: h2 ends a whole connection when thousands of
/// small ones wait. `kept` is what was taken from `next` and did not fit.
pub(crate) fn pack<E>(
    kept: &mut Option<Option<Result<Bytes, E>>>,
    cx: &mut task::Context<'_>,
    mut next: impl FnMut(&mut task::Context<'_>) -> Poll<Option<Result<Bytes, E>>>,
) -> Poll<Option<Result<Bytes, E>>> {
    let first = match kept.take() {
        Some(first) => first,
        None => ready!(next(cx)),
    };
    let first = match first {
        Some(Ok(first)) if first.len() < PACKED => first,
        other => return Poll::Ready(other),
    };
    let mut joined = BytesMut::new();
    while let Poll::Ready(following) = next(cx) {
        let held = first.len().max(joined.len());
        match following {
            Some(Ok(message)) if held + message.len() <= PACKED => {
                if joined.is_empty() {
                    joined.reserve(PACKED);
                    joined.extend_from_slice(&first);
                }
                joined.extend_from_slice(&message);
            }
            other => {
                *kept = Some(other);
                break;
            }
        }
    }
    let packed = match joined.is_empty() {
        true => first,
        false => joined.freeze(),
    };
    Poll::Ready(Some(Ok(packed)))
}

/// Why bytes are not the message that was expected.
#[derive(Debug)]
pub(crate) enum Problem {
    /// Larger than the limit.
    TooLarge,
    /// Not one whole message; the text says why.
    Malformed(&'static str),
    /// The stream broke off.
    Broken(BoxError),
}

/// How the messages of one stream are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
}

impl Encoding {
    /// The encoding that the headers name; `None` when it is none that is read here.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        match headers.get(GRPC_ENCODING).map(|value| value.as_bytes()) {
            None | Some(b"identity") => Some(Self::Identity),
            Some(b"gzip") => Some(Self::Gzip),
            Some(_) => None,
        }
    }
}

/// Reads a stream that holds one message, to its end. The message is `None` when the stream held
/// nothing but its trailers.
pub(crate) async fn read_one<B>(
    body: B,
    encoding: Encoding,
    limit: u64,
) -> Result<(Option<Bytes>, Option<HeaderMap>), Problem>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let mut body = std::pin::pin!(body);
    let mut reader = Reader::new(encoding, limit);
    let mut trailers = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Problem::Broken(error.into()))?;
        match frame.into_data() {
            Ok(data) => {
                reader.push(data);
                // Checked with each piece, so that nothing beyond one message is ever kept.
                reader.only()?;
            }
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    ended(body.is_end_stream() || trailers.is_some())?;
    let message = reader.take()?;
    reader.finish()?;
    Ok((message, trailers))
}

/// Reads a stream of messages, one at a time. It asks for no more than the message that is taken
/// next, so that what waits is held back by flow control.
pub(crate) struct Receiver<B> {
    body: Option<Pin<Box<B>>>,
    reader: Reader,
    trailers: Option<HeaderMap>,
}

impl<B> Receiver<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    pub(crate) fn new(body: B, encoding: Encoding, limit: u64) -> Self {
        Self {
            body: Some(Box::pin(body)),
            reader: Reader::new(encoding, limit),
            trailers: None,
        }
    }

    /// The next message; `None` once the peer ended the stream with all its messages whole. A
    /// stream that breaks off is never mistaken for one that ended.
    pub(crate) fn poll_message(
        &mut self,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Bytes, Problem>>> {
        loop {
            match self.reader.take() {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(message))),
                Ok(None) => {}
                Err(problem) => return self.fail(problem),
            }
            let Some(body) = &mut self.body else {
                return Poll::Ready(None);
            };
            match ready!(body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.reader.push(data),
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                },
                Some(Err(error)) => return self.fail(Problem::Broken(error.into())),
                None => {
                    let whole = body.is_end_stream() || self.trailers.is_some();
                    self.body = None;
                    let end = ended(whole).and_then(|()| self.reader.finish());
                    return Poll::Ready(end.err().map(Err));
                }
            }
        }
    }

    /// What came after the last message.
    pub(crate) fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    fn fail(&mut self, problem: Problem) -> Poll<Option<Result<Bytes, Problem>>> {
        self.body = None;
        Poll::Ready(Some(Err(problem)))
    }
}

/// A peer may reset its stream with `NO_ERROR`, which hyper shows as an end. Only the flag
/// END_STREAM is one: half an import must not be taken for the whole.
fn ended(flagged: bool) -> Result<(), Problem> {
    if flagged {
        return Ok(());
    }
    Err(Problem::Broken("the peer reset the stream".into()))
}

/// Takes messages out of pieces of any size.
struct Reader {
    encoding: Encoding,
    limit: u64,
    /// The only piece so far, kept as it came: most messages come whole.
    whole: Bytes,
    /// The pieces so far, when there are several.
    joined: BytesMut,
}

impl Reader {
    fn new(encoding: Encoding, limit: u64) -> Self {
        Self {
            encoding,
            limit,
            whole: Bytes::new(),
            joined: BytesMut::new(),
        }
    }

    fn push(&mut self, data: Bytes) {
        if self.joined.is_empty() && self.whole.is_empty() {
            self.whole = data;
        } else {
            if self.joined.is_empty() {
                self.joined = BytesMut::from(std::mem::take(&mut self.whole));
            }
            self.joined.extend_from_slice(&data);
        }
    }

    fn held(&self) -> &[u8] {
        if self.joined.is_empty() {
            &self.whole
        } else {
            &self.joined
        }
    }

    /// Whether the message is compressed, and its length, once the prefix is there.
    fn prefix(&self) -> Result<Option<(bool, usize)>, Problem> {
        let Some((mut prefix, _)) = self.held().split_at_checked(PREFIX) else {
            return Ok(None);
        };
        let compressed = match prefix.get_u8() {
            0 => false,
            1 if self.encoding == Encoding::Gzip => true,
            1 => return Err(Problem::Malformed("it is compressed and names no encoding")),
            _ => return Err(Problem::Malformed("its prefix is not that of a message")),
        };
        let length = prefix.get_u32();
        if u64::from(length) > self.limit {
            return Err(Problem::TooLarge);
        }
        Ok(Some((compressed, length as usize)))
    }

    /// Refuses what follows the first message.
    fn only(&self) -> Result<(), Problem> {
        match self.prefix()? {
            Some((_, length)) if self.held().len() > PREFIX + length => {
                Err(Problem::Malformed("more follows the message"))
            }
            _ => Ok(()),
        }
    }

    /// The next message, if it is there whole.
    fn take(&mut self) -> Result<Option<Bytes>, Problem> {
        let Some((compressed, length)) = self.prefix()? else {
            return Ok(None);
        };
        if self.held().len() < PREFIX + length {
            return Ok(None);
        }
        let message = if self.joined.is_empty() {
            self.whole.advance(PREFIX);
            self.whole.split_to(length)
        } else {
            self.joined.advance(PREFIX);
            self.joined.split_to(length).freeze()
        };
        if compressed {
            return decompress(&message, self.limit).map(Some);
        }
        Ok(Some(message))
    }

    /// Nothing may be left when the stream ends.
    fn finish(&self) -> Result<(), Problem> {
        if self.held().is_empty() {
            return Ok(());
        }
        Err(Problem::Malformed(if self.held().len() < PREFIX {
            "it ends within its prefix"
        } else {
            "it ends before its announced length"
        }))
    }
}

/// Never unpacks more than the limit, however small the packed bytes are.
fn decompress(packed: &[u8], limit: u64) -> Result<Bytes, Problem> {
    let mut plain = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(packed).take(limit.saturating_add(1));
    reader
        .read_to_end(&mut plain)
        .map_err(|_| Problem::Malformed("it is not gzip"))?;
    if plain.len() as u64 > limit {
        return Err(Problem::TooLarge);
    }
    Ok(Bytes::from(plain))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(encoding: Encoding, limit: u64, pieces: &[&[u8]]) -> Result<Option<Bytes>, Problem> {
        let mut reader = Reader::new(encoding, limit);
        for piece in pieces {
            reader.push(Bytes::copy_from_slice(piece));
            reader.only()?;
        }
        let message = reader.take()?;
        reader.finish().map(|()| message)
    }

    #[test]
    fn a_message_is_read_from_pieces_of_any_size() {
        let framed = encode(&"hello".to_owned()).unwrap();
        for size in 1..=framed.len() {
            let pieces: Vec<&[u8]> = framed.chunks(size).collect();
            let message = read(Encoding::Identity, 100, &pieces).unwrap().unwrap();
            assert_eq!(String::decode(message).unwrap(), "hello");
        }
        assert!(read(Encoding::Identity, 100, &[]).unwrap().is_none());
    }

    #[test]
    fn what_is_not_one_message_is_malformed() {
        for bad in [
            &[0, 0][..],
            &[0, 0, 0, 0, 2, 1],
            &[0, 0, 0, 0, 1, 1, 1],
            &[2, 0, 0, 0, 1, 1],
            &[1, 0, 0, 0, 1, 1],
        ] {
            let problem = read(Encoding::Identity, 100, &[bad]).unwrap_err();
            assert!(matches!(problem, Problem::Malformed(_)), "{bad:?}");
        }
    }

    #[test]
    fn an_announced_length_over_the_limit_is_refused_at_once() {
        let mut reader = Reader::new(Encoding::Identity, 100);
        reader.push(Bytes::from_static(&[0, 0, 0, 0, 101]));
        assert!(matches!(reader.only(), Err(Problem::TooLarge)));
        assert!(matches!(reader.take(), Err(Problem::TooLarge)));
    }

    #[test]
    fn gzip_is_unpacked_up_to_the_limit() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(&[7; 5000]).unwrap();
        let packed = packer.finish().unwrap();
        let mut framed = vec![1];
        framed.extend_from_slice(&u32::try_from(packed.len()).unwrap().to_be_bytes());
        framed.extend_from_slice(&packed);
        let plain = read(Encoding::Gzip, 5000, &[&framed]).unwrap().unwrap();
        assert_eq!(&plain[..], &[7; 5000]);
        let bomb = read(Encoding::Gzip, 4999, &[&framed]);
        assert!(matches!(bomb, Err(Problem::TooLarge)));
        let damaged = read(Encoding::Gzip, 100, &[&[1, 0, 0, 0, 3, 9, 9, 9]]);
        assert!(matches!(damaged, Err(Problem::Malformed(_))));
    }

    #[test]
    fn many_messages_are_taken_from_pieces_of_any_size() {
        let mut stream = Vec::new();
        for text in ["one", "", "three"] {
            stream.extend_from_slice(&encode(&text.to_owned()).unwrap());
        }
        assert_eq!(
            encode(&"x".to_owned()).unwrap(),
            wrap(b"\x0a\x01x").unwrap()
        );
        for size in 1..=stream.len() {
            let mut reader = Reader::new(Encoding::Identity, 100);
            let mut taken = Vec::new();
            for piece in stream.chunks(size) {
                reader.push(Bytes::copy_from_slice(piece));
                while let Some(message) = reader.take().unwrap() {
                    taken.push(String::decode(message).unwrap());
                }
            }
            assert_eq!(taken, ["one", "", "three"]);
            reader.finish().unwrap();
        }
    }

    #[test]
    fn small_messages_that_are_ready_share_a_frame() {
        let sizes = [10, 20, PACKED, 30, PACKED - 40, 11, 12];
        let mut ready = sizes.iter().map(|size| Bytes::from(vec![7; *size]));
        let mut cx = task::Context::from_waker(task::Waker::noop());
        let (mut kept, mut frames) = (None, Vec::new());
        loop {
            let next = pack(&mut kept, &mut cx, |_| {
                Poll::Ready(ready.next().map(Ok::<_, ()>))
            });
            match next {
                Poll::Ready(Some(Ok(frame))) => frames.push(frame.len()),
                Poll::Ready(None) => break,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(frames, [30, PACKED, PACKED - 10, 23]);
    }
}
