//! The keys of `@server` and `@doc` that Tenon acts on.

use std::time::Duration;

use super::{Checker, has_leading_letter, path};
use crate::api::nearest::distance;
use crate::api::tree::NodeId;
use crate::model::{Criticality, Group, Pair, Place, Route};

/// Keys without which a route stands open or unbounded: a slip here must not pass silently.
const GUARDS: [&str; 10] = [
    "jwt",
    "jwtTransition",
    "permission",
    "signature",
    "middleware",
    "timeout",
    "maxBytes",
    "maxInFlight",
    "criticality",
    "strict",
];

impl Checker<'_> {
    /// Reads a `@server` block into the group.
    pub(super) fn server_keys(&mut self, file: usize, server: NodeId, group: &mut Group) {
        for (pair, key_place) in self.pairs(file, server) {
            self.server_key(pair, key_place, group);
        }
    }

    fn server_key(&mut self, pair: Pair, key_place: Place, group: &mut Group) {
        match pair.key.as_str() {
            "group" => group.group = self.group_name(&pair),
            "prefix" => match path::segments(&pair.value) {
                Ok(segments) if segments.is_empty() => {}
                Ok(segments) => group.prefix = path::joined(&segments),
                Err((message, hint)) => self.report_with(pair.place, message, hint),
            },
            "jwt" => group.jwt = self.one_name(&pair),
            "jwtTransition" => group.jwt_transition = self.one_name(&pair),
            "middleware" => group.middleware = self.names(&pair),
            "timeout" => match duration(&pair.value) {
                Ok(timeout) => group.timeout = Some(timeout),
                Err(hint) => {
                    self.report_with(pair.place, format!("`{}` is no duration", pair.value), hint)
                }
            },
            "maxBytes" => match pair.value.parse::<u64>() {
                Ok(limit) => group.max_bytes = Some(limit),
                Err(_) => self.report_with(
                    pair.place,
                    format!("`{}` is no number of bytes", pair.value),
                    "write digits alone, e.g. `1048576`",
                ),
            },
            "maxInFlight" => match pair.value.parse::<usize>() {
                Ok(limit) if limit > 0 => group.max_in_flight = Some(limit),
                _ => self.report_with(
                    pair.place,
                    format!("`{}` is no number of requests", pair.value),
                    "write digits alone, at least `1`",
                ),
            },
            "criticality" => group.criticality = self.criticality(&pair),
            "permission" => group.permission = self.permission(&pair),
            "strict" => group.strict = self.flag(&pair),
            "sse" => group.sse = self.flag(&pair),
            "summary" => group.summary = Some(pair.value),
            "tags" => group.tags = list(&pair.value),
            _ => {
                self.near_miss(&pair, key_place);
                group.extra.push(pair);
            }
        }
    }

    fn criticality(&mut self, pair: &Pair) -> Option<Criticality> {
        match pair.value.as_str() {
            "critical" => Some(Criticality::Critical),
            "normal" => Some(Criticality::Normal),
            "sheddable" => Some(Criticality::Sheddable),
            other => {
                let diagnostic = self
                    .at(pair.place, format!("`criticality` cannot be `{other}`"))
                    .expecting(["`critical`", "`normal`", "`sheddable`"]);
                self.diagnostics.push(diagnostic);
                None
            }
        }
    }

    /// Reports an unknown key that looks like a guard.
    fn near_miss(&mut self, pair: &Pair, key_place: Place) {
        if GUARDS.contains(&pair.key.as_str()) {
            return;
        }
        let allowed = if pair.key.len() < 6 { 1 } else { 2 };
        let key = pair.key.to_lowercase();
        let meant = GUARDS
            .iter()
            .find(|guard| distance(&key, &guard.to_lowercase()) <= allowed);
        if let Some(meant) = meant {
            let message = format!("key `{}` of `@server` is not known", pair.key);
            self.report_with(
                key_place,
                message,
                format!("did you mean `{meant}`? without it the routes lose their guard"),
            );
        }
    }

    fn flag(&mut self, pair: &Pair) -> bool {
        if !matches!(pair.value.as_str(), "true" | "false") {
            let message = format!("`{}` cannot be `{}`", pair.key, pair.value);
            let diagnostic = self
                .at(pair.place, message)
                .expecting(["`true`", "`false`"]);
            self.diagnostics.push(diagnostic);
        }
        pair.value == "true"
    }

    fn group_name(&mut self, pair: &Pair) -> Option<String> {
        let name = pair.value.trim_matches('/').to_owned();
        let good = !name.is_empty()
            && name.split('/').all(|part| {
                has_leading_letter(part)
                    && part
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
            });
        if good {
            return Some(name);
        }
        self.report_with(
            pair.place,
            format!("`{}` cannot be a group", pair.value),
            "a group is a folder: words of letters, digits, `_` and `-`, separated by `/`",
        );
        None
    }

    fn one_name(&mut self, pair: &Pair) -> Option<String> {
        if is_name(&pair.value) {
            return Some(pair.value.clone());
        }
        let message = format!("`{}` of `{}` is no name", pair.value, pair.key);
        self.report_with(
            pair.place,
            message,
            "it names a block of the configuration, e.g. `Auth`",
        );
        None
    }

    fn names(&mut self, pair: &Pair) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in pair.value.split(',').map(str::trim) {
            if !is_name(name) {
                let message = format!("`{name}` of `{}` is no name", pair.key);
                self.report_with(
                    pair.place,
                    message,
                    "write names separated by commas, e.g. `Audit,Quota`",
                );
            } else if names.iter().any(|known| known == name) {
                self.report(
                    pair.place,
                    format!("`{name}` is there twice in `{}`", pair.key),
                );
            } else {
                names.push(name.to_owned());
            }
        }
        names
    }

    fn permission(&mut self, pair: &Pair) -> Option<String> {
        let good = pair.value.split('.').all(|part| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        });
        if good {
            return Some(pair.value.clone());
        }
        let message = format!("`{}` is no permission", pair.value);
        self.report_with(
            pair.place,
            message,
            "write words separated by dots, e.g. `subject.read`",
        );
        None
    }

    /// Reads the pairs of a `@doc` block into the route.
    pub(super) fn doc_keys(&mut self, file: usize, doc: NodeId, route: &mut Route) {
        for (pair, _) in self.pairs(file, doc) {
            match pair.key.as_str() {
                "summary" => route.summary = Some(pair.value),
                "tags" => route.tags = list(&pair.value),
                "status" => match pair.value.parse::<u16>() {
                    Ok(status) if (200..400).contains(&status) => route.status = Some(status),
                    _ => self.report_with(
                        pair.place,
                        format!("`{}` is no status code of success", pair.value),
                        "write one from 200 to 399; failures answer with the code of their error",
                    ),
                },
                _ => route.extra.push(pair),
            }
        }
    }
}

fn is_name(text: &str) -> bool {
    has_leading_letter(text) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A duration as Go writes it: `1h30m`, `1.5s`, `300ms`. The error is advice.
fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("\u{b5}s", 1_000),
        ("\u{3bc}s", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    let general = || "write numbers with units, e.g. `3s`, `1m30s` or `300ms`".to_owned();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && text != "0" {
        return Err(format!(
            "it has no unit; `{text}ms` is milliseconds, `{text}s` seconds"
        ));
    }
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() && text != "0" {
        let unit_start = rest
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .ok_or_else(general)?;
        let (number, tail) = rest.split_at(unit_start);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let (_, nanos) = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(general)?;
        total = scaled(number, *nanos)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(general)?;
        rest = tail;
    }
    if text.is_empty() {
        Err(general())
    } else {
        Ok(Duration::from_nanos(total))
    }
}

/// A decimal number times a unit in nanoseconds, without floating point.
fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') || fraction.len() > 9 {
        return None;
    }
    let digits = |text: &str| {
        if text.is_empty() {
            Some(0)
        } else {
            text.parse::<u64>().ok()
        }
    };
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let part = u128::from(digits(fraction)?) * u128::from(unit) / scale;
    digits(whole)?
        .checked_mul(unit)?
        .checked_add(u64::try_from(part).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_does() {
        assert_eq!(duration("1h10m10s"), Ok(Duration::from_secs(4210)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("10\u{b5}s10ns"), Ok(Duration::from_nanos(10_010)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        for wrong in [
            "",
            "3",
            "s",
            "3 s",
            "3x",
            "..s",
            "99999999999999h",
            "-1s",
            "1.s.s",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
