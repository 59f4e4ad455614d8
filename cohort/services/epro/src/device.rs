//! What the device tells of itself beside the answers: extensions at the top of a response.
//!
//! | url | value | what |
//! |---|---|---|
//! | `urn:cohort:device-start` | `valueDateTime` with offset | the device's clock when the person began |
//! | `urn:cohort:time-zone` | `valueString` | the device's zone by its IANA name, `Asia/Shanghai` |
//! | `urn:cohort:app-version` | `valueString` | the app and its version |
//! | `urn:cohort:paradata` | `valueString` | how the person went through the items: a JSON object as text |
//! | `urn:cohort:task` | `valueString` | the task that asked for the response |
//!
//! The device's clock when the person ended is `authored`. None of these decides anything: the
//! time that counts is that of the server.

use serde_json::Value;
use tenon::{Timestamp, Violation};

/// The longest of the short texts, in bytes.
const TEXT_BYTES_MAX: usize = 200;
/// The longest paradata, in bytes: first and last times of some hundred items.
const PARADATA_BYTES_MAX: usize = 64 << 10;

/// What the device tells of itself.
#[derive(Debug, Default)]
pub(crate) struct Device {
    pub(crate) started: Option<String>,
    pub(crate) time_zone: Option<String>,
    pub(crate) app_version: Option<String>,
    pub(crate) paradata: Option<String>,
    pub(crate) task_id: Option<String>,
}

impl Device {
    /// Reads the extensions of a response. Those of others are left alone.
    ///
    /// # Errors
    /// Every extension of ours that is not what it must be.
    pub(crate) fn read(response: &Value) -> Result<Self, Vec<Violation>> {
        let mut device = Self::default();
        let mut violations = Vec::new();
        let extensions = response.get("extension").and_then(Value::as_array);
        for (place, extension) in extensions.into_iter().flatten().enumerate() {
            let url = extension.get("url").and_then(Value::as_str);
            if let Some(kind) = url.and_then(Kind::of) {
                let field = device.field(kind);
                match kind.read(extension) {
                    Some(_) if field.is_some() => violations.push(Violation::body(
                        format!("extension[{place}]"),
                        "duplicate",
                        "each of these extensions once",
                    )),
                    Some(text) => *field = Some(text.to_owned()),
                    None => violations.push(Violation::body(
                        format!("extension[{place}]"),
                        "format",
                        kind.expected(),
                    )),
                }
            }
        }
        if violations.is_empty() {
            Ok(device)
        } else {
            Err(violations)
        }
    }

    fn field(&mut self, kind: Kind) -> &mut Option<String> {
        match kind {
            Kind::Start => &mut self.started,
            Kind::Zone => &mut self.time_zone,
            Kind::App => &mut self.app_version,
            Kind::Paradata => &mut self.paradata,
            Kind::Task => &mut self.task_id,
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Start,
    Zone,
    App,
    Paradata,
    Task,
}

impl Kind {
    fn of(url: &str) -> Option<Self> {
        Some(match url.strip_prefix("urn:cohort:")? {
            "device-start" => Self::Start,
            "time-zone" => Self::Zone,
            "app-version" => Self::App,
            "paradata" => Self::Paradata,
            "task" => Self::Task,
            _ => return None,
        })
    }

    fn read(self, extension: &Value) -> Option<&str> {
        let member = match self {
            Self::Start => "valueDateTime",
            _ => "valueString",
        };
        let text = extension.get(member)?.as_str()?;
        let short = (1..=TEXT_BYTES_MAX).contains(&text.len());
        let good = match self {
            Self::Start => short && text.contains('T') && text.parse::<Timestamp>().is_ok(),
            Self::Zone => short && text.bytes().all(is_zone_byte),
            Self::App | Self::Task => short && !text.contains(char::is_control),
            Self::Paradata => text.len() <= PARADATA_BYTES_MAX && is_json_object(text),
        };
        good.then_some(text)
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::Start => "valueDateTime, a time with its offset",
            Self::Zone => "valueString, the IANA name of a time zone",
            Self::App | Self::Task => "valueString, 1 to 200 bytes without control characters",
            Self::Paradata => "valueString, a JSON object of at most 64 KiB as text",
        }
    }
}

const fn is_zone_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'+' | b'-')
}

fn is_json_object(text: &str) -> bool {
    text.trim_start().starts_with('{')
        && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_device_tells_is_read_and_others_extensions_are_left_alone() {
        let device = Device::read(&json!({"extension": [
            {"url": "urn:cohort:device-start", "valueDateTime": "2026-08-01T08:00:00+08:00"},
            {"url": "http://example.org/other", "valueInteger": 7},
            {"url": "urn:cohort:time-zone", "valueString": "Asia/Shanghai"},
            {"url": "urn:cohort:app-version", "valueString": "cohort-web 0.1.0"},
            {"url": "urn:cohort:paradata", "valueString": "{\"/44250-9\":{\"first\":1}}"},
            {"url": "urn:cohort:task", "valueString": "task-1"},
        ]}))
        .unwrap();
        assert_eq!(device.started.as_deref(), Some("2026-08-01T08:00:00+08:00"));
        assert_eq!(device.time_zone.as_deref(), Some("Asia/Shanghai"));
        assert_eq!(device.app_version.as_deref(), Some("cohort-web 0.1.0"));
        assert_eq!(
            device.paradata.as_deref(),
            Some("{\"/44250-9\":{\"first\":1}}")
        );
        assert_eq!(device.task_id.as_deref(), Some("task-1"));
        assert!(Device::read(&json!({})).unwrap().started.is_none());
    }

    #[test]
    fn every_extension_that_does_not_fit_is_a_violation() {
        let violations = Device::read(&json!({"extension": [
            {"url": "urn:cohort:device-start", "valueDateTime": "yesterday"},
            {"url": "urn:cohort:time-zone", "valueString": "Asia Shanghai"},
            {"url": "urn:cohort:app-version", "valueString": "a\u{0}"},
            {"url": "urn:cohort:paradata", "valueString": "[1]"},
            {"url": "urn:cohort:paradata", "valueString": "{\"a\":"},
            {"url": "urn:cohort:task", "valueInteger": 1},
            {"url": "urn:cohort:time-zone", "valueString": "UTC"},
            {"url": "urn:cohort:time-zone", "valueString": "UTC"},
        ]}))
        .unwrap_err();
        let places: Vec<&str> = violations
            .iter()
            .map(|violation| violation.path.as_str())
            .collect();
        let expected: Vec<String> = [0, 1, 2, 3, 4, 5, 7]
            .iter()
            .map(|place| format!("extension[{place}]"))
            .collect();
        assert_eq!(places, expected);
    }
}
