//! The deadline of a request: the route's time, or what the caller has left, whichever is sooner.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

/// How many milliseconds the caller still waits, as a whole number. Callers may only shorten the
/// time of a route. The gateway sends it; so may any client.
pub const REQUEST_TIMEOUT: HeaderName = HeaderName::from_static("x-request-timeout-ms");

/// The same from gRPC clients, in their notation: at most eight digits and a unit.
pub const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The time that a request has: `route`, or less where its caller says so. A header that cannot be read is no limit: it can only shorten, so
/// nothing is lost by passing over it.
pub fn patience(headers: &HeaderMap, route: Duration) -> Duration {
    let own = text(headers, &REQUEST_TIMEOUT).and_then(milliseconds);
    let grpc = text(headers, &GRPC_TIMEOUT).and_then(grpc_timeout);
    [own, grpc].into_iter().flatten().fold(route, Duration::min)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn milliseconds(text: &str) -> Option<Duration> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok())?;
    number.map(Duration::from_millis)
}

fn grpc_timeout(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if number.is_empty() || number.len() > 8 || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(HeaderName, &'static str)]) -> Duration {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), http::HeaderValue::from_static(value)))
            .collect();
        patience(&headers, Duration::from_secs(3))
    }

    #[test]
    fn the_soonest_wins_and_nobody_lengthens() {
        assert_eq!(of(&[]), Duration::from_secs(3));
        assert_eq!(of(&[(REQUEST_TIMEOUT, "500")]), Duration::from_millis(500));
        assert_eq!(of(&[(REQUEST_TIMEOUT, "60000")]), Duration::from_secs(3));
        assert_eq!(of(&[(GRPC_TIMEOUT, "20m")]), Duration::from_millis(20));
        assert_eq!(
            of(&[(REQUEST_TIMEOUT, "500"), (GRPC_TIMEOUT, "1S")]),
            Duration::from_millis(500)
        );
        assert_eq!(of(&[(REQUEST_TIMEOUT, "0")]), Duration::ZERO);
    }

    #[test]
    fn what_cannot_be_read_is_no_limit() {
        for bad in ["", "-1", "1.5", "soon", "1s", "99999999999999999999999"] {
            assert_eq!(
                of(&[(REQUEST_TIMEOUT, bad)]),
                Duration::from_secs(3),
                "{bad}"
            );
        }
        for bad in ["", "m", "5", "5x", "123456789m", "-5m"] {
            assert_eq!(of(&[(GRPC_TIMEOUT, bad)]), Duration::from_secs(3), "{bad}");
        }
    }
}
