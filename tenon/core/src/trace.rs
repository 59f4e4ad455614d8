//! The identity of a call across services: W3C Trace Context, level 1.
//!
//! Source: <https://www.w3.org/TR/trace-context/>, section 3.2. A malformed header starts a new
//! trace; a version from the future is read by its prefix.

use std::{
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
};

/// The trace and span of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: u128,
    span_id: u64,
    sampled: bool,
}

impl TraceContext {
    /// A new trace with a new span.
    pub fn new() -> Self {
        let trace_id = u128::from(random()) << 64 | u128::from(random());
        Self {
            trace_id: trace_id.max(1),
            span_id: random().max(1),
            sampled: true,
        }
    }

    /// A new span in the same trace.
    pub fn child(&self) -> Self {
        Self {
            span_id: random().max(1),
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
