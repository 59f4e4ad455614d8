//! Cycles of a study: when an event is due, and whether a moment is inside its window.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// One planned event of a study, also called a cycle: so many days after the subject's anchor, give or take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StudyEvent {
    /// The event's name in the protocol, as `WEEK 12`.
    pub name: String,
    /// Days from the anchor (mostly enrolment) to the target day; negative before it.
    pub offset_days: i32,
    /// Days before the target day on which the window opens.
    pub days_before: u16,
    /// Days after the target day on which the window still is open.
    pub days_after: u16,
}

/// When an event may take place, in the subject's own time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The planned day.
    pub target: Date,
    /// The first moment inside: the start of the first day.
    pub opens: Timestamp,
    /// The first moment outside again: the start of the day after the last.
    pub closes: Timestamp,
}

/// Where a moment lies. Outside the window is a deviation to record, not a reason to refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Timing {
    /// Before the window opens.
    Early,
    /// Inside.
    Within,
    /// After it closed.
    Late,
}

/// The window would lie outside the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "event's window is outside the calendar: expected an offset that ends before the year 9999"
)]
pub struct OutsideCalendar;

impl StudyEvent {
    /// The window for a subject whose anchor day is `anchor`. Days are those of `zone`, 23 and 25 hours long when
    /// the clocks change.
    ///
    /// # Errors
    /// [`OutsideCalendar`] for an absurd offset.
    pub fn window(&self, anchor: Date, zone: &TimeZone) -> Result<Window, OutsideCalendar> {
        let day = |days: i64| {
            let shifted = Span::new()
                .try_days(days)
                .and_then(|span| anchor.checked_add(span));
            shifted.map_err(|_| OutsideCalendar)
        };
        let start = |date: Date| {
            date.to_zoned(zone.clone())
                .map(|start| start.timestamp())
                .map_err(|_| OutsideCalendar)
        };
        let offset = i64::from(self.offset_days);
        Ok(Window {
            target: day(offset)?,
            opens: start(day(offset - i64::from(self.days_before))?)?,
            closes: start(day(offset + i64::from(self.days_after) + 1)?)?,
        })
    }
}

impl Window {
    /// Where a moment, by the server's clock, lies.
    pub fn timing(&self, moment: Timestamp) -> Timing {
        if moment < self.opens {
            Timing::Early
        } else if moment < self.closes {
            Timing::Within
        } else {
            Timing::Late
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn week_1() -> StudyEvent {
        StudyEvent {
            name: "WEEK 1".to_owned(),
            offset_days: 7,
            days_before: 1,
            days_after: 0,
        }
    }

    #[test]
    fn the_window_is_of_whole_days_in_the_subjects_zone() {
        let zone = TimeZone::posix("CST-8").unwrap();
        let window = week_1().window(date(2024, 2, 22), &zone).unwrap();
        assert_eq!(window.target, date(2024, 2, 29));
        assert_eq!(window.opens, "2024-02-28T00:00:00+08:00".parse().unwrap());
        assert_eq!(window.closes, "2024-03-01T00:00:00+08:00".parse().unwrap());
        let timing = |moment: &str| window.timing(moment.parse().unwrap());
        assert_eq!(timing("2024-02-27T23:59:59.999+08:00"), Timing::Early);
        assert_eq!(timing("2024-02-28T00:00:00+08:00"), Timing::Within);
        assert_eq!(timing("2024-02-29T23:59:59.999+08:00"), Timing::Within);
        assert_eq!(timing("2024-03-01T00:00:00+08:00"), Timing::Late);
    }

    #[test]
    fn the_days_on_which_clocks_change_are_23_and_25_hours_long() {
        let zone = TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap();
        let hours = |anchor: Date| {
            let event = StudyEvent {
                days_before: 0,
                ..week_1()
            };
            let window = event.window(anchor, &zone).unwrap();
            window.closes.duration_since(window.opens).as_hours()
        };
        assert_eq!(hours(date(2024, 3, 3)), 23);
        assert_eq!(hours(date(2024, 3, 4)), 24);
        assert_eq!(hours(date(2024, 10, 27)), 25);
    }

    #[test]
    fn an_offset_outside_the_calendar_is_an_error() {
        for offset_days in [i32::MAX, i32::MIN] {
            let event = StudyEvent {
                offset_days,
                ..week_1()
            };
            assert_eq!(
                event.window(date(2024, 1, 1), &TimeZone::UTC),
                Err(OutsideCalendar)
            );
        }
    }
}
