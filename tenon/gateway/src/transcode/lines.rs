//! The body of a request as a stream of messages: a JSON document in each line, or the pieces of a
//! body that is none (`google.api.HttpBody`).
//!
//! Nothing is read before the call asks for its next message, and never more than one line and
//! what came with it is held: a client that sends faster than the service reads is held up by its
//! connection.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body::Body as _;
use tenon_core::{Error, Result, catalogue};
use tenon_rest::body::{self, Pace};

/// What says of a body that each of its lines is a JSON document.
const MEDIA_TYPES: [&str; 5] = [
    "application/x-ndjson",
    "application/ndjson",
    "application/json-lines",
    "application/jsonl",
    "application/x-jsonlines",
];

/// How far the body is, for who must say why a call did not end in time, and whether its connection
/// can carry another request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress(Arc<AtomicU8>);

/// Asked for, and the client has not sent it.
const AWAITED: u8 = 1;
/// Read to its end.
const ENDED: u8 = 2;

impl Progress {
    /// Whether the client lets the call wait.
    pub(crate) fn is_awaited(&self) -> bool {
        self.0.load(Relaxed) == AWAITED
    }

    /// Whether nothing of the body is left.
    pub(crate) fn is_ended(&self) -> bool {
        self.0.load(Relaxed) == ENDED
    }
}

/// The lines of a body.
pub(crate) struct Lines {
    body: Body,
    progress: Progress,
    /// What came and was not given out.
    held: BytesMut,
    /// How much of it was searched for the end of a line.
    searched: usize,
    /// The number of the line that comes next; editors count from 1 too.
    number: u64,
    /// The largest line.
    bytes_max: u64,
    /// How long the client may pause between two lines.
    idle: Duration,
    /// How long the line that has begun has kept us waiting.
    pace: Pace,
}

impl Lines {
    pub(crate) fn new(body: Body, bytes_max: u64, idle: Duration) -> Self {
        let progress = Progress::default();
        if body.is_end_stream() {
            progress.0.store(ENDED, Relaxed);
        }
        Self {
            body,
            progress,
            held: BytesMut::new(),
            searched: 0,
            number: 1,
            bytes_max,
            idle,
            pace: Pace::default(),
        }
    }

    /// How far the body is.
    pub(crate) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// The next line that is not blank, with its number; `None` at the end of the body.
    ///
    /// # Errors
    /// `BODY_TOO_LARGE` for a line; `BODY_TOO_SLOW`; what broke the body.
    pub(crate) async fn line(&mut self) -> Result<Option<(u64, Bytes)>> {
        loop {
            let unsearched = self.held.get(self.searched..).unwrap_or_default();
            let end = unsearched.iter().position(|byte| *byte == b'\n');
            let length = end.map_or(self.held.len(), |end| self.searched + end);
            if length as u64 > self.bytes_max {
                return Err(self.too_large());
            }
            let line = match end {
                Some(_) => {
                    let mut line = self.held.split_to(length + 1);
                    line.truncate(length);
                    line
                }
                None if self.more().await? => continue,
                None if self.held.is_empty() => return Ok(None),
                None => self.held.split(),
            };
            let number = self.number;
            self.number += 1;
            self.searched = 0;
            self.pace = Pace::default();
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some((number, line.freeze())));
            }
        }
    }

    /// The next piece as it comes, with its number.
    ///
    /// # Errors
    /// As [`Lines::line`], but for its size.
    pub(crate) async fn piece(&mut self) -> Result<Option<(u64, Bytes)>> {
        while self.held.is_empty() {
            if !self.more().await? {
                return Ok(None);
            }
        }
        let number = self.number;
        self.number += 1;
        let most = usize::try_from(self.bytes_max).unwrap_or(usize::MAX);
        let piece = self.held.split_to(self.held.len().min(most));
        self.searched = 0;
        Ok(Some((number, piece.freeze())))
    }

    /// Waits for more of the body; whether there was any.
    async fn more(&mut self) -> Result<bool> {
        if self.progress.is_ended() {
            return Ok(false);
        }
        self.searched = self.held.len();
        self.progress.0.store(AWAITED, Relaxed);
        let body = &mut self.body;
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx));
        let late = || catalogue::BODY_TOO_SLOW.error();
        let frame = if self.held.is_empty() {
            let frame = tokio::time::timeout(self.idle, frame).await;
            frame.map_err(|_elapsed| late())?
        } else {
            let pace = &mut self.pace;
            tokio::select! {
                biased;
                frame = frame => frame,
                () = poll_fn(|cx| pace.poll_late(cx)) => return Err(late()),
            }
        };
        let ended = frame.is_none() || self.body.is_end_stream();
        self.progress
            .0
            .store(if ended { ENDED } else { 0 }, Relaxed);
        let Some(frame) = frame else {
            return Ok(false);
        };
        if let Ok(data) = frame.map_err(body::fault)?.into_data() {
            self.pace.came(data.len() as u64);
            self.held.extend_from_slice(&data);
        }
        Ok(true)
    }

    fn too_large(&self) -> Error {
        let error = catalogue::BODY_TOO_LARGE.error();
        let error = error.param("limit", self.bytes_max);
        let expected = format!("at most {} bytes", self.bytes_max);
        let violation = tenon_core::Violation::body(place(self.number), "length", expected);
        error.violations(vec![violation])
    }
}

/// As violations name a line.
pub(crate) fn place(number: u64) -> String {
    format!("line[{number}]")
}

/// Refuses a body that does not say that it is lines of JSON.
///
/// # Errors
/// `MEDIA_TYPE_UNSUPPORTED`.
pub(crate) fn check_media_type(headers: &HeaderMap) -> Result<()> {
    let value = headers.get(header::CONTENT_TYPE);
    let value = value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let (essence, parameters) = value.split_once(';').unwrap_or((value, ""));
    let known = |known: &str| known.eq_ignore_ascii_case(essence.trim());
    let mut charsets = parameters.split(';').filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_charset = name.trim().eq_ignore_ascii_case("charset");
        is_charset.then(|| value.trim().trim_matches('"'))
    });
    if MEDIA_TYPES.iter().any(|it| known(it)) && charsets.all(|it| it.eq_ignore_ascii_case("utf-8"))
    {
        return Ok(());
    }
    Err(catalogue::MEDIA_TYPE_UNSUPPORTED.error().param(
        "expected",
        "application/x-ndjson in UTF-8, a JSON document in each line",
    ))
}
