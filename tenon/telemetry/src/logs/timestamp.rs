//! The time of a line, RFC 3339 in UTC to the microsecond. What is before the second's point is
//! the same for all lines of a second, and kept.

use std::{
    cell::Cell,
    fmt::Write,
    time::{Duration, SystemTime},
};

/// A text like `2026-11-29T06:15:03`.
type Second = [u8; 19];

thread_local! {
    /// The last second that this thread wrote, counted from 1970, and its text.
    static LAST: Cell<(u64, Second)> = const { Cell::new((u64::MAX, [b'0'; 19])) };
}

/// Writes the time of now.
pub(super) fn push_now(line: &mut String) {
    // A clock before 1970 is not set; that is then all that can be said.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    push(line, now.unwrap_or_default());
}

fn push(line: &mut String, since_1970: Duration) {
    let seconds = since_1970.as_secs();
    // A thread that is ending keeps nothing.
    let (kept, text) = LAST.try_with(Cell::get).unwrap_or((u64::MAX, [b'0'; 19]));
    let text = if kept == seconds {
        text
    } else {
        text_of(seconds)
    };
    let _ = LAST.try_with(|last| last.set((seconds, text)));
    line.push_str(str::from_utf8(&text).unwrap_or_default());
    // Writing to a text does not fail.
    let _ = write!(line, ".{:06}Z", since_1970.subsec_micros());
}

fn text_of(seconds: u64) -> Second {
    let second = i64::try_from(seconds).unwrap_or(i64::MAX);
    let text = jiff::Timestamp::from_second(second).unwrap_or(jiff::Timestamp::MAX);
    let text = text.to_string();
    let whole = text.as_bytes().first_chunk::<19>();
    whole.copied().unwrap_or([b'0'; 19])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_that_of_rfc_3339() {
        let shown = |micros: u64| {
            let mut line = String::new();
            push(&mut line, Duration::from_micros(micros));
            line
        };
        assert_eq!(shown(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(shown(7), "1970-01-01T00:00:00.000007Z");
        // Before and after the end of a leap day.
        assert_eq!(shown(1_709_251_199_999_999), "2024-02-29T23:59:59.999999Z");
        assert_eq!(shown(1_709_251_200_000_000), "2024-03-01T00:00:00.000000Z");
        assert_eq!(shown(1_709_251_200_500_000), "2024-03-01T00:00:00.500000Z");
    }
}
