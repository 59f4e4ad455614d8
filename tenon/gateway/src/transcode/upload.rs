//! A request whose body is a stream: each line, or each piece, becomes a message of the call.

use bytes::Bytes;
use futures_util::stream;
use http::header;
use http_body::Body as _;
use prost::Message as _;
use tenon_core::{Messages, Result};
use tenon_rest::{Request, bind};

use super::{
    Binding, Content, Mapping,
    binding::too_deep,
    call::Call,
    lines::{self, Lines, Progress},
};

/// A stream that was not sent yet.
pub(crate) struct Upload {
    lines: Lines,
    frame: Frame,
}

/// What all messages of a stream have in common.
struct Frame {
    binding: Binding,
    /// The values of the path.
    values: Vec<Option<String>>,
    query: String,
    media_type: String,
    mapping: Mapping,
    json_depth: usize,
}

impl Upload {
    /// Takes a request apart.
    ///
    /// # Errors
    /// `MEDIA_TYPE_UNSUPPORTED`, and what path and query break of the contract: nothing of the
    /// body was read then, and nothing was called.
    pub(crate) fn new(
        call: &Call,
        values: Vec<Option<String>>,
        request: Request,
        json_depth: usize,
    ) -> Result<Self> {
        let (binding, way) = (call.binding.clone(), &call.way);
        if !binding.takes_raw() && !request.body().is_end_stream() {
            lines::check_media_type(request.headers())?;
        }
        let (head, body) = tenon_rest::body::streamed(request)?;
        let media_type = head.headers.get(header::CONTENT_TYPE);
        let media_type = media_type.and_then(|it| it.to_str().ok());
        let frame = Frame {
            binding,
            values,
            query: head.uri.query().unwrap_or_default().to_owned(),
            media_type: media_type.unwrap_or_default().to_owned(),
            mapping: way.mapping,
            json_depth,
        };
        frame.message(&Bytes::new(), "")?;
        let lines = Lines::new(body, way.max_bytes, way.idle_timeout);
        Ok(Self { lines, frame })
    }

    /// How far the body is.
    pub(crate) fn progress(&self) -> Progress {
        self.lines.progress()
    }

    /// The messages, each made when it is asked for.
    pub(crate) fn messages(self) -> Messages<Bytes> {
        Messages::results(stream::unfold(self, |mut upload| async {
            let next = upload.next().await.transpose()?;
            Some((next, upload))
        }))
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        let next = match self.frame.binding.takes_raw() {
            true => self.lines.piece().await?,
            false => self.lines.line().await?,
        };
        let Some((number, bytes)) = next else {
            return Ok(None);
        };
        let message = self.frame.message(&bytes, &lines::place(number));
        message.map(Some)
    }
}

impl Frame {
    fn message(&self, bytes: &Bytes, place: &str) -> Result<Bytes> {
        if !self.binding.takes_raw() && bind::is_deeper(bytes, self.json_depth) {
            return Err(too_deep(self.json_depth, place));
        }
        let content = Content {
            bytes,
            media_type: &self.media_type,
        };
        let values = self.values.iter().cloned();
        let body = (content, place);
        let message = self
            .binding
            .message(values, &self.query, body, self.mapping)?;
        Ok(message.encode_to_vec().into())
    }
}
