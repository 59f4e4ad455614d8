//! The identity of a call across services: W3C Trace Context, level 1.
//!
//! Source: <https://www.w3.org/TR/trace-context/>, section 3.2. A malformed header starts a new
//! trace; a version from the future is read by its prefix.
//!
//! [`within`] tells the log which trace the running thread works for, so that each line written
//! on the way of a request carries its trace id, whoever writes it.

use std::{
    cell::Cell,
    fmt,
    future::Future,
    hash::{BuildHasher, Hasher, RandomState},
    pin::Pin,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;

use crate::span;

thread_local! {
    /// The trace that this thread works for; 0 for none.
    static CURRENT: Cell<u128> = const { Cell::new(0) };
}

/// The trace and span of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    /// 0 where a trace begins, or where the span is somebody else's.
    parent_id: u64,
    sampled: bool,
}

impl TraceContext {
    /// A new trace with a new span. Whether it is recorded is decided here, by the ratio of
    /// [`span::set_sample_ratio`], for all services that it will pass.
    pub fn new() -> Self {
        let trace_id = u128::from(random()) << 64 | u128::from(random());
        Self {
            trace_id: trace_id.max(1),
            span_id: random().max(1),
            parent_id: 0,
            sampled: span::samples(trace_id),
        }
    }

    /// A new span in the same trace, below this one.
    pub fn child(&self) -> Self {
        Self {
            span_id: random().max(1),
            parent_id: self.span_id,
            ..*self
        }
    }

    /// Reads a `traceparent` header; `None` when it is malformed.
    pub fn parse(header: &str) -> Option<Self> {
        let bytes = header.as_bytes();
        if bytes.len() < 55 || !header.is_ascii() {
            return None;
        }
        let version = hex(&bytes[0..2])?;
        let exact = version == 0 && bytes.len() != 55;
        let future = version != 0 && bytes.len() > 55 && bytes[55] != b'-';
        let dashes = bytes[2] == b'-' && bytes[35] == b'-' && bytes[52] == b'-';
        if version == 0xff || exact || future || !dashes {
            return None;
        }
        let trace_id = hex(&bytes[3..35])?;
        let span_id = u64::try_from(hex(&bytes[36..52])?).ok()?;
        let flags = hex(&bytes[53..55])?;
        (trace_id != 0 && span_id != 0).then_some(Self {
            trace_id,
            span_id,
            parent_id: 0,
            sampled: flags & 1 == 1,
        })
    }

    /// The trace id: 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        let mut text = vec![0; 32];
        write_digits(&mut text, self.trace_id);
        String::from_utf8(text).unwrap_or_default()
    }

    /// The span id: 16 hexadecimal digits.
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span_id)
    }

    /// Whether the caller records this trace.
    pub fn sampled(&self) -> bool {
        self.sampled
    }

    /// The trace id as 16 bytes, the span id as 8, and the id of the span above if it is known.
    pub fn ids(&self) -> ([u8; 16], [u8; 8], Option<[u8; 8]>) {
        let parent = (self.parent_id != 0).then(|| self.parent_id.to_be_bytes());
        (
            self.trace_id.to_be_bytes(),
            self.span_id.to_be_bytes(),
            parent,
        )
    }
}

/// The header with what other tracers keep in a trace.
pub const STATE: &str = "tracestate";

/// The longest list of other tracers that is passed on: what the specification asks for at least
/// (section 3.3.1.5).
const STATE_MAX: usize = 512;

/// The values of `tracestate` as one, to be passed on unread; `None` where there is nothing, or
/// what cannot be passed on.
pub fn state<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    let mut state = String::new();
    for value in values {
        let text = str::from_utf8(value).ok()?.trim();
        let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if !printable || state.len() + text.len() >= STATE_MAX {
            return None;
        }
        if !state.is_empty() && !text.is_empty() {
            state.push(',');
        }
        state.push_str(text);
    }
    (!state.is_empty()).then_some(state)
}

/// Runs `work`; each log line that is written in one of its steps carries the trace id.
pub fn within<F: Future>(trace: &TraceContext, work: F) -> Within<F> {
    let id = trace.trace_id;
    Within { work, id }
}

pin_project! {
    /// A future of [`within`]. Not an `async fn`, which would hold `work` twice.
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct Within<F> {
        #[pin]
        work: F,
        id: u128,
    }
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let _restored = Entered(CURRENT.replace(*this.id));
        this.work.poll(cx)
    }
}

/// The 32 hexadecimal digits of the trace that this thread works for, for the log.
pub fn current_id() -> Option<[u8; 32]> {
    // A thread that is ending works for nobody.
    let id = CURRENT.try_with(Cell::get).unwrap_or(0);
    (id != 0).then(|| {
        let mut digits = [0; 32];
        write_digits(&mut digits, id);
        digits
    })
}

/// Puts back what was there before, also when the step panics.
struct Entered(u128);

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

impl Default for TraceContext {
    fn default() -> Self {
        Self::new()
    }
}

/// The `traceparent` header.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        write_digits(&mut text[3..35], self.trace_id);
        write_digits(&mut text[36..52], self.span_id.into());
        write_digits(&mut text[53..], self.sampled.into());
        f.write_str(str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceContext({self})")
    }
}

/// Random bits for ids that need to be unique and not secret. Each [`RandomState`] hashes with
/// another key derived from what the operating system gave the thread once, so that no request
/// pays for a system call.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Writes the last digits of a number. Every request writes three, and the formatting of numbers
/// is made for more than that.
fn write_digits(to: &mut [u8], mut number: u128) {
    for digit in to.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 0xf) as usize];
        number >>= 4;
    }
}

/// Lower-case hexadecimal digits only, as the specification demands.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0_u128, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_survives_the_round_trip() {
        let trace = TraceContext::parse(GOOD).unwrap();
        assert_eq!(trace.to_string(), GOOD);
        assert_eq!(trace.child().trace_id(), trace.trace_id());
        assert_ne!(trace.child().span_id(), trace.span_id());
    }

    #[test]
    fn new_ids_differ_between_calls_and_threads() {
        let make = || (0..1000).map(|_| TraceContext::new()).collect::<Vec<_>>();
        let other = std::thread::spawn(make);
        let mut all = make();
        all.extend(other.join().unwrap());
        let traces: std::collections::HashSet<_> = all.iter().map(|t| t.trace_id).collect();
        let spans: std::collections::HashSet<_> = all.iter().map(|t| t.span_id).collect();
        assert_eq!((traces.len(), spans.len()), (2000, 2000));
    }

    #[tokio::test]
    async fn the_thread_knows_its_trace_while_it_works_for_it() {
        let (outer, inner) = (TraceContext::new(), TraceContext::new());
        let id = || current_id().map(|digits| String::from_utf8(digits.to_vec()).unwrap());
        let work = async {
            assert_eq!(id(), Some(outer.trace_id()));
            within(&inner, async {
                tokio::task::yield_now().await;
                assert_eq!(id(), Some(inner.trace_id()));
            })
            .await;
            assert_eq!(id(), Some(outer.trace_id()));
            tokio::task::yield_now().await;
            panic!("a panic leaves nothing behind");
        };
        let ended = crate::panics::contain(within(&outer, work)).await;
        let _: crate::panics::Panicked = ended.map(|(): ()| ()).unwrap_err();
        assert_eq!(id(), None);
    }

    #[test]
    fn what_other_tracers_keep_is_one_list() {
        let one = |values: &[&str]| state(values.iter().map(|value| value.as_bytes()));
        assert_eq!(one(&["a=1", "", "b=2,c=3"]).as_deref(), Some("a=1,b=2,c=3"));
        for bad in ["", "a=\u{7}", "a=é", &"x".repeat(512)] {
            assert_eq!(one(&[bad]), None, "{bad}");
        }
    }

    #[test]
    fn a_child_knows_its_parent() {
        let root = TraceContext::parse(GOOD).unwrap();
        assert_eq!(root.ids().2, None);
        assert_eq!(root.child().ids().2, Some(root.ids().1));
    }

    #[test]
    fn malformed_headers_are_refused() {
        let zero = "0".repeat(32);
        for bad in [
            "",
            "00",
            &GOOD.to_uppercase(),
            &GOOD.replace("00-", "ff-"),
            &format!("{GOOD}-extra"),
            &GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &zero),
            &GOOD.replace('-', "_"),
        ] {
            assert!(TraceContext::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_future_version_is_read_by_its_prefix() {
        let future = format!("{}-more", GOOD.replacen("00", "01", 1));
        assert!(TraceContext::parse(&future).is_some());
        assert!(TraceContext::parse(&format!("{}x", GOOD.replacen("00", "01", 1))).is_none());
    }
}
