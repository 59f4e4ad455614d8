//! Logs: one line an event, on standard error or in a file that is ended by size and day, as JSON
//! for machines or as text for people, with colours at a terminal.
//!
//! A line never holds a request: lines go into a bounded buffer, and one thread writes them
//! ([`stats`] says how many did not fit). The level may change while the process runs.

use std::{
    env, fmt,
    io::{self, IsTerminal},
    panic,
    sync::OnceLock,
    thread,
    time::Duration,
};

use tenon_core::{
    Reload,
    config::{ConfigError, LogConfig, LogFormat, LogLevel},
};
use tracing::Subscriber;
use tracing_subscriber::{
    Layer, Registry,
    fmt::MakeWriter,
    layer::{Layered, SubscriberExt},
    util::SubscriberInitExt,
};

mod file;
mod gate;
mod line;
mod pretty;
mod sink;
mod timestamp;

use file::RotatingFile;
use gate::Gate;
use line::JsonLine;
use pretty::PrettyLine;
use sink::{Sink, StandardError};

/// How long the end of the process waits for its last lines.
const FLUSH: Duration = Duration::from_secs(1);

/// The log of the process, once it has one.
static LOG: OnceLock<Log> = OnceLock::new();

struct Log {
    gate: Gate,
    sink: Sink,
}

/// Sends all log lines of the process to standard error or a file from now on, with timestamps in
/// UTC, and logs each panic by its place instead of printing its payload, which may hold personal
/// data. A panic in a request is written once, with the request's trace id.
///
/// # Errors
/// The process has a log subscriber already, or the file cannot be written.
pub fn init_logs(config: &LogConfig) -> Result<(), LogError> {
    if LOG.get().is_some() {
        return Err(LogError::Taken);
    }
    let gate = Gate::new(config.level, config.repeats_max);
    let sink = match &config.file {
        Some(file) => Sink::start(RotatingFile::open(file)?, gate.clone()),
        None => Sink::start(StandardError, gate.clone()),
    };
    let sink = sink.map_err(LogError::Thread)?;
    subscriber(config.format, colours(config), gate.clone(), sink.clone())
        .try_init()
        .map_err(|_| LogError::Taken)?;
    let _ = LOG.set(Log { gate, sink });
    panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Whether somebody sees colours: in a file they are noise. `NO_COLOR` is a convention of terminals.
fn colours(config: &LogConfig) -> bool {
    let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    config.file.is_none() && io::stderr().is_terminal() && !unwanted
}

/// The level that is written now; `None` where [`init_logs`] was not called.
pub fn level() -> Option<LogLevel> {
    LOG.get().map(|log| log.gate.level())
}

/// Writes lines of another level from now on. The change itself is not logged here: who asked for
/// it knows why.
pub fn set_level(level: LogLevel) {
    if let Some(log) = LOG.get() {
        log.gate.set_level(level);
    }
}

/// Lets the configuration change the level and the thinning of the log.
pub fn register(reload: &Reload) {
    reload.register("log", &["level", "repeatsMax"], |config: LogConfig| {
        Ok(Box::new(move || {
            if let Some(log) = LOG.get() {
                log.gate.set_level(config.level);
                log.gate.set_repeats_max(config.repeats_max);
            }
        }))
    });
}

/// Waits until the lines so far are written, a second at most. Called at the end of a process.
pub fn flush() {
    if let Some(log) = LOG.get() {
        log.sink.flush(FLUSH);
    }
}

/// Lines that were not written since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Because the output did not keep up, or failed.
    pub dropped: u64,
    /// Because their place in the code had written `log.repeatsMax` in that second.
    pub suppressed: u64,
}

/// How many lines were not written.
pub fn stats() -> LogStats {
    LOG.get().map_or_else(LogStats::default, |log| LogStats {
        dropped: log.sink.dropped(),
        suppressed: log.gate.suppressed(),
    })
}

/// The process cannot have this log.
#[derive(Debug)]
pub enum LogError {
    /// It has one already.
    Taken,
    /// Its file cannot be written.
    File(ConfigError),
    /// The thread that writes cannot be started.
    Thread(io::Error),
}

impl From<ConfigError> for LogError {
    fn from(cause: ConfigError) -> Self {
        Self::File(cause)
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken => f.write_str(
                "the process has a log subscriber already; initialize logs once, at the start",
            ),
            Self::File(cause) => cause.fmt(f),
            Self::Thread(cause) => write!(f, "the log cannot be written: {cause}"),
        }
    }
}

impl std::error::Error for LogError {}

fn subscriber<W>(
    format: LogFormat,
    colours: bool,
    gate: Gate,
    writer: W,
) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines: Box<dyn Layer<Layered<Gate, Registry>> + Send + Sync> = match format {
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .event_format(JsonLine)
            .with_writer(writer)
            .boxed(),
        LogFormat::Pretty => tracing_subscriber::fmt::layer()
            .event_format(PrettyLine)
            .with_ansi(colours)
            .with_writer(writer)
            .boxed(),
    };
    Registry::default().with(gate).with(lines)
}

fn log_panic(info: &panic::PanicHookInfo<'_>) {
    if tenon_core::panics::note(info) {
        return;
    }
    let place = info.location().map(ToString::to_string);
    let thread = thread::current();
    tracing::error!(
        target: "panic",
        place = place.as_deref().unwrap_or("unknown"),
        thread = thread.name().unwrap_or("unnamed"),
        "a thread panicked",
    );
    // It may be the last that this process does.
    flush();
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines_of(level: LogLevel, format: LogFormat, work: impl FnOnce()) -> Vec<String> {
        let captured = Captured::default();
        let writer = captured.clone();
        let gate = Gate::new(level, LogConfig::default().repeats_max);
        let subscriber = subscriber(format, true, gate, move || writer.clone());
        tracing::subscriber::with_default(subscriber, work);
        let bytes = captured.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_json_line_has_its_fields_at_the_top_and_a_utc_time() {
        let lines = lines_of(LogLevel::Info, LogFormat::Json, || {
            tracing::info!(target: "access", status = 200, "GET /a\nforged line");
        });
        assert_eq!(
            lines.len(),
            1,
            "a line break in a value is escaped: {lines:?}"
        );
        let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(line["status"], 200);
        assert_eq!(line["target"], "access");
        assert_eq!(line["message"], "GET /a\nforged line");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn every_kind_of_value_is_json() {
        let lines = lines_of(LogLevel::Info, LogFormat::Json, || {
            let cause = io::Error::other("a \"quoted\" cause");
            tracing::info!(
                text = "tab\t, back\\slash, 中文\u{1}",
                shown = %"one\ntwo",
                debug = ?Some("x"),
                r#type = "raw",
                negative = -3,
                natural = u64::MAX,
                wide = u128::MAX,
                fraction = 0.25,
                infinite = f64::INFINITY,
                yes = true,
                absent = None::<&str>,
                error = &cause as &(dyn std::error::Error + 'static),
            );
        });
        let mut line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        let found = line.as_object_mut().unwrap();
        found.remove("timestamp");
        let expected = serde_json::json!({
            "level": "INFO",
            "target": module_path!(),
            "text": "tab\t, back\\slash, 中文\u{1}",
            "shown": "one\ntwo",
            "debug": "Some(\"x\")",
            "type": "raw",
            "negative": -3,
            "natural": u64::MAX,
            "wide": u128::MAX.to_string(),
            "fraction": 0.25,
            "infinite": null,
            "yes": true,
            "error": "a \"quoted\" cause",
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn a_level_writes_itself_and_what_is_graver() {
        let all = || {
            tracing::error!("1");
            tracing::warn!("2");
            tracing::info!("3");
            tracing::debug!("4");
            tracing::trace!("5");
        };
        let levels = [
            LogLevel::Error,
            LogLevel::Warn,
            LogLevel::Info,
            LogLevel::Debug,
            LogLevel::Trace,
        ];
        for (index, level) in levels.into_iter().enumerate() {
            let lines = lines_of(level, LogFormat::Json, all);
            assert_eq!(lines.len(), index + 1, "{level:?}: {lines:?}");
        }
    }

    #[test]
    fn libraries_are_quiet_at_debug() {
        let frames = || {
            tracing::debug!(target: "h2::codec", "frame");
            tracing::debug!(target: "patient", "mine");
        };
        assert_eq!(
            lines_of(LogLevel::Debug, LogFormat::Pretty, frames).len(),
            1
        );
        assert_eq!(
            lines_of(LogLevel::Trace, LogFormat::Pretty, frames).len(),
            2
        );
    }

    #[test]
    fn a_line_carries_the_trace_that_its_thread_works_for() {
        let trace = tenon_core::TraceContext::new();
        for format in [LogFormat::Json, LogFormat::Pretty] {
            let lines = lines_of(LogLevel::Info, format, || {
                let mut work = std::pin::pin!(tenon_core::trace::within(&trace, async {
                    tracing::info!("inside");
                    tracing::info!(trace_id = "its own", "named");
                }));
                let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
                assert!(work.as_mut().poll(&mut cx).is_ready());
                tracing::info!("outside");
            });
            let has = |line: &String| line.contains(&trace.trace_id());
            let found: Vec<bool> = lines.iter().map(has).collect();
            assert_eq!(found, [true, false, false], "{lines:?}");
            assert_eq!(lines[1].matches("trace_id").count(), 1, "{lines:?}");
        }
    }

    #[test]
    fn a_place_that_repeats_itself_is_thinned_and_the_access_log_is_not() {
        let lines = lines_of(LogLevel::Info, LogFormat::Json, || {
            for _ in 0..1000 {
                tracing::warn!("again");
                tracing::info!(target: "access", status = 200);
            }
        });
        let count = |word: &str| lines.iter().filter(|line| line.contains(word)).count();
        assert_eq!(count("access"), 1000);
        // The thousand may fall into several seconds of a slow machine.
        assert!((100..1000).contains(&count("again")), "{}", count("again"));
    }

    #[test]
    fn the_level_changes_while_lines_are_written() {
        let captured = Captured::default();
        let writer = captured.clone();
        let gate = Gate::new(LogLevel::Info, 0);
        let subscriber = subscriber(LogFormat::Json, false, gate.clone(), move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            for level in [LogLevel::Info, LogLevel::Debug, LogLevel::Error] {
                gate.set_level(level);
                tracing::debug!("said at {level:?}");
                tracing::error!("always");
            }
        });
        let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
        let said: Vec<&str> = text.lines().filter(|line| line.contains("said")).collect();
        assert_eq!(said.len(), 1, "{text}");
        assert!(said[0].contains("Debug"), "{text}");
        assert_eq!(text.matches("always").count(), 3, "{text}");
    }
}
