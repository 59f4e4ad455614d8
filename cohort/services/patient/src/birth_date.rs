//! Dates of birth: ISO 8601, whole or partial.

use jiff::civil::Date;

/// Nobody who was born before this can be meant.
const EARLIEST_YEAR: i16 = 1850;

/// Whether `text` is a year, a month or a day from 1850 to `today`, as `1960`, `1960-05` or
/// `1960-05-17`.
pub(crate) fn is_valid(text: &str, today: Date) -> bool {
    let Some(earliest) = earliest(text) else {
        return false;
    };
    earliest.year() >= EARLIEST_YEAR && earliest <= today
}

/// The first day that `text` can mean.
pub(crate) fn earliest(text: &str) -> Option<Date> {
    let is_shaped = text.bytes().enumerate().all(|(index, byte)| match index {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    if !is_shaped {
        return None;
    }
    let whole = match text.len() {
        4 => format!("{text}-01-01"),
        7 => format!("{text}-01"),
        10 => text.to_owned(),
        _ => return None,
    };
    whole.parse().ok()
}

/// Whether the day `known` is one that `text` can mean.
pub(crate) fn agrees(text: &str, known: Date) -> bool {
    known.to_string().starts_with(text)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn years_months_and_days_up_to_today_are_dates_of_birth() {
        let today = date(2024, 2, 29);
        for good in [
            "1850",
            "1960",
            "1960-05",
            "1960-05-17",
            "2024",
            "2024-02",
            "2024-02-29",
        ] {
            assert!(is_valid(good, today), "{good}");
        }
        for bad in [
            "",
            "1849",
            "2025",
            "2024-03",
            "2024-03-01",
            "2023-02-29",
            "1960-13",
            "1960-00",
            "1960-5",
            "19600517",
            "1960-05-17T00:00",
            "1960-",
            "-960",
            "１９６０",
            "1960/05",
            "+1960",
        ] {
            assert!(!is_valid(bad, today), "{bad}");
        }
    }

    #[test]
    fn a_partial_date_agrees_with_the_days_that_it_can_mean() {
        let known = date(1949, 12, 31);
        for good in ["1949", "1949-12", "1949-12-31"] {
            assert!(agrees(good, known));
        }
        for bad in ["1950", "1949-11", "1949-12-30"] {
            assert!(!agrees(bad, known));
        }
    }
}
