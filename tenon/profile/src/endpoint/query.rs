//! What is asked behind the question mark.

use std::time::Duration;

use crate::profile::View;

/// Go's own, when nothing is said.
pub(super) const SECONDS_DEFAULT: Duration = Duration::from_secs(30);
/// Samples a second of CPU time: Go's default, at 0.2 to 0.5 % of a core.
pub(super) const HZ_DEFAULT: u32 = 100;
/// The kernel looks at CPU timers on its tick only, which comes 250 times a second.
pub(super) const HZ_MAX: u32 = 250;

/// How a profile is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Pprof,
    Svg,
    Folded,
    Json,
}

/// A query that was understood.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query {
    /// How long is asked for; none if it was not said, or not understood.
    pub(super) seconds: Option<Duration>,
    /// `seconds` was there and was no number above zero.
    pub(super) seconds_invalid: bool,
    pub(super) hz: u32,
    pub(super) format: Format,
    /// 1 and 2 ask for text, as with Go.
    pub(super) debug: u8,
    pub(super) view: View,
}

impl Query {
    /// Reads a query. Keys that are not known are passed over, as Go does.
    ///
    /// # Errors
    /// What to tell the caller with status 400.
    pub(super) fn read(query: &str, longest: Duration) -> Result<Self, String> {
        let mut read = Self {
            seconds: None,
            seconds_invalid: false,
            hz: HZ_DEFAULT,
            format: Format::Pprof,
            debug: 0,
            view: View::default(),
        };
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match key {
                "seconds" => read.read_seconds(value, longest)?,
                "hz" => read.hz = hz(value)?,
                "format" => read.format = format(value)?,
                "debug" => read.debug = value.parse().unwrap_or(0),
                "full" => read.view.full = value == "1",
                "inlines" => read.view.without_inlined = value == "0",
                _ => {}
            }
        }
        Ok(read)
    }

    fn read_seconds(&mut self, value: &str, longest: Duration) -> Result<(), String> {
        match value.parse::<f64>() {
            Ok(seconds) if seconds > longest.as_secs_f64() => {
                Err(format!("seconds must be at most {}", longest.as_secs_f64()))
            }
            Ok(seconds) if seconds > 0.0 => {
                self.seconds = Some(Duration::from_secs_f64(seconds));
                Ok(())
            }
            _ => {
                self.seconds_invalid = true;
                Ok(())
            }
        }
    }
}

fn hz(value: &str) -> Result<u32, String> {
    let hz = value.parse().ok().filter(|hz| (1..=HZ_MAX).contains(hz));
    hz.ok_or_else(|| format!("hz must be a number from 1 to {HZ_MAX}"))
}

fn format(value: &str) -> Result<Format, String> {
    match value {
        "pprof" => Ok(Format::Pprof),
        "svg" => Ok(Format::Svg),
        "folded" => Ok(Format::Folded),
        "json" => Ok(Format::Json),
        _ => Err("format must be pprof, svg, folded or json".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Query, String> {
        Query::read(query, Duration::from_secs(300))
    }

    #[test]
    fn seconds_are_read_as_go_does_and_decimals_besides() {
        for (text, expected) in [("5", Some(5.0)), ("0.5", Some(0.5)), ("300", Some(300.0))] {
            let query = read(&format!("seconds={text}")).unwrap();
            assert_eq!(query.seconds.map(|it| it.as_secs_f64()), expected);
            assert!(!query.seconds_invalid);
        }
        for text in ["abc", "0", "-1", "", "NaN", "-inf"] {
            let query = read(&format!("seconds={text}")).unwrap();
            assert_eq!(
                (query.seconds, query.seconds_invalid),
                (None, true),
                "{text}"
            );
        }
        assert!(!read("").unwrap().seconds_invalid);
        for text in ["301", "1e300", "inf"] {
            assert_eq!(
                read(&format!("seconds={text}")).unwrap_err(),
                "seconds must be at most 300"
            );
        }
    }

    #[test]
    fn other_keys_are_read_or_refused() {
        let query = read("hz=250&full=1&inlines=0&format=folded&debug=2&labels=x&gc=1").unwrap();
        assert_eq!(
            (query.hz, query.format, query.debug),
            (250, Format::Folded, 2)
        );
        assert!(query.view.full && query.view.without_inlined);
        for bad in ["hz=0", "hz=251", "hz=x", "format=png"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
