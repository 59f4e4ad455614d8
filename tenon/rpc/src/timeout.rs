//! The header `grpc-timeout`: the time that the caller still gives a call.
//!
//! Source: gRPC over HTTP/2, "Timeout → TimeoutValue TimeoutUnit": at most 8 digits and a unit.

use std::time::Duration;

use http::HeaderValue;

/// The largest value that fits eight digits.
const LARGEST: u128 = 99_999_999;

/// Reads the header; `None` when it is malformed.
pub(crate) fn parse(value: &HeaderValue) -> Option<Duration> {
    let (unit, digits) = value.as_bytes().split_last()?;
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let number = digits.iter().try_fold(0_u64, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + u64::from(digit - b'0'))
    })?;
    match unit {
        b'H' => Some(Duration::from_secs(number * 3600)),
        b'M' => Some(Duration::from_secs(number * 60)),
        b'S' => Some(Duration::from_secs(number)),
        b'm' => Some(Duration::from_millis(number)),
        b'u' => Some(Duration::from_micros(number)),
        b'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// Writes the header in the finest unit that fits, rounded down.
pub(crate) fn format(timeout: Duration) -> String {
    let nanos = timeout.as_nanos();
    let units = [
        (1, 'n'),
        (1_000, 'u'),
        (1_000_000, 'm'),
        (1_000_000_000, 'S'),
        (60_000_000_000, 'M'),
    ];
    for (size, unit) in units {
        let number = nanos / size;
        if number <= LARGEST {
            return format!("{number}{unit}");
        }
    }
    let hours = (nanos / 3_600_000_000_000).min(LARGEST);
    format!("{hours}H")
}

/// What is sent of the time that remains: a little less, so that the server ends first and its
/// answer is still awaited. One hundredth, between one and ten milliseconds, at most half.
pub(crate) fn less_margin(remaining: Duration) -> Duration {
    let margin = (remaining / 100).clamp(Duration::from_millis(1), Duration::from_millis(10));
    remaining - margin.min(remaining / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Duration> {
        parse(&HeaderValue::from_str(text).unwrap())
    }

    #[test]
    fn every_unit_is_read() {
        for (text, expected) in [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("3S", Duration::from_secs(3)),
            ("100m", Duration::from_millis(100)),
            ("5u", Duration::from_micros(5)),
            ("0n", Duration::ZERO),
            ("99999999H", Duration::from_secs(99_999_999 * 3600)),
        ] {
            assert_eq!(read(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn malformed_ones_are_refused() {
        for bad in [
            "",
            "m",
            "100",
            "100x",
            "-1m",
            "+1m",
            "1 m",
            "1.5S",
            "123456789n",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_never_longer() {
        for nanos in [
            0,
            1,
            999,
            99_999_999,
            100_000_000,
            2_000_000_000,
            u128::from(u64::MAX),
        ] {
            let timeout = Duration::from_nanos(u64::try_from(nanos).unwrap());
            let back = read(&format(timeout)).unwrap();
            assert!(back <= timeout, "{timeout:?} became {back:?}");
            assert!(
                back >= timeout - timeout / 1_000,
                "{timeout:?} became {back:?}"
            );
        }
        assert_eq!(format(Duration::MAX), "99999999H");
    }

    #[test]
    fn the_margin_is_small_and_never_all() {
        assert_eq!(
            less_margin(Duration::from_secs(2)),
            Duration::from_millis(1990)
        );
        assert_eq!(
            less_margin(Duration::from_millis(100)),
            Duration::from_millis(99)
        );
        assert_eq!(
            less_margin(Duration::from_millis(1)),
            Duration::from_micros(500)
        );
    }
}
