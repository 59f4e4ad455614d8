//! An event as a line for people: time, level, target, what happened, and the trace it belongs to.

use std::fmt;

use tenon_core::trace;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// A line, with colours where its writer takes them.
pub(super) struct PrettyLine;

impl<S, N> FormatEvent<S, N> for PrettyLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        cx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let level = metadata.level();
        let (dim, shade, plain) = match writer.has_ansi_escapes() {
            true => (DIM, colour(level), PLAIN),
            false => ("", "", ""),
        };
        writer.write_str(dim)?;
        SystemTime.format_time(&mut writer)?;
        write!(writer, "{plain} {shade}{level:>5}{plain} ")?;
        write!(writer, "{dim}{}{plain} ", metadata.target())?;
        cx.format_fields(writer.by_ref(), event)?;
        let named = metadata.fields().field("trace_id").is_some();
        if !named && let Some(id) = trace::current_id() {
            write!(
                writer,
                " {dim}trace_id={}{plain}",
                str::from_utf8(&id).unwrap_or_default()
            )?;
        }
        writeln!(writer)
    }
}

fn colour(level: &Level) -> &'static str {
    match *level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}
