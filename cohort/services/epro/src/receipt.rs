//! Receipt numbers: what a patient can read out on the telephone, and the order of the responses.
//!
//! `20260801-0G2HXK40-7Q3ZJ8RN` is the day of receipt (UTC), then the microsecond of that day and
//! 40 random bits, both in Crockford's base 32, which leaves out letters that are read as digits.
//! Numbers of later responses therefore sort after those of earlier ones, and pages of responses
//! go by them.

use jiff::{Timestamp, civil::Time, tz::TimeZone};
use tenon::{Error, Result, Violation};
use uuid::Uuid;

/// Crockford's alphabet; it ascends as the digits do.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// The length of a number.
const LENGTH: usize = 26;

/// A new number for a response that came at `received_at`.
pub(crate) fn number(received_at: Timestamp) -> String {
    let time = received_at.to_zoned(TimeZone::UTC).datetime();
    let micros = Time::midnight().duration_until(time.time()).as_micros();
    let micros = u64::try_from(micros).unwrap_or_default();
    let random = Uuid::new_v4().as_u64_pair().1;
    let mut text = String::with_capacity(LENGTH);
    text.push_str(&time.date().strftime("%Y%m%d").to_string());
    text.push('-');
    push_40_bits(&mut text, micros);
    text.push('-');
    push_40_bits(&mut text, random);
    text
}

/// The number after which a page begins, from the `cursor` of a request: empty for the first page.
///
/// # Errors
/// `REQUEST_INVALID` when it is no cursor that a page gave.
pub(crate) fn after(cursor: Option<String>) -> Result<String> {
    let cursor = cursor.unwrap_or_default();
    if cursor.is_empty() || is_number(&cursor) {
        return Ok(cursor);
    }
    let expected = "the nextCursor of the page before, unchanged";
    let violation = Violation::at("query", "cursor", "cursor", expected);
    Err(Error::invalid(vec![violation]))
}

fn is_number(text: &str) -> bool {
    text.len() == LENGTH
        && text.bytes().enumerate().all(|(place, byte)| match place {
            0..8 => byte.is_ascii_digit(),
            8 | 17 => byte == b'-',
            _ => ALPHABET.contains(&byte),
        })
}

fn push_40_bits(text: &mut String, bits: u64) {
    for place in (0..8).rev() {
        let digit = usize::try_from(bits >> (5 * place) & 31).unwrap_or_default();
        text.push(char::from(ALPHABET[digit]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sort_by_time_and_differ_within_a_microsecond() {
        let times = [
            "2026-07-31T23:59:59.999999Z",
            "2026-08-01T00:00:00Z",
            "2026-08-01T00:00:00.000001Z",
            "2026-08-01T23:59:59.999999Z",
            "2027-01-01T00:00:00Z",
        ];
        let numbers: Vec<String> = times
            .iter()
            .map(|time| number(time.parse().unwrap()))
            .collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
        assert!(numbers[1].starts_with("20260801-00000000-"), "{numbers:?}");
        assert!(
            numbers.iter().all(|number| is_number(number)),
            "{numbers:?}"
        );
        let at = "2026-08-01T08:00:00Z".parse().unwrap();
        assert_ne!(number(at), number(at));
    }

    #[test]
    fn other_texts_are_no_numbers() {
        let good = "20260801-0G2HXK40-7Q3ZJ8RN";
        assert_eq!(after(Some(good.to_owned())).unwrap(), good);
        assert_eq!(after(None).unwrap(), "");
        for bad in [
            "20260801-0G2HXK40-7Q3ZJ8R",
            "20260801-0G2HXK40-7Q3ZJ8RI",
            "20260801-0g2hxk40-7q3zj8rn",
            "2026080A-0G2HXK40-7Q3ZJ8RN",
            "20260801_0G2HXK40-7Q3ZJ8RN",
            "20260801-0G2HXK40-7Q3ZJ8é",
        ] {
            let error = after(Some(bad.to_owned())).unwrap_err();
            assert_eq!(error.all_violations()[0].path, "cursor", "{bad}");
        }
    }
}
