//! Length-prefixed messages: one byte that says whether the message is compressed, four that give
//! its length, big endian, and the message (gRPC over HTTP/2, "Length-Prefixed-Message").

use std::io::Read;

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
            Ok(data) => reader.push(data)?,
            Err(frame) => trailers = frame.into_trailers().ok(),
        }
    }
    Ok((reader.finish()?, trailers))
}

/// Takes one message out of pieces of any size.
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

    fn push(&mut self, data: Bytes) -> Result<(), Problem> {
        if self.joined.is_empty() && self.whole.is_empty() {
            self.whole = data;
        } else {
            if self.joined.is_empty() {
                self.joined = BytesMut::from(std::mem::take(&mut self.whole));
            }
            self.joined.extend_from_slice(&data);
        }
        // Checked with each piece, so that nothing beyond one message is ever kept.
        self.check().map(|_| ())
    }

    fn held(&self) -> &[u8] {
        if self.joined.is_empty() {
            &self.whole
        } else {
            &self.joined
        }
    }

    /// Whether the message is compressed, and its length, once the prefix is there.
    fn check(&self) -> Result<Option<(bool, usize)>, Problem> {
        let held = self.held();
        let Some((mut prefix, rest)) = held.split_at_checked(PREFIX) else {
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
        let length = length as usize;
        if rest.len() > length {
            return Err(Problem::Malformed("more follows the message"));
        }
        Ok(Some((compressed, length)))
    }

    fn finish(self) -> Result<Option<Bytes>, Problem> {
        let Some((compressed, length)) = self.check()? else {
            if self.held().is_empty() {
                return Ok(None);
            }
            return Err(Problem::Malformed("it ends within its prefix"));
        };
        let mut message = if self.joined.is_empty() {
            self.whole
        } else {
            self.joined.freeze()
        };
        message.advance(PREFIX);
        if message.len() < length {
            return Err(Problem::Malformed("it ends before its announced length"));
        }
        if compressed {
            return decompress(&message, self.limit).map(Some);
        }
        Ok(Some(message))
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
            reader.push(Bytes::copy_from_slice(piece))?;
        }
        reader.finish()
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
        let problem = reader.push(Bytes::from_static(&[0, 0, 0, 0, 101]));
        assert!(matches!(problem, Err(Problem::TooLarge)));
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
}
