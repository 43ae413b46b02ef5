//! The hours, days, weeks and months of a time zone.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{TimeZone, Timestamp};

const MINUTE_MILLIS: i64 = 60_000;

/// A step of the calendar. In a time zone each instant lies in exactly one hour, day, week and month.
///
/// - An hour is what the local clock shows as one. It ends early if the clocks change within it.
///   An hour that occurs twice is two.
/// - A day lasts from the first instant of its date to that of the next one: usually 23, 24 or 25 hours.
///   A date that a zone skipped is not a day.
/// - A week begins on Monday, a month on the 1st.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalendarUnit {
    /// Minutes.
    Minute,
    /// Hours.
    Hour,
    /// Days.
    #[default]
    Day,
    /// Weeks from Monday to Sunday.
    Week,
    /// Months.
    Month,
}

impl CalendarUnit {
    /// Returns the start of the step that this instant lies in, at the earliest [`Timestamp::MIN`].
    #[must_use]
    pub fn start_of(self, time: Timestamp, zone: &TimeZone) -> Timestamp {
        match self.clock_millis() {
            Some(length) => {
                let mark = moved(time, -(time.as_millis() + zone.offset_millis(time)).rem_euclid(length));
                change_within(mark, time, zone).unwrap_or(mark)
            }
            None => self.span_of(time, zone).0,
        }
    }

    /// Returns the first instant after the step that this instant lies in, at the latest [`Timestamp::MAX`].
    #[must_use]
    pub fn end_of(self, time: Timestamp, zone: &TimeZone) -> Timestamp {
        match self.clock_millis() {
            Some(length) => {
                let past = (time.as_millis() + zone.offset_millis(time)).rem_euclid(length);
                let mark = moved(time, length - past);
                change_within(time, mark, zone).unwrap_or(mark)
            }
            None => self.span_of(time, zone).1,
        }
    }

    /// Returns the bounds of the steps from the one that `first` lies in to the one that `last` lies in: the start of
    /// each, and the end of the last one. `None` if there are more than `steps_max`.
    ///
    /// ```
    /// use bridge_core::{CalendarUnit, TimeZone};
    ///
    /// // The clocks are set forward: a day of 23 hours.
    /// let berlin: TimeZone = "Europe/Berlin".parse()?;
    /// let (first, last) = ("2026-03-28T23:00:00Z".parse()?, "2026-03-29T21:59:59Z".parse()?);
    /// assert_eq!(CalendarUnit::Day.bounds(first, last, &berlin, 100).unwrap().len(), 1 + 1);
    /// assert_eq!(CalendarUnit::Hour.bounds(first, last, &berlin, 100).unwrap().len(), 23 + 1);
    /// assert_eq!(CalendarUnit::Hour.bounds(first, last, &berlin, 22), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn bounds(
        self,
        first: Timestamp,
        last: Timestamp,
        zone: &TimeZone,
        steps_max: usize,
    ) -> Option<Vec<Timestamp>> {
        let mut bounds = vec![self.start_of(first, zone)];
        let mut end = self.end_of(first, zone);
        bounds.push(end);
        while end <= last && end < Timestamp::MAX {
            if bounds.len() > steps_max {
                return None;
            }
            end = self.end_of(end, zone);
            bounds.push(end);
        }
        Some(bounds)
    }

    /// Returns the next coarser step.
    #[must_use]
    pub fn coarser(self) -> Option<Self> {
        match self {
            Self::Minute => Some(Self::Hour),
            Self::Hour => Some(Self::Day),
            Self::Day => Some(Self::Week),
            Self::Week => Some(Self::Month),
            Self::Month => None,
        }
    }

    /// Returns the length of a step of the clock; `None` for those of the calendar.
    fn clock_millis(self) -> Option<i64> {
        match self {
            Self::Minute => Some(MINUTE_MILLIS),
            Self::Hour => Some(60 * MINUTE_MILLIS),
            Self::Day | Self::Week | Self::Month => None,
        }
    }

    /// Returns the step of whole days that this instant lies in.
    fn span_of(self, time: Timestamp, zone: &TimeZone) -> (Timestamp, Timestamp) {
        let mut date = self.first_date(zone.civil(time).date());
        let mut start = zone.first_instant(date).min(time);
        // Where clocks were set back over midnight the local date is that of a day that is over; a skipped date
        // begins where the next one does.
        while let Some(next) = self.next_date(date) {
            let end = zone.first_instant(next);
            if end > time || end == Timestamp::MAX {
                return (start, end);
            }
            (date, start) = (next, end);
        }
        (start, Timestamp::MAX)
    }

    fn first_date(self, date: Date) -> Date {
        match self {
            Self::Minute | Self::Hour | Self::Day => date,
            Self::Week => {
                let days = jiff::Span::new().days(date.weekday().to_monday_zero_offset());
                date.saturating_sub(days)
            }
            Self::Month => date.first_of_month(),
        }
    }

    fn next_date(self, date: Date) -> Option<Date> {
        let span = jiff::Span::new();
        let span = match self {
            Self::Minute | Self::Hour | Self::Day => span.days(1),
            Self::Week => span.weeks(1),
            Self::Month => span.months(1),
        };
        date.checked_add(span).ok()
    }
}

/// Returns the clock change after `from` and no later than `to`. It is searched for only if the offsets differ, because
/// no zone changes its clocks and back within an hour.
fn change_within(from: Timestamp, to: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    if zone.offset_millis(from) == zone.offset_millis(to) {
        return None;
    }
    zone.change_before(to).filter(|change| *change > from)
}

fn moved(time: Timestamp, millis: i64) -> Timestamp {
    let millis = (time.as_millis() + millis).clamp(Timestamp::MIN.as_millis(), Timestamp::MAX.as_millis());
    Timestamp::from_millis(millis).unwrap_or(time)
}
