//! FHIR dates, which may lack the day or the month.

use std::fmt;

use jiff::civil::Date;

/// A real calendar date, or a year or month of which the rest is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PartialDate {
    first: Date,
    precision: Precision,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Precision {
    Year,
    Month,
    Day,
}

impl PartialDate {
    /// Reads `YYYY`, `YYYY-MM` or `YYYY-MM-DD`; years from 0001. `None` for anything else, 30 February included.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let separators = bytes
            .iter()
            .enumerate()
            .all(|(position, byte)| match position {
                4 | 7 => *byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        let precision = match bytes.len() {
            4 => Precision::Year,
            7 => Precision::Month,
            10 => Precision::Day,
            _ => return None,
        };
        if !separators {
            return None;
        }
        let number = |from: usize, to: usize| {
            text.get(from..to)
                .map_or(Some(1), |digits| digits.parse::<i8>().ok())
        };
        let year = text
            .get(..4)?
            .parse::<i16>()
            .ok()
            .filter(|year| *year > 0)?;
        let first = Date::new(year, number(5, 7)?, number(8, 10)?).ok()?;
        Some(Self { first, precision })
    }

    /// The first day that this date may stand for.
    pub fn earliest(self) -> Date {
        self.first
    }

    /// The last day that this date may stand for.
    pub fn latest(self) -> Date {
        match self.precision {
            Precision::Year => self.first.last_of_year(),
            Precision::Month => self.first.last_of_month(),
            Precision::Day => self.first,
        }
    }

    /// Whether year, month and day are all known.
    pub fn is_complete(self) -> bool {
        self.precision == Precision::Day
    }

    /// Whether there is a day that both dates may stand for.
    pub fn overlaps(self, other: Self) -> bool {
        self.earliest() <= other.latest() && other.earliest() <= self.latest()
    }
}

impl fmt::Display for PartialDate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04}", self.first.year())?;
        if self.precision != Precision::Year {
            write!(formatter, "-{:02}", self.first.month())?;
        }
        if self.precision == Precision::Day {
            write!(formatter, "-{:02}", self.first.day())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_dates_of_each_precision_are_read_and_written_back() {
        for text in ["2024", "0001", "2024-02", "2024-02-29", "9999-12-31"] {
            assert_eq!(PartialDate::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "24",
            "0000",
            "2024-",
            "2024-13",
            "2024-00",
            "2023-02-29",
            "2024-04-31",
            "2024-1-01",
            "2024/01/01",
            "2024-01-01T00:00:00Z",
            "+024",
            "２０２４",
            "2024-01-0a",
            " 2024",
            "202a",
            "2024-é1",
        ] {
            assert_eq!(PartialDate::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_partial_date_spans_its_days() {
        let month = PartialDate::parse("2024-02").unwrap();
        assert_eq!(month.latest(), jiff::civil::date(2024, 2, 29));
        assert!(month.overlaps(PartialDate::parse("2024").unwrap()));
        assert!(!month.overlaps(PartialDate::parse("2024-03-01").unwrap()));
    }
}
