//! An event as one line of JSON, written straight into the line: every request writes one, and to
//! collect its fields in a map of JSON values first costs as much as half of what the door does.

use std::{error::Error, fmt, fmt::Write};

use tenon_core::trace;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

/// The field that names the trace of a line.
const TRACE_ID: &str = "trace_id";

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
        let metadata = event.metadata();
        writer.write_str(r#"{"timestamp":""#)?;
        SystemTime.format_time(&mut writer)?;
        writer.write_str(r#"","level":""#)?;
        writer.write_str(metadata.level().as_str())?;
        writer.write_str(r#"","target":"#)?;
        quoted(&mut writer, metadata.target())?;
        let mut fields = Fields {
            writer: &mut writer,
            outcome: Ok(()),
        };
        event.record(&mut fields);
        fields.outcome?;
        // A line that names its trace itself knows better.
        if metadata.fields().field(TRACE_ID).is_none()
            && let Some(id) = trace::current_id()
        {
            writer.write_str(",\"trace_id\":\"")?;
            writer.write_str(str::from_utf8(&id).unwrap_or_default())?;
            writer.write_char('"')?;
        }
        writer.write_str("}\n")
    }
}

/// Writes fields one after the other; the first that fails is the last.
struct Fields<'a, 'w> {
    writer: &'a mut Writer<'w>,
    outcome: fmt::Result,
}

impl Fields<'_, '_> {
    fn add(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.outcome.is_ok() {
            self.outcome = self.try_add(field, value);
        }
    }

    fn try_add(
        &mut self,
        field: &Field,
        value: impl FnOnce(&mut Writer<'_>) -> fmt::Result,
    ) -> fmt::Result {
        self.writer.write_char(',')?;
        let name = field.name();
        quoted(self.writer, name.strip_prefix("r#").unwrap_or(name))?;
        self.writer.write_char(':')?;
        value(self.writer)
    }
}

impl Visit for Fields<'_, '_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, |writer| {
            if value.is_finite() {
                write!(writer, "{value}")
            } else {
                // JSON has no word for it.
                writer.write_str("null")
            }
        });
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, |writer| write!(writer, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, |writer| write!(writer, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, |writer| write!(writer, "{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, |writer| quoted(writer, value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, |writer| {
            writer.write_char('"')?;
            write!(Escaped(writer), "{value:?}")?;
            writer.write_char('"')
        });
    }
}

fn quoted(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    writer.write_char('"')?;
    Escaped(writer).write_str(text)?;
    writer.write_char('"')
}

/// The inside of a JSON string (RFC 8259, section 7).
struct Escaped<'a, 'w>(&'a mut Writer<'w>);

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, mut text: &str) -> fmt::Result {
        let special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
        while let Some(at) = text.bytes().position(special) {
            // What is special is one byte of ASCII, so both cuts are between characters.
            let (plain, rest) = text.split_at(at);
            self.0.write_str(plain)?;
            match rest.as_bytes().first() {
                Some(b'\n') => self.0.write_str("\\n")?,
                Some(b'"') => self.0.write_str("\\\"")?,
                Some(b'\\') => self.0.write_str("\\\\")?,
                Some(byte) => write!(self.0, "\\u{byte:04x}")?,
                None => {}
            }
            text = rest.get(1..).unwrap_or_default();
        }
        self.0.write_str(text)
    }
}
