//! An event as one line of JSON, written straight into a buffer of the thread: every request
//! writes one, and to collect its fields in a map of JSON values first, or to hand them one by one
//! through a formatter, costs as much as half of what the door does.

use std::{cell::Cell, error::Error, fmt, fmt::Write};

use tenon_core::trace;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use super::timestamp;

/// The field that names the trace of a line.
const TRACE_ID: &str = "trace_id";
/// A buffer that a long line made larger than this is not kept.
const KEPT_BYTES_MAX: usize = 16 << 10;
/// Numbers below this are written to the thousandth by whole numbers.
const PLAIN_MAX: f64 = 1e12;

thread_local! {
    /// The line before. Taken while a line is made: a value that logs while it is shown finds none
    /// and makes its own.
    static LINE: Cell<String> = const { Cell::new(String::new()) };
}

/// `{"timestamp":...,"level":...,"target":...`, the fields of the event, and the trace that the
/// thread works for.
pub(super) struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = LINE.try_with(Cell::take).unwrap_or_default();
        line.clear();
        let made = make(&mut line, event);
        let outcome = made.and_then(|()| writer.write_str(&line));
        if line.capacity() <= KEPT_BYTES_MAX {
            // A thread that is ending has no place for it.
            let _ = LINE.try_with(|kept| kept.set(line));
        }
        outcome
    }
}

fn make(line: &mut String, event: &Event<'_>) -> fmt::Result {
    let metadata = event.metadata();
    line.push_str(r#"{"timestamp":""#);
    timestamp::push_now(line);
    line.push_str(r#"","level":""#);
    line.push_str(metadata.level().as_str());
    line.push_str(r#"","target":"#);
    push_quoted(line, metadata.target());
    let mut fields = Fields {
        line,
        outcome: Ok(()),
    };
    event.record(&mut fields);
    fields.outcome?;
    // A line that names its trace itself knows better.
    if metadata.fields().field(TRACE_ID).is_none()
        && let Some(id) = trace::current_id()
    {
        line.push_str(",\"trace_id\":\"");
        line.push_str(str::from_utf8(&id).unwrap_or_default());
        line.push('"');
    }
    line.push_str("}\n");
    Ok(())
}

/// Writes fields one after the other; the first that fails is told.
struct Fields<'a> {
    line: &'a mut String,
    outcome: fmt::Result,
}

impl Fields<'_> {
    fn name(&mut self, field: &Field) {
        self.line.push(',');
        let name = field.name();
        push_quoted(self.line, name.strip_prefix("r#").unwrap_or(name));
        self.line.push(':');
    }

    fn show(&mut self, field: &Field, value: &dyn fmt::Display) {
        self.name(field);
        let written = write!(self.line, "{value}");
        self.outcome = self.outcome.and(written);
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        let thousandths = (value * 1000.0).round();
        if !value.is_finite() {
            // JSON has no word for it.
            self.show(field, &"null");
        } else if (0.0..PLAIN_MAX).contains(&value) && thousandths / 1000.0 == value {
            self.name(field);
            push_thousandths(self.line, thousandths as u64);
        } else {
            self.show(field, &value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.show(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.show(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.show(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        push_quoted(self.line, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field);
        self.line.push('"');
        let written = write!(Escaped(self.line), "{value:?}");
        self.line.push('"');
        self.outcome = self.outcome.and(written);
    }
}

/// A number with at most three decimals, as Rust shows it.
fn push_thousandths(line: &mut String, thousandths: u64) {
    // Writing to a text does not fail.
    let _ = write!(line, "{}", thousandths / 1000);
    let mut rest = thousandths % 1000;
    if rest == 0 {
        return;
    }
    line.push('.');
    let mut place = 100;
    while rest > 0 {
        // One digit.
        line.push(char::from(b'0' + (rest / place) as u8));
        rest %= place;
        place /= 10;
    }
}

fn push_quoted(line: &mut String, text: &str) {
    line.push('"');
    push_escaped(line, text);
    line.push('"');
}

/// The inside of a JSON string (RFC 8259, section 7).
fn push_escaped(line: &mut String, mut text: &str) {
    let special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    while let Some(at) = text.bytes().position(special) {
        // What is special is one byte of ASCII, so both cuts are between characters.
        let (plain, rest) = text.split_at(at);
        line.push_str(plain);
        match rest.as_bytes().first() {
            Some(b'\n') => line.push_str("\\n"),
            Some(b'"') => line.push_str("\\\""),
            Some(b'\\') => line.push_str("\\\\"),
            Some(byte) => {
                // Writing to a text does not fail.
                let _ = write!(line, "\\u{byte:04x}");
            }
            None => {}
        }
        text = rest.get(1..).unwrap_or_default();
    }
    line.push_str(text);
}

struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        push_escaped(self.0, text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::push_thousandths;

    proptest! {
        #[test]
        fn a_number_is_written_as_rust_shows_it(thousandths in 0_u64..1_000_000_000_000_000) {
            let value = thousandths as f64 / 1000.0;
            let back = (value * 1000.0).round();
            if back / 1000.0 == value {
                let mut line = String::new();
                push_thousandths(&mut line, back as u64);
                prop_assert_eq!(line, value.to_string());
            }
        }
    }
}
