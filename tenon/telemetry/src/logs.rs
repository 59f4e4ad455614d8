//! Logs: one line an event on standard error, as JSON for machines or coloured for people.

use std::{fmt, io, panic, thread};

use tenon_core::config::{LogConfig, LogFormat, LogLevel};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer, Registry,
    filter::Targets,
    fmt::{MakeWriter, time::SystemTime},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

mod line;

use line::JsonLine;

/// Libraries that speak of every frame at `debug`; they do so only at `trace` here.
const TALKATIVE: [&str; 4] = ["h2", "hyper", "hyper_util", "tower"];

/// Sends all log lines of the process to standard error from now on, with timestamps in UTC, and
/// logs each panic by its place instead of printing its payload, which may hold personal data. A
/// panic in a request is written once, with the request's trace id.
///
/// # Errors
/// The process has a log subscriber already.
pub fn init_logs(config: &LogConfig) -> Result<(), LogError> {
    subscriber(config, io::stderr)
        .try_init()
        .map_err(|_| LogError)?;
    panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// The process has a log subscriber already.
#[derive(Debug)]
pub struct LogError;

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the process has a log subscriber already; initialize logs once, at the start")
    }
}

impl std::error::Error for LogError {}

fn subscriber<W>(config: &LogConfig, writer: W) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match config.format {
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .event_format(JsonLine)
            .with_writer(writer)
            .boxed(),
        LogFormat::Pretty => tracing_subscriber::fmt::layer()
            .with_timer(SystemTime)
            .with_writer(writer)
            .boxed(),
    };
    Registry::default().with(lines.with_filter(filter(config.level)))
}

/// The filter of a level. The environment has no say: what is logged is in the configuration.
fn filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let targets = Targets::new().with_default(level);
    if level == LevelFilter::DEBUG {
        let quiet = TALKATIVE.map(|library| (library, LevelFilter::INFO));
        return targets.with_targets(quiet);
    }
    targets
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
}

#[cfg(test)]
mod tests {
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
        let config = LogConfig { level, format };
        let subscriber = subscriber(&config, move || writer.clone());
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
}
